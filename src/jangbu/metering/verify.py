"""Verification: every figure of the book recomputed from what it is made of. An honest book gives no mismatch.

A verification walks through the accounts page by page, each check one short statement that sees one moment of the book,
so that calls which come in meanwhile never look like mismatches and nobody waits for it. Where everything was in order
that is noted, and the next verification goes on from there, less an hour: it looks at what moved since. Only a full one
looks at everything again, and sees old rows that were changed without anything having moved.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jangbu import telemetry
from jangbu.metering.spool import Sight
from jangbu.metering.verify_findings import Findings, Invariant, Mismatch, Told
from jangbu.metering.verify_records import Recompute, Restate
from jangbu.metering.verify_walk import How, Pace, Progress, Walk
from jangbu.storage import verifications
from jangbu.storage.database import Database
from jangbu.storage.verification import Scope

__all__ = ["Invariant", "Mismatch", "Pace", "Report", "Verification"]

GRACE_SECONDS = 600
"""How long after its time a hold may still be open: several rounds of the sweep."""

SPOOL_SECONDS = 60
"""How long a record may wait on the local disk until that is a mismatch."""

MISMATCHES_MAX = 100
"""How many mismatches of each invariant are listed: more of them tell no more."""

OVERLAP = timedelta(hours=1)
"""What is younger than this when it is verified is verified again the next time."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found: how much was checked, against what, and everything that differs.

    ``since`` is the moment from which on everything was checked, None where all was. ``accounts`` were looked at and
    ``records`` read again. ``cut`` names the invariants of which only the first mismatches are listed.
    """

    since: datetime | None
    accounts: int
    records: int
    checked: tuple[Invariant, ...]
    mismatches: tuple[Mismatch, ...]
    cut: frozenset[Invariant]

    @property
    def is_clean(self) -> bool:
        """Tell whether everything adds up."""
        return not self.mismatches


class Verification:
    """Verifies the book of one project. ``spools`` are those of the ledger, where this machine has any."""

    def __init__(
        self,
        database: Database,
        project: str,
        *,
        overlap: timedelta = OVERLAP,
        spools: Sequence[Sight] | None = None,
    ) -> None:
        self._database = database
        self._project = project
        self._overlap = overlap
        self._spools = spools

    async def run(
        self,
        *,
        full: bool = True,
        recompute: Recompute | None = None,
        restate: Restate | None = None,
        progress: Progress | None = None,
        told: Told | None = None,
        limit: int = MISMATCHES_MAX,
        grace_seconds: int = GRACE_SECONDS,
        pace: Pace | None = None,
    ) -> Report:
        """Check everything, or without ``full`` what moved since the last time, and tell what differs.

        ``recompute`` prices a record again, ``restate`` reads its evidence again; without them the costs or the counts
        of single records are not checked, and nothing is noted. ``told`` hears of each mismatch as it is found.
        """
        last = None if full else await verifications.find(self._database, self._project)
        scope = Scope(None if last is None else last.verified_to)
        started_at = await self._database.now()
        how = How(recompute, restate, progress or _tell_nobody, grace_seconds, pace or Pace())
        walk = Walk(self._database, self._project, scope, started_at - self._overlap, how, Findings(limit, told))
        await walk.go()
        findings = walk.findings
        if recompute is not None and restate is not None:
            await verifications.note(
                self._database,
                self._project,
                verified_to=walk.older_than,
                started_at=started_at,
                is_full=scope.is_full,
                accounts=walk.accounts,
                records=walk.records,
                mismatches=len(findings.listed),
            )
        for each in _waiting(self._spools or ()):
            findings.add(each)
        return _told(
            Report(
                scope.since, walk.accounts, walk.records, _checked(how, self._spools), findings.in_order, findings.cut
            )
        )


def _checked(how: How, spools: Sequence[Sight] | None) -> tuple[Invariant, ...]:
    left_out = {
        invariant
        for invariant, check in (
            (Invariant.COST, how.recompute),
            (Invariant.COUNTS, how.restate),
            (Invariant.SPOOL, spools),
        )
        if check is None
    }
    return tuple(invariant for invariant in Invariant if invariant not in left_out)


def _waiting(spools: Sequence[Sight]) -> Iterator[Mismatch]:
    for each in spools:
        if each.oldest_seconds is not None and each.oldest_seconds >= SPOOL_SECONDS:
            yield Mismatch(Invariant.SPOOL, None, None, f"records that wait in {each.directory}", 0, each.waiting)
        if each.unrecorded:
            yield Mismatch(
                Invariant.SPOOL, None, None, f"records in the quarantine of {each.directory}", 0, each.unrecorded
            )


def _tell_nobody(_step: str, _done: int, _total: int) -> None:
    """Report progress to nobody."""


def _told(report: Report) -> Report:
    """Tell whoever listens that the book does not add up; give the report."""
    if not report.is_clean:
        invariants = sorted({each.invariant.value for each in report.mismatches})
        telemetry.warn(
            "verify.mismatched",
            f"figures that do not add up: {len(report.mismatches):,}; `jangbu verify` lists them",
            mismatches=len(report.mismatches),
            invariants=", ".join(invariants),
        )
    return report
