"""What is told while records wait on the disk: that they began to, that they still do, and that none waits any more."""

import asyncio
from pathlib import Path

from jangbu import telemetry

__all__ = ["SpoolTelling", "loop_seconds"]


class SpoolTelling:
    """Tells of one process' spool, each time once. Belongs to one event loop."""

    every_seconds = 60
    """How often it is told that records still wait."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._began_at: float | None = None
        self._told_at = 0.0

    def began(self) -> None:
        """Note that a record waits."""
        if self._began_at is None:
            self._began_at = self._told_at = loop_seconds()
            telemetry.warn("spool.began", f"the database does not take them: records wait in {self._directory}")

    def lasts(self, reason: object) -> None:
        """Note that some wait still, and why."""
        now = loop_seconds()
        if self._began_at is not None and now - self._told_at >= self.every_seconds:
            self._told_at = now
            seconds = int(now - self._began_at)
            telemetry.warn("spool.lasts", f"records have waited for {seconds} s: {reason}", seconds=seconds)

    def ended(self) -> None:
        """Note that nothing waits."""
        if self._began_at is not None:
            seconds, self._began_at = int(loop_seconds() - self._began_at), None
            telemetry.warn("spool.ended", f"the database has all records again, after {seconds} s", seconds=seconds)


def loop_seconds() -> float:
    """Give the seconds that the loop counts: what waits and how long is told by one clock."""
    return asyncio.get_running_loop().time()
