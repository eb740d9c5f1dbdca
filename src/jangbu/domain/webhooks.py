"""What the app is told of its users: pure rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

__all__ = ["Event", "EventKind", "EventState", "Low", "Told"]

Told = int | str | list[str]
"""What an event tells besides its user: counts, ids and kinds; never a key or content."""


class EventKind(StrEnum):
    """What happened."""

    BALANCE_LOW = "balance.low"
    GRANT_USED_UP = "grant.used_up"
    CALL_REFUSED = "call.refused"
    RECORD_FAILED = "record.failed"
    CALL_ANOMALY = "call.anomaly"
    TEST = "webhook.test"


class EventState(StrEnum):
    """Whether an event arrived."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that the app is told of one user, under an ``id`` that stays however often it is sent."""

    id: UUID
    project: str
    kind: EventKind
    user: str
    created_at: datetime
    facts: Mapping[str, Told]


@dataclass(frozen=True, slots=True)
class Low:
    """When a balance is low: below the threshold. What fell is told again once it had ``clear`` in between."""

    threshold: int

    @property
    def clear(self) -> int:
        """Give from where on a balance is low no more: a tenth above, so that small refunds tell nothing twice."""
        return self.threshold + max(1, self.threshold // 10)
