"""A user's own view: what they have, what they used it for and their latest calls, all of one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from jangbu.domain.forecast import Expiring, expiring_soon, lasting
from jangbu.domain.ledger import Asset, account_id
from jangbu.domain.standing import LATELY_DAYS, Standing, standing
from jangbu.domain.windows import Preset, Window
from jangbu.errors import NotFound
from jangbu.metering import series
from jangbu.metering.series import Line, Series
from jangbu.metering.snapshots import Filters, snapshot
from jangbu.storage import accounts, entries, reports
from jangbu.storage.accounts import AccountRow
from jangbu.storage.database import Database
from jangbu.storage.reports import CallRow

__all__ = ["View", "view_of"]


@dataclass(frozen=True, slots=True)
class View:
    """What a user is shown of their own account. ``used`` has a bar for each of the last 30 days, today's under way."""

    account: AccountRow
    standing: Standing
    expiring: Expiring | None
    used: Series
    services: tuple[Line, ...]
    models: tuple[Line, ...]
    calls: Sequence[CallRow]
    as_of: datetime


async def view_of(
    database: Database, project: str, account: UUID, zone: ZoneInfo, *, calls: int, low_balance: int | None
) -> View:
    """Read the view of an account in a time zone, with so many of its latest calls. Raises NotFound."""
    async with snapshot(database, project) as book:
        found = await accounts.find(book.reader, account)
        if found is None or account_id(project, found.user) != account:
            raise NotFound("there is no such account")
        window, filters = Window.preset(Preset.MONTH, book.as_of, zone), Filters(user=found.user)
        by_service = await series.of(book, window, filters, "service")
        by_model = await series.of(book, window, filters, "model")
        latest = await reports.calls(book.reader, account, None, calls)
        grants = await entries.grants(book.reader, account, Asset.TOKENS)
    # Today counts, though it has not ended: who uses up a balance on their first day is told so on that day.
    lately = [bar.amounts.total_tokens for bar in by_service.bars[-LATELY_DAYS:]]
    lasts = lasting(found.balance, grants, lately, by_service.as_of)
    return View(
        account=found,
        standing=standing(found.balance.available, lasts, low_balance),
        expiring=expiring_soon(found.balance, grants, by_service.as_of),
        used=by_service,
        services=by_service.lines,
        models=by_model.lines,
        calls=latest,
        as_of=by_service.as_of,
    )
