"""Verification: every figure of the book recomputed from what it is made of. An honest book gives no mismatch.

Balances, entries, debits, rollups and grants are compared in one snapshot, so calls that come in meanwhile never look
like mismatches. A record is never edited but for a price that was missing, so records are compared with their own
evidence page by page outside of it.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from jangbu.errors import IntegrityMismatch
from jangbu.metering.spool import Sight
from jangbu.metering.verify_records import Finding, Recompute, Restate, compare
from jangbu.storage import verification
from jangbu.storage.database import Connection, Database
from jangbu.storage.failures import translated
from jangbu.storage.verification import Difference

GRACE_SECONDS = 600
"""How long after its time a hold may still be open: several rounds of the sweep."""

SPOOL_SECONDS = 60
"""How long a record may wait on the local disk until that is a mismatch."""

MISMATCHES_MAX = 100
"""How many mismatches of each invariant are listed: more of them tell no more."""

Progress = Callable[[str, int, int], None]
"""Told the name of a step, how much of it is done, and how much it has."""

_RECORDS = "records"


class Invariant(StrEnum):
    """What must hold in every book."""

    ACCOUNTS = "accounts"
    """Every account has a token balance, and every balance an account."""
    BALANCES = "balances"
    """used = sum of the records = less the debits; granted = sum of all other entries."""
    HELD = "held"
    """held = sum of the holds that are open or of unknown outcome, and never below 0."""
    ENTRIES = "entries"
    """Entries are numbered 1 to version without gaps; each running balance is the one before it plus the delta."""
    CHAIN = "chain"
    """Each entry's hash is that of what it says after the hash before it; the balance has the latest."""
    POSTINGS = "postings"
    """The debits of a posting are the sum of its records, tokens and money, usage and overrun apart."""
    TOTALS = "totals"
    """Each user's running totals are the sums of the records, in every column."""
    DAILY = "daily"
    """Each user's daily figures are the sums of the records, in every column."""
    HOURLY = "hourly"
    """Everybody's hourly figures are the sums of the project's records, in every column."""
    GRANTS = "grants"
    """Grants are what entries granted and expired, and never burn more than their amount."""
    OVERDUE = "overdue"
    """No hold is open long after its time."""
    COST = "cost"
    """Cost and charge recompute to the bit from the evidence and the record's price version."""
    SPOOL = "spool"
    """Nothing waits on the local disk for longer than a drain takes."""
    COUNTS = "counts"
    """Counts and total are what the evidence says, and what does not add up in it is flagged."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One figure that is not what it should be. ``account`` and ``user`` are None for figures of everybody.

    ``expected`` is derived from the records, entries or evidence and ``found`` is what stands in the book; None
    stands for a price that is not known.
    """

    invariant: Invariant
    account: UUID | None
    user: str | None
    what: str
    expected: int | str | None
    found: int | str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found: how much was checked, against what, and everything that differs.

    ``cut`` names the invariants of which only the first mismatches are listed.
    """

    accounts: int
    records: int
    checked: tuple[Invariant, ...]
    mismatches: tuple[Mismatch, ...]
    cut: frozenset[Invariant]

    @property
    def is_clean(self) -> bool:
        """Tell whether everything adds up."""
        return not self.mismatches

    def require_clean(self) -> None:
        """Raise IntegrityMismatch unless everything adds up."""
        if self.mismatches:
            first = self.mismatches[0]
            raise IntegrityMismatch(
                f"{len(self.mismatches)} figures do not add up, first: {first.what} "
                f"should be {first.expected} and is {first.found}",
                hint="stop writing and restore from a backup, or correct it by an adjustment with a reason",
            )


_Check = tuple[Invariant, Callable[[], Awaitable[Sequence[Difference]]]]


class Verification:
    """Verifies the book of one project."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    async def run(
        self,
        *,
        recompute: Recompute | None = None,
        restate: Restate | None = None,
        progress: Progress | None = None,
        limit: int = MISMATCHES_MAX,
        grace_seconds: int = GRACE_SECONDS,
        spools: Sequence[Sight] | None = None,
    ) -> Report:
        """Check everything, and tell what differs. Nothing is changed. ``spools`` are those of the ledger.

        ``recompute`` prices a record again, ``restate`` reads its evidence again; without them the costs or the counts
        of single records are not checked.
        """
        tell = progress or _tell_nobody
        with translated():
            report = await self._run_in_snapshot(tell, limit, grace_seconds)
        if spools is not None:
            report = replace(
                report,
                checked=(*report.checked, Invariant.SPOOL),
                mismatches=(*report.mismatches, *_waiting(spools)),
            )
        if recompute is None and restate is None:
            return report
        found = await self._run_on_records(recompute, restate, tell, limit, report.records)
        checked = tuple(
            invariant
            for invariant, check in ((Invariant.COST, recompute), (Invariant.COUNTS, restate))
            if check is not None
        )
        return replace(
            report,
            checked=report.checked + checked,
            mismatches=report.mismatches + tuple(found),
            cut=report.cut | _cut(found, limit),
        )

    async def _run_in_snapshot(self, tell: Progress, limit: int, grace_seconds: int) -> Report:
        found: list[Mismatch] = []
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            size = await verification.size(connection, self._project)
            checks = self._checks(connection, limit, grace_seconds)
            for invariant, check in checks:
                tell(invariant.value, 0, 1)
                found += [_mismatch(invariant, difference) for difference in await check()]
                tell(invariant.value, 1, 1)
        checked = tuple(invariant for invariant, _ in checks)
        return Report(size.accounts, size.records, checked, tuple(found), _cut(found, limit))

    def _checks(self, connection: Connection, limit: int, grace_seconds: int) -> tuple[_Check, ...]:
        project = self._project
        return (
            (Invariant.ACCOUNTS, lambda: verification.accounts(connection, project, limit)),
            (Invariant.BALANCES, lambda: verification.balances(connection, project, limit)),
            (Invariant.HELD, lambda: verification.holds(connection, project, limit)),
            (Invariant.ENTRIES, lambda: verification.entries(connection, project, limit)),
            (Invariant.CHAIN, lambda: verification.chain(connection, project, limit)),
            (Invariant.POSTINGS, lambda: verification.postings(connection, project, limit)),
            (Invariant.TOTALS, lambda: verification.totals(connection, project, limit)),
            (Invariant.DAILY, lambda: verification.daily(connection, project, limit)),
            (Invariant.HOURLY, lambda: verification.hourly(connection, project, limit)),
            (Invariant.GRANTS, lambda: verification.grants(connection, project, limit)),
            (Invariant.OVERDUE, lambda: verification.overdue_holds(connection, project, limit, grace_seconds)),
        )

    async def _run_on_records(
        self, recompute: Recompute | None, restate: Restate | None, tell: Progress, limit: int, total: int
    ) -> list[Mismatch]:
        found: list[Mismatch] = []
        listed = Counter[Invariant]()
        done = 0
        tell(_RECORDS, 0, total)
        page = await verification.records(self._database, self._project)
        while page:
            for record in page:
                async for finding in compare(record, recompute, restate):
                    invariant = Invariant.COST if finding.of_cost else Invariant.COUNTS
                    listed[invariant] += 1
                    if listed[invariant] <= limit:
                        found.append(_of_record(invariant, record.account_id, record.user, finding))
            done += len(page)
            tell(_RECORDS, done, max(done, total))
            last = page[-1]
            page = await verification.records(self._database, self._project, (last.account_id, last.id))
        return found


def _waiting(spools: Sequence[Sight]) -> Iterator[Mismatch]:
    for each in spools:
        if each.oldest_seconds is not None and each.oldest_seconds >= SPOOL_SECONDS:
            yield Mismatch(Invariant.SPOOL, None, None, f"records that wait in {each.directory}", 0, each.waiting)


def _mismatch(invariant: Invariant, difference: Difference) -> Mismatch:
    return Mismatch(
        invariant, difference.account, difference.user, difference.what, difference.expected, difference.found
    )


def _of_record(invariant: Invariant, account: UUID, user: str, finding: Finding) -> Mismatch:
    return Mismatch(invariant, account, user, finding.what, finding.expected, finding.found)


def _cut(found: Sequence[Mismatch], limit: int) -> frozenset[Invariant]:
    listed = Counter(mismatch.invariant for mismatch in found)
    return frozenset(invariant for invariant, number in listed.items() if number >= limit)


def _tell_nobody(_step: str, _done: int, _total: int) -> None:
    """Report progress to nobody."""
