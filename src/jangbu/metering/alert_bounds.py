"""When alerts are raised, repeated and given up: what the settings say, as the parts that tell somebody need it."""

from dataclasses import dataclass

from jangbu.domain.alerts import RULES, Condition
from jangbu.domain.budgets import Budget

__all__ = ["AlertBounds"]

_ALMOST_PER_CENT = 75
"""Several processes tell each minute by clocks of their own: a little less than the interval keeps them apart."""


@dataclass(frozen=True, slots=True)
class AlertBounds:
    """When alerts are raised, repeated and given up, in seconds, and what a month may cost, None for anything."""

    delay_seconds: int = 10
    repeat_seconds: int = 3_600
    give_up_seconds: int = 86_400
    budget: Budget | None = None

    def repeat_ms(self, condition: Condition) -> int:
        """Give for how long the same condition is not told again, in milliseconds."""
        seconds = RULES[condition].repeat_seconds
        return (self.repeat_seconds if seconds is None else seconds) * 10 * _ALMOST_PER_CENT
