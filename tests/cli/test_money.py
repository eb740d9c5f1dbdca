"""Money and tokens as people read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.cli.money import counted, dollars, tokens


@pytest.mark.parametrize(
    ("nano", "shown"),
    [
        (None, "unpriced"),
        (0, "$0.000000"),
        (1, "<$0.000001"),
        (499, "<$0.000001"),
        (500, "$0.000001"),
        (1_000, "$0.000001"),
        (123_456, "$0.000123"),
        (9_999_999, "$0.010000"),
        (10_000_000, "$0.0100"),
        (1_234_567_890, "$1.2346"),
        (1_234_567_891_234_567, "$1,234,567.8912"),
        (-500_000_000, "-$0.5000"),
    ],
)
def test_dollars_read_as_documented(nano: int | None, shown: str) -> None:
    assert dollars(nano) == shown


@given(st.integers(-(2**63), 2**63 - 1).filter(bool))
def test_what_is_not_nothing_never_reads_nothing_and_is_never_off_by_more_than_half_a_digit(nano: int) -> None:
    shown = dollars(nano)
    assert any(digit in shown for digit in "123456789")
    if "<" not in shown:
        off = abs(Decimal(shown.replace("$", "").replace(",", "")) - Decimal(nano) / 10**9)
        assert off <= (Decimal("0.0000005") if abs(nano) < 10_000_000 else Decimal("0.00005"))


def test_tokens_are_grouped_and_an_unknown_count_is_blank() -> None:
    assert (tokens(1_234_567), tokens(None)) == ("1,234,567", "")


def test_one_of_a_thing_is_named_as_one() -> None:
    assert [counted(number, "token") for number in (0, 1, 1_000, -1)] == [
        "0 tokens",
        "1 token",
        "1,000 tokens",
        "-1 token",
    ]
    assert [counted(number, "token", "+") for number in (1, -1, 1_000)] == ["+1 token", "-1 token", "+1,000 tokens"]
