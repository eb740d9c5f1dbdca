"""A month's budget is near its end from four fifths on, and gone once calls cost as much as it."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.alerts import Condition
from jangbu.domain.amounts import Amounts
from jangbu.domain.budgets import Budget, Spent

SEOUL = ZoneInfo("Asia/Seoul")


def spent(cost: int, budget: int) -> Spent:
    return Spent(Budget(budget, SEOUL), date(2026, 12, 1), date(2026, 12, 9), Amounts(calls=1, cost_nano=cost))


@pytest.mark.parametrize(
    ("cost", "condition"),
    [
        (0, None),
        (799, None),
        (800, Condition.BUDGET_NEAR),
        (999, Condition.BUDGET_NEAR),
        (1_000, Condition.BUDGET_SPENT),
        (70_000, Condition.BUDGET_SPENT),
    ],
)
def test_somebody_is_told_at_four_fifths_and_when_all_of_it_is_gone(cost: int, condition: Condition | None) -> None:
    assert spent(cost, 1_000).condition is condition


@given(st.integers(0, 10**18), st.integers(1, 10**18))
def test_no_budget_is_gone_before_calls_cost_as_much_as_it_and_none_is_left_then(cost: int, budget: int) -> None:
    found = spent(cost, budget)
    assert (found.condition is Condition.BUDGET_SPENT) == (cost >= budget)
    assert found.per_cent * budget <= cost * 100 < (found.per_cent + 1) * budget
