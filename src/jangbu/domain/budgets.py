"""The budget of a month: what all calls of it may cost, and from when on somebody is told. Pure rules."""

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from jangbu.domain.alerts import Condition
from jangbu.domain.amounts import Amounts

__all__ = ["NEAR_PER_CENT", "Budget", "Spent"]

NEAR_PER_CENT = 80
"""How much of a budget is gone when it is near its end."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the calls of each month may cost by the price list, in nano-USD; months are those of the ``zone``."""

    nano: int
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Spent:
    """What the calls of the month that began on ``first`` used until ``today``, beside the budget for it.

    Calls that have no price count as nothing until they have one.
    """

    budget: Budget
    first: date
    today: date
    amounts: Amounts

    @property
    def per_cent(self) -> int:
        """How many hundredths of the budget are gone, rounded down."""
        return self.amounts.cost_nano * 100 // self.budget.nano

    @property
    def condition(self) -> Condition | None:
        """What somebody is told, or None."""
        if self.per_cent >= 100:
            return Condition.BUDGET_SPENT
        return Condition.BUDGET_NEAR if self.per_cent >= NEAR_PER_CENT else None
