"""Mutes: for how long nobody is sent alerts of a condition, and how long that may be. Pure rules."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from jangbu.domain.alerts import Alert, Condition

__all__ = ["MUTABLE", "Mute", "longest"]

_RECORDING = frozenset({Condition.RECORDING_FAILED, Condition.RECORDING_DELAYED, Condition.RECORDING_SPOOLED})
_RECORDING_LONGEST = timedelta(hours=1)
_LONGEST = timedelta(days=30)
MUTABLE = tuple(condition for condition in Condition if condition is not Condition.TEST)
"""What can be muted: a test is asked for by whoever wants to see it."""


@dataclass(frozen=True, slots=True)
class Mute:
    """That alerts of a condition which are raised from ``muted_at`` on are kept and not sent.

    It lasts ``until`` a time, or to ``ended_at`` where somebody ended it before.
    """

    id: UUID
    condition: Condition
    muted_at: datetime
    until: datetime
    reason: str
    muted_by: str
    ended_at: datetime | None = None

    @property
    def end(self) -> datetime:
        """When it is over."""
        return self.until if self.ended_at is None else min(self.until, self.ended_at)

    def covers(self, alert: Alert) -> bool:
        """Tell whether an alert is kept and not sent."""
        return alert.condition is self.condition and self.muted_at <= alert.raised_at < self.end

    def kept_from_all(self, told_at: datetime, now: datetime) -> bool:
        """Tell whether what was told at a time was told to nobody, and may be told by now: the mute is over."""
        return self.muted_at <= told_at < self.end <= now


def longest(condition: Condition) -> timedelta:
    """Give how long a condition may be muted: usage that is not recorded costs money, and is heard of in an hour."""
    return _RECORDING_LONGEST if condition in _RECORDING else _LONGEST
