"""A user's statement: what they have, what they used it for, and the latest entries, all of one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from jangbu.domain.forecast import Expiring, Lasting, expiring_soon, lasting
from jangbu.domain.ledger import Asset, Grant, account_id, burn_down
from jangbu.domain.standing import LATELY_DAYS
from jangbu.domain.windows import Preset, Window
from jangbu.errors import NoAccount
from jangbu.metering import series
from jangbu.metering.reports import Figures, TotalLine
from jangbu.metering.series import Series
from jangbu.metering.snapshots import Filters, Snapshot
from jangbu.storage import accounts, entries, reports
from jangbu.storage.accounts import AccountRow
from jangbu.storage.entries import EntryRow

__all__ = ["Statement", "statement_of"]


@dataclass(frozen=True, slots=True)
class Statement:
    """An account as it was at the moment ``as_of``. ``grants`` are those that something is left of, as they burn;
    ``totals`` are of all time, the most used first; ``entries`` are a list, newest first.

    ``used`` has a bar for each of the last 30 days, today's under way; ``lasts`` tells how long the balance lasts at
    the pace of the days just before today, None where nothing was used on them.
    """

    as_of: datetime
    account: AccountRow
    grants: tuple[Grant, ...]
    totals: tuple[TotalLine, ...]
    used: Series
    lasts: Lasting | None
    expiring: Expiring | None
    entries: Sequence[EntryRow]


async def statement_of(book: Snapshot, user: str, zone: ZoneInfo, *, entries_shown: int) -> Statement:
    """Read a user's statement, with so many entries. Raises NotFound.

    What grants burn is worked out here and not written: to look changes nothing.
    """
    account = account_id(book.project, user)
    found = await accounts.find(book.reader, account)
    if found is None:
        raise NoAccount(user)
    grants = await entries.grants(book.reader, account, Asset.TOKENS)
    totals = await reports.totals(book.reader, account)
    used = await series.of(book, Window.preset(Preset.MONTH, book.as_of, zone), Filters(user=user), "model")
    whole_days = [bar.amounts.total_tokens for bar in used.bars[:-1]]
    return Statement(
        as_of=book.as_of,
        account=found,
        grants=tuple(each for each in burn_down(grants, found.balance, book.as_of).grants if each.remaining),
        totals=tuple(TotalLine(service, model, Figures.of([sums])) for service, model, sums in totals),
        used=used,
        lasts=lasting(found.balance, grants, whole_days[-LATELY_DAYS:], book.as_of),
        expiring=expiring_soon(found.balance, grants, book.as_of),
        entries=await entries.page(book.reader, account, Asset.TOKENS, None, entries_shown),
    )
