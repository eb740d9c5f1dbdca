"""Verification that happens by itself: one process after another looks at what moved, and warns of what differs."""

import asyncio
import random
import time
from typing import Self
from uuid import UUID, uuid4

from jangbu import telemetry
from jangbu.metering.verify import Mismatch, Pace, Report, Verification
from jangbu.metering.verify_records import Recompute, Restate
from jangbu.storage import verifications
from jangbu.storage.database import Database

__all__ = ["Verifier"]

_ASKED_SECONDS_MAX = 60
"""How often it is asked whether a verification is due."""
_LEASE_SECONDS = 600
_KEPT_SECONDS = 60
_REST_PERCENT = 100
"""It rests as long as it works, so that it never has more than half of a processor."""
_WARNINGS_MAX = 10
"""How many mismatches of one verification are warned of one by one."""


class Verifier:
    """Verifies a project every ``seconds`` from when it is entered until it is left; never where that is 0.

    Any number of processes may do so: the database lets one of them at a time, and only where it is due.
    """

    def __init__(
        self, database: Database, project: str, *, recompute: Recompute, restate: Restate, seconds: int
    ) -> None:
        self._database = database
        self._project = project
        self._recompute = recompute
        self._restate = restate
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to verify now and then."""
        if self._seconds:
            self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End it; what was noted as verified stays so."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def verify(self) -> Report | None:
        """Verify what moved, if that is due and nobody else is at it; give what was found, or None."""
        runner = uuid4()
        if not await verifications.claim(
            self._database, self._project, runner, every_seconds=self._seconds, seconds=_LEASE_SECONDS
        ):
            return None
        try:
            report = await Verification(self._database, self._project).run(
                full=False,
                recompute=self._recompute,
                restate=self._restate,
                told=_Warnings().tell,
                pace=Pace(_REST_PERCENT, _Lease(self._database, self._project, runner).keep),
            )
        except _TakenOverError:
            return None
        finally:
            await verifications.leave(self._database, self._project, runner)
        telemetry.emit("verify.ended", mismatches=len(report.mismatches), records=report.records)
        return report

    async def _run(self) -> None:
        while True:
            # Processes that were started together shall not ask together.
            await asyncio.sleep(min(self._seconds, _ASKED_SECONDS_MAX) * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                await self.verify()
            except Exception as error:
                telemetry.warn("verify.failed", str(error))


class _TakenOverError(Exception):
    """Another process verifies now: this one was too long without a sign of life."""


class _Lease:
    """The right to verify, renewed while there is progress."""

    def __init__(self, database: Database, project: str, runner: UUID) -> None:
        self._database = database
        self._project = project
        self._runner = runner
        self._kept = time.monotonic()

    async def keep(self) -> None:
        """Renew it now and then. Raises _TakenOverError."""
        if time.monotonic() - self._kept < _KEPT_SECONDS:
            return
        if not await verifications.keep(self._database, self._project, self._runner, seconds=_LEASE_SECONDS):
            raise _TakenOverError
        self._kept = time.monotonic()


class _Warnings:
    """Warns of the first mismatches as they are found; how many there were in all is told by the verification."""

    def __init__(self) -> None:
        self._number = 0

    def tell(self, mismatch: Mismatch) -> None:
        """Warn of a mismatch."""
        self._number += 1
        if self._number <= _WARNINGS_MAX:
            whose = "" if mismatch.user is None else f" of {mismatch.user}"
            telemetry.warn(
                "verify.mismatch",
                f"{mismatch.what}{whose} should be {mismatch.expected} and is {mismatch.found}",
                invariant=mismatch.invariant.value,
                user=mismatch.user,
            )
