"""What an alert is, which conditions raise one, and when a trouble that goes on is told again: pure rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

__all__ = [
    "HOLD_LEAK_SECONDS",
    "MONTHLY",
    "RECORDING_REPEAT_SECONDS",
    "RULES",
    "Alert",
    "Condition",
    "Episode",
    "Fact",
    "Phase",
    "Rule",
    "Severity",
]

Fact = int | str
"""What an alert tells besides its sentence: counts, ids and names of models; never a user, a key or an address."""


class Condition(StrEnum):
    """What is wrong."""

    RECORDING_FAILED = "recording_failed"
    RECORDING_DELAYED = "recording_delayed"
    RECORDING_SPOOLED = "recording_spooled"
    UNKNOWN_OUTCOME = "unknown_outcome"
    OVERRUN = "overrun"
    LATE = "late"
    UNPRICED = "unpriced"
    HOLD_LEAK = "hold_leak"
    BUDGET_NEAR = "budget_near"
    BUDGET_SPENT = "budget_spent"
    VERIFY_MISMATCH = "verify_mismatch"
    TEST = "test"


class Phase(StrEnum):
    """Where in its life a trouble is when it is told."""

    BEGAN = "began"
    LASTS = "lasts"
    ENDED = "ended"


class Severity(StrEnum):
    """Whether somebody should get up for it."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Rule:
    """When a condition raises an alert.

    ``repeat_seconds`` is how long the same is not told again, None where the settings decide; ``is_of_node`` says
    that each machine has this trouble for itself.
    """

    severity: Severity
    repeat_seconds: int | None
    is_of_node: bool = False


RECORDING_REPEAT_SECONDS = 60
HOLD_LEAK_SECONDS = 300
"""How long after its time an open hold is a leak: the sweeper ends such holds within a minute."""

MONTHLY = frozenset({Condition.BUDGET_NEAR, Condition.BUDGET_SPENT})
"""What is told once for each month and budget: their alerts' keys name both."""
_LONGER_THAN_A_MONTH = 45 * 86_400

RULES: Mapping[Condition, Rule] = {
    Condition.RECORDING_FAILED: Rule(Severity.CRITICAL, RECORDING_REPEAT_SECONDS, is_of_node=True),
    Condition.RECORDING_DELAYED: Rule(Severity.CRITICAL, RECORDING_REPEAT_SECONDS, is_of_node=True),
    Condition.RECORDING_SPOOLED: Rule(Severity.CRITICAL, RECORDING_REPEAT_SECONDS, is_of_node=True),
    Condition.UNKNOWN_OUTCOME: Rule(Severity.WARNING, None),
    Condition.OVERRUN: Rule(Severity.WARNING, None),
    Condition.LATE: Rule(Severity.WARNING, None),
    Condition.UNPRICED: Rule(Severity.WARNING, None),
    Condition.HOLD_LEAK: Rule(Severity.CRITICAL, None),
    Condition.BUDGET_NEAR: Rule(Severity.WARNING, _LONGER_THAN_A_MONTH),
    Condition.BUDGET_SPENT: Rule(Severity.CRITICAL, _LONGER_THAN_A_MONTH),
    Condition.VERIFY_MISMATCH: Rule(Severity.CRITICAL, None),
    Condition.TEST: Rule(Severity.INFO, 0),
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that somebody is told, once for each ``id``.

    ``key`` is the trouble that it belongs to: alerts of one key and phase are not told more often than their rule
    says. ``raised_at`` is in UTC, by the clock of the ``node`` (a host's name) that raised it.
    """

    id: UUID
    project: str
    condition: Condition
    phase: Phase
    key: str
    node: str
    raised_at: datetime
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        """How grave it is; that a trouble ended is grave no more."""
        return Severity.INFO if self.phase is Phase.ENDED else RULES[self.condition].severity


class Episode:
    """A trouble that comes as many small failures, told when it begins, while it lasts and when it ends.

    It begins once failures went on for ``after_ms`` without a success, is told again every ``repeat_ms`` in which it
    failed again, and ends with a success that no failure followed for ``quiet_ms``. Times are milliseconds of any
    clock that never goes back.
    """

    def __init__(self, *, after_ms: int, repeat_ms: int, quiet_ms: int) -> None:
        self._after_ms = after_ms
        self._repeat_ms = repeat_ms
        self._quiet_ms = quiet_ms
        self._first_ms: int | None = None
        self._last_ms = 0
        self._succeeded_ms: int | None = None
        self._told_ms: int | None = None
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Whether something failed since all was well."""
        return self._first_ms is not None

    @property
    def failures(self) -> int:
        """How often it failed since all was well."""
        return self._failures

    def lasted_ms(self, now_ms: int) -> int:
        """Give how long it has been going on."""
        return 0 if self._first_ms is None else now_ms - self._first_ms

    def fail(self, now_ms: int) -> Phase | None:
        """Note a failure; give what is to be told."""
        if self._first_ms is None:
            self._first_ms = now_ms
        self._last_ms = now_ms
        self._failures += 1
        return self._due(now_ms)

    def succeed(self, now_ms: int) -> None:
        """Note a success."""
        self._succeeded_ms = now_ms

    def tick(self, now_ms: int) -> Phase | None:
        """Give what is to be told because time has passed. What has ended without having been told is forgotten."""
        if self._first_ms is None:
            return None
        succeeded = self._succeeded_ms is not None and self._succeeded_ms >= self._last_ms
        if succeeded and self._told_ms is None:
            self.end()
            return None
        if succeeded:
            return Phase.ENDED if now_ms - self._last_ms >= self._quiet_ms else None
        return self._due(now_ms)

    def end(self) -> None:
        """Forget it, once its end was told."""
        self._first_ms = self._succeeded_ms = self._told_ms = None
        self._last_ms = self._failures = 0

    def _due(self, now_ms: int) -> Phase | None:
        if self._told_ms is None:
            if self.lasted_ms(now_ms) < self._after_ms:
                return None
            self._told_ms = now_ms
            return Phase.BEGAN
        if now_ms - self._told_ms < self._repeat_ms or self._last_ms <= self._told_ms:
            return None
        self._told_ms = now_ms
        return Phase.LASTS
