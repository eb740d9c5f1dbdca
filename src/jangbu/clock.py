"""Time, passed in: nothing else in Jangbu reads the machine's clock."""

import os
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

__all__ = ["Clock", "SystemClock", "new_id"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION_7 = 7 << 76
_VARIANT = 2 << 62
_LAST_62_BITS = (1 << 62) - 1
_RANDOM_BYTES = 10
"""74 of their bits are used: 12 behind the version, 62 behind the variant."""


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
    """Make a UUIDv7 (RFC 9562, 5.7) for the clock's present moment: unique, and ordered by time to the millisecond.

    It is made here because the packages that make one bind an app to versions that others of its packages refuse.
    """
    since_epoch = clock.now() - _EPOCH
    milliseconds = (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000 + since_epoch.microseconds // 1_000
    random = int.from_bytes(os.urandom(_RANDOM_BYTES))
    return UUID(int=milliseconds << 80 | _VERSION_7 | random >> 68 << 64 | _VARIANT | random & _LAST_62_BITS)
