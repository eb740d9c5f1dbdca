"""An account's history as somebody reads it: its entries by kind and time, and the calls that each of them is of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from jangbu.domain.ledger import Asset, Balance, EntryKind
from jangbu.errors import NotFound
from jangbu.metering.snapshots import Snapshot
from jangbu.storage import accounts, entries, reports, usage
from jangbu.storage.entries import EntryRow
from jangbu.storage.reports import CallRow
from jangbu.storage.usage import UsageRecord, first_id

__all__ = ["CALLS_MAX", "CallOfEntry", "Statement", "Traced", "balances_of", "entries_of", "statement_of", "trace"]

CALLS_MAX = 1_000
"""How many calls of one entry are listed."""

_BEFORE, _AFTER = timedelta(hours=2), timedelta(hours=1)
"""Where the calls of an entry nearly always lie: they were begun shortly before it, by whichever clock."""
_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)
_SEQ_MAX = 2**63 - 1
_DEBITS = (EntryKind.USAGE, EntryKind.OVERRUN)


@dataclass(frozen=True, slots=True)
class CallOfEntry:
    """A call, and what it was charged in the asset of the entry."""

    call: CallRow
    amount: int


@dataclass(frozen=True, slots=True)
class Traced:
    """An entry and the calls that it is of: those that a debit sums, or the one of which something was given back.

    ``missing`` is what no call that is kept accounts for: retention dropped their records, or there are more of them
    than are listed.
    """

    entry: EntryRow
    hash: str | None
    calls: tuple[CallOfEntry, ...]
    missing: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What an account had when a time began and when it ended, as its entries say."""

    opening: int
    closing: int

    @property
    def change(self) -> int:
        """The sum of the entries of that time."""
        return self.closing - self.opening


async def balances_of(book: Snapshot, user: str) -> Mapping[Asset, Balance]:
    """Give a user's balances, by asset. Raises NotFound."""
    return await accounts.balances(book.reader, await book.account(user))


async def entries_of(
    book: Snapshot,
    user: str,
    asset: Asset,
    *,
    kind: EntryKind | None = None,
    between: tuple[datetime, datetime] | None = None,
    before: int | None = None,
    limit: int = 100,
) -> Sequence[EntryRow]:
    """Give a user's entries, newest first: of one kind, from one moment to before another, before a number.

    Raises NotFound.
    """
    account = await book.account(user)
    first, end = 1, _SEQ_MAX
    if between is not None:
        first = await entries.locate(book.reader, account, asset, between[0])
        end = await entries.locate(book.reader, account, asset, between[1])
    end = end if before is None else min(end, before)
    return await entries.page_between(book.reader, account, asset, kind, first, end, limit)


async def statement_of(book: Snapshot, user: str, asset: Asset, between: tuple[datetime, datetime]) -> Statement:
    """Give what a user had at a moment and just before another one. Raises NotFound."""
    account = await book.account(user)
    opening, closing = [
        await _balance_before(book, account, asset, await entries.locate(book.reader, account, asset, moment))
        for moment in between
    ]
    return Statement(opening, closing)


async def _balance_before(book: Snapshot, account: UUID, asset: Asset, seq: int) -> int:
    """Give the balance that an entry found. Before the first one there was nothing."""
    found = await entries.show(book.reader, account, asset, seq - 1)
    return 0 if found is None else found[0].balance_after


async def trace(book: Snapshot, user: str, asset: Asset, seq: int) -> Traced:
    """Give an entry by its number, with the calls that it is of. Raises NotFound."""
    account = await book.account(user)
    found = await entries.show(book.reader, account, asset, seq)
    if found is None:
        raise NotFound(f"user {user!r} has no entry {seq}", hint="choose one of the list")
    entry, written = found
    calls: tuple[CallOfEntry, ...] = ()
    if entry.kind in _DEBITS and entry.posting is not None:
        calls = await _summed(book, account, asset, entry)
    elif entry.reference is not None:
        record = await usage.find(book.reader, account, entry.reference)
        calls = () if record is None else (_referred(record, asset),)
    missing = -entry.delta - sum(each.amount for each in calls) if entry.kind in _DEBITS else 0
    return Traced(entry, None if written is None else written.hex(), calls, missing)


async def _summed(book: Snapshot, account: UUID, asset: Asset, entry: EntryRow) -> tuple[CallOfEntry, ...]:
    """Give the calls that a debit sums. Where those of its time are not all, the account's other ones are looked at."""
    near = (first_id(entry.created_at - _BEFORE), first_id(entry.created_at + _AFTER))
    calls: tuple[CallOfEntry, ...] = ()
    for span in (near, (_FIRST, _LAST)):
        found = await reports.calls_of_entry(book.reader, account, asset, entry, span, CALLS_MAX)
        calls = tuple(CallOfEntry(call, amount) for call, amount in found)
        if sum(each.amount for each in calls) == -entry.delta or len(calls) == CALLS_MAX:
            break
    return calls


def _referred(record: UsageRecord, asset: Asset) -> CallOfEntry:
    call = CallRow(
        record.id,
        record.created_at,
        record.service,
        record.model,
        record.prompt + record.tool,
        record.candidates + record.thoughts,
        record.total,
        record.cost_nano,
        record.anomalies,
    )
    return CallOfEntry(call, record.total if asset is Asset.TOKENS else record.charge_nano or 0)
