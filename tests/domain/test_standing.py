"""How a balance stands: by the app's own bound, else by how fast it goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.standing import Standing, standing

OK, LOW, EMPTY = Standing.OK, Standing.LOW, Standing.EMPTY


@pytest.mark.parametrize(
    ("available", "used_lately", "low_balance", "expected"),
    [
        (0, 0, None, EMPTY), (-1, 0, None, EMPTY), (0, 0, 100, EMPTY), (1, 0, None, OK), (1, 2, None, OK),
        (2_999, 7_000, None, LOW), (3_000, 7_000, None, OK), (3_001, 7_000, None, OK), (10**18, 2 * 10**18, None, OK),
        (100, 0, 100, LOW), (101, 0, 100, OK), (101, 10**9, 100, OK), (1, 0, 1, LOW),
    ],
)  # fmt: skip
def test_a_balance_is_empty_low_or_enough(
    available: int, used_lately: int, low_balance: int | None, expected: Standing
) -> None:
    assert standing(available, used_lately, low_balance) is expected


@given(st.integers(1, 2**62), st.integers(0, 2**62))
def test_more_tokens_never_stand_worse(available: int, used_lately: int) -> None:
    order = [EMPTY, LOW, OK]
    assert order.index(standing(available, used_lately)) <= order.index(standing(available + 1, used_lately))
