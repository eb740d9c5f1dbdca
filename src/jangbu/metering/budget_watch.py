"""What is told of a month's budget, by whichever node looks: once for each month, budget and condition."""

from collections.abc import Mapping
from dataclasses import dataclass

from jangbu.domain.alerts import Condition, Fact
from jangbu.domain.budgets import Budget
from jangbu.metering.months import spent_of
from jangbu.metering.snapshots import snapshot
from jangbu.storage.database import Database

__all__ = ["BudgetAlert", "budget_alert"]


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """What somebody is to be told of a budget. ``key`` is the same however often one looks."""

    condition: Condition
    key: str
    facts: Mapping[str, Fact]


async def budget_alert(database: Database, project: str, budget: Budget) -> BudgetAlert | None:
    """Give what is to be told of the month that is under way, None where enough of the budget is left."""
    async with snapshot(database, project) as book:
        spent = await spent_of(book, budget)
    if (condition := spent.condition) is None:
        return None
    month = f"{spent.first:%Y-%m}"
    facts: dict[str, Fact] = {
        "month": month,
        "days": spent.today.day,
        "per_cent": spent.per_cent,
        "cost_nano": spent.amounts.cost_nano,
        "budget_nano": budget.nano,
        "unpriced": spent.amounts.unpriced,
    }
    return BudgetAlert(condition, f"{condition.value}:{month}:{budget.nano}", facts)
