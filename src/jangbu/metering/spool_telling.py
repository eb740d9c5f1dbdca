"""What is told while records wait on the disk: that they began to, that they still do, and that none waits any more."""

import asyncio
from pathlib import Path

from jangbu import telemetry

__all__ = ["SpoolTelling", "loop_seconds"]

_AWAY = "the database does not take them"
_LOCKED = "other transactions keep their balances locked"


class SpoolTelling:
    """Tells of one process' spool, each time once. Belongs to one event loop.

    What waits for a balance that others keep locked is told of only when it has waited for long: most are soon free.
    """

    every_seconds = 60
    """How often it is told that records still wait."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._waits = False
        self._locked_since: float | None = None
        self._began_at: float | None = None
        self._told_at = 0.0

    def kept(self, *, is_away: bool) -> None:
        """Note that a record waits, and whether the database is away."""
        self._waits = True
        if is_away:
            self._begin(_AWAY)

    def failed(self, error: Exception) -> None:
        """Note that the database took nothing again."""
        if self._waits:
            self._begin(_AWAY)
        self._last(error)

    def locked(self) -> None:
        """Note that all that waits is for balances that others keep locked."""
        now = loop_seconds()
        if self._locked_since is None:
            self._locked_since = now
        elif now - self._locked_since >= self.every_seconds:
            self._begin(_LOCKED)
        self._last(_LOCKED)

    def ended(self) -> None:
        """Note that nothing waits."""
        self._waits, self._locked_since = False, None
        if self._began_at is not None:
            seconds, self._began_at = int(loop_seconds() - self._began_at), None
            telemetry.warn("spool.ended", f"the database has all records again, after {seconds} s", seconds=seconds)

    def _begin(self, why: str) -> None:
        if self._began_at is None:
            self._began_at = self._told_at = loop_seconds()
            telemetry.warn("spool.began", f"{why}: records wait in {self._directory}")

    def _last(self, why: object) -> None:
        now = loop_seconds()
        if self._began_at is not None and now - self._told_at >= self.every_seconds:
            self._told_at = now
            seconds = int(now - self._began_at)
            telemetry.warn("spool.lasts", f"records have waited for {seconds} s: {why}", seconds=seconds)


def loop_seconds() -> float:
    """Give the seconds that the loop counts: what waits and how long is told by one clock."""
    return asyncio.get_running_loop().time()
