"""Verifications that somebody asks for: begun at once, carried on in the background, and read when they have ended.

One of a project is under way at a time, whichever process carries it on. It rests as long as it works, so that calls
have the rest of the processors.
"""

import asyncio
import time
from uuid import UUID

from jangbu import telemetry
from jangbu.clock import new_id
from jangbu.domain.ledger import project_id
from jangbu.errors import JangbuError, NotFound, StillRunning
from jangbu.metering.audit import Change
from jangbu.metering.content import digest
from jangbu.metering.evidence import restated
from jangbu.metering.facts import mismatch_facts
from jangbu.metering.meter import Metering
from jangbu.metering.once import done_once
from jangbu.metering.verify import Pace, Verification
from jangbu.storage import verification_runs
from jangbu.storage.database import Connection
from jangbu.storage.verification_runs import Outcome, RunRow

__all__ = ["VerificationRuns"]

_LEASE_SECONDS = 600
_KEPT_SECONDS = 60
_REST_PERCENT = 100


class VerificationRuns:
    """The asked verifications of one project, of which this process carries on those that it began."""

    def __init__(self, ledger: Metering, project: str) -> None:
        self._ledger = ledger
        self._project = project
        self._tasks: dict[UUID, asyncio.Task[None]] = {}

    async def begin(self, *, is_full: bool, key: str) -> tuple[RunRow, bool]:
        """Begin one, once for a key of the caller's; give it, and whether it was begun before with this key.

        Raises StillRunning while another one is under way.
        """
        run = new_id(self._ledger.clock)

        async def insert(connection: Connection) -> None:
            if not await verification_runs.begin(
                connection, self._project, run, is_full=is_full, seconds=_LEASE_SECONDS
            ):
                raise StillRunning("a verification is under way", hint="wait until it has ended")
            facts = {"id": str(run), "full": is_full}
            await self._ledger.audit.note(connection, Change("verification.start", "ledger", after=facts))

        content = digest("verification.start", is_full)
        known = await done_once(self._ledger.database, project_id(self._project), key, content, run, insert)
        if known == run:
            task = self._tasks[run] = asyncio.create_task(self._carry_on(run, is_full))
            task.add_done_callback(lambda _ended: self._tasks.pop(run, None))
        return await self.find(known), known != run

    async def find(self, run: UUID) -> RunRow:
        """Give one. Raises NotFound."""
        found = await verification_runs.find(self._ledger.database, self._project, run)
        if found is None:
            raise NotFound(f"there is no verification {run}")
        return found

    async def latest(self) -> RunRow | None:
        """Give the one that was begun last, or None where none ever was."""
        return await verification_runs.latest(self._ledger.database, self._project)

    async def close(self) -> None:
        """End what this process carries on, and write down that it has no result."""
        tasks = dict(self._tasks)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        for run in tasks:
            await self._give_up(run, "stopped")

    async def _carry_on(self, run: UUID, is_full: bool) -> None:
        try:
            report = await Verification(self._ledger.database, self._project).run(
                full=is_full,
                recompute=self._ledger.pricing.reprice,
                restate=restated,
                pace=Pace(_REST_PERCENT, _Lease(self._ledger, run).keep),
            )
            mismatches = [mismatch_facts(each) for each in report.mismatches]
            outcome = Outcome(
                None, report.since, report.accounts, report.records, report.checked, mismatches, sorted(report.cut)
            )
            await verification_runs.end(self._ledger.database, run, outcome)
        except Exception as error:
            telemetry.warn("verify.failed", str(error))
            await self._give_up(run, error.code if isinstance(error, JangbuError) else "failure")

    async def _give_up(self, run: UUID, failure: str) -> None:
        """Write down that one has no result; where that cannot be, it is lost when nothing has kept it for a while."""
        try:
            await verification_runs.end(self._ledger.database, run, Outcome(failure))
        except JangbuError as error:
            telemetry.warn("verify.failed", str(error))


class _Lease:
    """The right to go on, renewed while there is progress."""

    def __init__(self, ledger: Metering, run: UUID) -> None:
        self._ledger = ledger
        self._run = run
        self._kept = time.monotonic()

    async def keep(self) -> None:
        """Renew it now and then. Raises StillRunning where it was lost, and another one may be under way."""
        if time.monotonic() - self._kept < _KEPT_SECONDS:
            return
        if not await verification_runs.keep(self._ledger.database, self._run, seconds=_LEASE_SECONDS):
            raise StillRunning("the verification was too long without a sign of life")
        self._kept = time.monotonic()
