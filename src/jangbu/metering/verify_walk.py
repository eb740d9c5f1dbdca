"""One walk through a book: accounts page by page, then what belongs to nobody, each check a short statement."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from jangbu.metering.retention import month_start
from jangbu.metering.verify_findings import Findings, Invariant, Mismatch
from jangbu.metering.verify_records import Finding, Recompute, Restate, compare
from jangbu.storage import verification
from jangbu.storage.database import Database
from jangbu.storage.usage import UsageRecord
from jangbu.storage.verification import Difference, Scope

Progress = Callable[[str, int, int], None]
"""Told the name of a step, how much of it is done, and how much it has."""

ACCOUNTS, RECORDS = "accounts", "records"
"""The steps."""

_PAGE_ACCOUNTS = 100
_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)
_RECORDS_AT_ONCE = 20
"""How many records are compared before others have their turn: each takes some 50 microseconds."""
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)

_Check = Callable[[Database, Sequence[UUID], Scope, int], Awaitable[Sequence[Difference]]]
_OF_ALL: tuple[tuple[Invariant, _Check], ...] = (
    (Invariant.BALANCES, verification.balances),
    (Invariant.HELD, verification.holds),
    (Invariant.ENTRIES, verification.entries),
    (Invariant.CHAIN, verification.chain),
)
_OF_MOVED: tuple[tuple[Invariant, _Check], ...] = (
    (Invariant.POSTINGS, verification.postings),
    (Invariant.TOTALS, verification.totals),
    (Invariant.DAILY, verification.user_quarters),
    (Invariant.DAILY, verification.user_longer),
    (Invariant.GRANTS, verification.grants),
)


async def go_on() -> None:
    """Go on whatever happens."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a walk is: after each piece of work it rests ``rest_percent`` of the time that it took.

    ``keep`` is called after each, and may raise what ends the walk.
    """

    rest_percent: int = 0
    keep: Callable[[], Awaitable[None]] = go_on


@dataclass(frozen=True, slots=True)
class How:
    """How a walk is made.

    ``recompute`` prices a record again and ``restate`` reads its evidence again; without them the costs or the counts
    of single records are not checked.
    """

    recompute: Recompute | None
    restate: Restate | None
    progress: Progress
    grace_seconds: int
    pace: Pace


@dataclass(slots=True)
class Walk:
    """Walks once. ``older_than`` is the moment up to which entries are noted as verified where nothing differs."""

    database: Database
    project: str
    scope: Scope
    older_than: datetime
    how: How
    findings: Findings
    accounts: int = 0
    records: int = 0
    _moved: list[UUID] = field(default_factory=list)
    _worked: float = field(default_factory=time.monotonic)

    async def go(self) -> None:
        """Check everything that is in the scope; what differs is in the findings then."""
        total, first_hour = await verification.size(self.database, self.project)
        self.how.progress(ACCOUNTS, 0, total)
        after = _FIRST
        while page := await verification.page(self.database, self.project, after, self.scope, _PAGE_ACCOUNTS):
            upto = page[-1].account
            await self._check_accounts(after, upto)
            moved = [each.account for each in page if self.scope.is_full or each.has_moved]
            await self._check_page([each.account for each in page], moved)
            self._moved += moved
            self.accounts += len(page)
            after = upto
            self.how.progress(ACCOUNTS, self.accounts, max(total, self.accounts))
        await self._check_accounts(after, _LAST)
        await self._check_hours(first_hour)
        await self._list(
            Invariant.OVERDUE,
            lambda room: verification.overdue_holds(self.database, self.project, room, self.how.grace_seconds),
        )

    async def _check_accounts(self, after: UUID, upto: UUID) -> None:
        await self._list(
            Invariant.ACCOUNTS,
            lambda room: verification.accounts(self.database, self.project, after, upto, room),
        )

    async def _check_page(self, ids: Sequence[UUID], moved: Sequence[UUID]) -> None:
        for invariant, check in _OF_ALL:
            await self._list(invariant, partial(check, self.database, ids, self.scope))
        if not moved:
            return
        for invariant, check in _OF_MOVED:
            await self._list(invariant, partial(check, self.database, moved, self.scope))
        for account in moved:
            await self._check_records(account)
        if self._may_note:
            sound = [account for account in moved if account not in self.findings.accounts]
            await verification.advance(self.database, sound, self.scope, self.older_than)

    @property
    def _may_note(self) -> bool:
        """Whether what is sound may be noted: everything was checked, and every account that is not is known."""
        return self.how.recompute is not None and self.how.restate is not None and not self.findings.cut

    async def _check_records(self, account: UUID) -> None:
        recompute, restate = self.how.recompute, self.how.restate
        if recompute is None and restate is None:
            return
        after = self.scope.first_record
        while page := await verification.records(self.database, account, after):
            for number, record in enumerate(page, 1):
                async for finding in compare(record, recompute, restate):
                    self._list_finding(record, finding)
                if number % _RECORDS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            self.records += len(page)
            self.how.progress(RECORDS, self.records, self.records)
            after = page[-1].id
            await self._rest()
            if len(page) < verification.PAGE_ROWS:
                return

    async def _check_hours(self, first: datetime | None) -> None:
        """Check the figures of everybody, month by month where all are; what seems to differ is looked at among all
        accounts, because others may have made calls since the walk passed by.
        """
        months = _months(first, self.older_than)
        if self.scope.first_hour is not None:
            suspects = await verification.project_quarters(
                self.database, self.project, self._moved, self.scope.first_hour, _END, self.findings.limit
            )
            spans = [(hour, next_hour(hour)) for hour in dict.fromkeys(hour for hour, _ in suspects)]
            months = [(self.scope.first_hour.replace(hour=0), _END)]
        else:
            spans = months
        for begin, end in spans:
            await self._list(Invariant.HOURLY, partial(self._check_quarters, begin, end))
        for begin, end in months:
            await self._list(
                Invariant.HOURLY, partial(verification.project_longer, self.database, self.project, begin, end)
            )

    async def _check_quarters(self, begin: datetime, end: datetime, room: int) -> Sequence[Difference]:
        found = await verification.project_quarters(self.database, self.project, None, begin, end, room)
        return [difference for _, difference in found]

    async def _list(self, invariant: Invariant, check: Callable[[int], Awaitable[Sequence[Difference]]]) -> None:
        room = self.findings.room(invariant)
        if room > 0:
            for found in await check(room):
                self.findings.add_difference(invariant, found)
            await self._rest()

    def _list_finding(self, record: UsageRecord, finding: Finding) -> None:
        invariant = Invariant.COST if finding.of_cost else Invariant.COUNTS
        self.findings.add(
            Mismatch(invariant, record.account_id, record.user, finding.what, finding.expected, finding.found)
        )

    async def _rest(self) -> None:
        """Leave the machine to others for a while."""
        await self.how.pace.keep()
        if rest_percent := self.how.pace.rest_percent:
            await asyncio.sleep((time.monotonic() - self._worked) * rest_percent / 100)
            self._worked = time.monotonic()


def next_hour(hour: datetime) -> datetime:
    """Give the hour after an hour."""
    return datetime.fromtimestamp(hour.timestamp() + 3600, UTC)


def _months(first: datetime | None, last: datetime) -> list[tuple[datetime, datetime]]:
    """Give spans that cover all time, cut where months begin, from the first one with figures to the last."""
    if first is None:
        return [(_BEGINNING, _END)]
    cuts, at = [_BEGINNING], month_start(first.astimezone(UTC), 1)
    while at < last:
        cuts.append(at)
        at = month_start(at, 1)
    return list(zip(cuts, [*cuts[1:], _END], strict=True))
