"""How a balance stands: by the app's own bound, else by how fast it goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.forecast import Lasting
from jangbu.domain.standing import Standing, standing

OK, LOW, EMPTY = Standing.OK, Standing.LOW, Standing.EMPTY


@pytest.mark.parametrize(
    ("available", "days", "low_balance", "expected"),
    [
        (0, None, None, EMPTY), (-1, 0, None, EMPTY), (0, 0, 100, EMPTY), (1, None, None, OK), (1, 2, None, LOW),
        (10**18, 2, None, LOW), (10**18, 0, None, LOW), (1, 3, None, OK), (1, 4, None, OK),
        (100, None, 100, LOW), (101, None, 100, OK), (101, 0, 100, OK), (1, 9, 1, LOW),
    ],
)  # fmt: skip
def test_a_balance_is_empty_low_or_enough(
    available: int, days: int | None, low_balance: int | None, expected: Standing
) -> None:
    lasts = None if days is None else Lasting(days, expiring=0)
    assert standing(available, lasts, low_balance) is expected


@given(st.integers(1, 2**62), st.integers(0, 10**6))
def test_what_lasts_longer_never_stands_worse(available: int, days: int) -> None:
    order = [EMPTY, LOW, OK]
    sooner, later = (standing(available, Lasting(each, expiring=0)) for each in (days, days + 1))
    assert order.index(sooner) <= order.index(later)
