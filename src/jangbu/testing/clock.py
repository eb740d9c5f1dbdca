"""A clock that stands still until it is told to move."""

from datetime import UTC, datetime, timedelta

__all__ = ["SettableClock"]

_START = datetime(2026, 1, 1, tzinfo=UTC)


class SettableClock:
    """A ``jangbu.clock.Clock`` for tests: it says what it was last set to.

    >>> clock = SettableClock()
    >>> clock.advance(timedelta(hours=1)).isoformat()
    '2026-01-01T01:00:00+00:00'
    """

    def __init__(self, moment: datetime = _START) -> None:
        self._moment = _in_utc(moment)

    def now(self) -> datetime:
        """Give the moment that was set, in UTC."""
        return self._moment

    def set(self, moment: datetime) -> datetime:
        """Set the moment, which must name its zone; earlier than now is allowed, as machines' clocks do that too."""
        self._moment = _in_utc(moment)
        return self._moment

    def advance(self, duration: timedelta) -> datetime:
        """Move forward by the duration and give the new moment."""
        return self.set(self._moment + duration)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone is ambiguous: give it one, such as datetime.UTC")
    return moment.astimezone(UTC)
