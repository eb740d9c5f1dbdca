"""Time, passed in: nothing else in Jangbu reads the machine's clock."""

from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from uuid_utils.compat import uuid7

__all__ = ["Clock", "SystemClock", "new_id"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """A source of the present moment."""

    def now(self) -> datetime:
        """Give the present moment, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Give the present moment, in UTC."""
        return datetime.now(UTC)


def new_id(clock: Clock) -> UUID:
    """Make a UUIDv7 for the clock's present moment: unique, and ordered by time to the millisecond."""
    since_epoch = clock.now() - _EPOCH
    microseconds = (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds
    return uuid7(nanoseconds=microseconds * 1000)
