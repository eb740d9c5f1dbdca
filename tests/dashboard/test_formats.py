"""How figures are written: exact in tables, short on tiles, and never as nothing where there is something."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.dashboard.formats import Formats

ENGLISH, KOREAN = Formats("en", "America/New_York"), Formats("ko", "Asia/Seoul")
AT = datetime(2026, 11, 27, 15, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "exact", "short", "korean"),
    [
        (0, "0", "0", "0"), (999, "999", "999", "999"), (12_345, "12,345", "12.3K", "1.2만"),
        (287_626_184, "287,626,184", "287.6M", "2.9억"), (-1_500, "-1,500", "-1.5K", "-1,500"),
        (9_999, "9,999", "10K", "9,999"), (10_000, "10,000", "10K", "1만"),
    ],
)  # fmt: skip
def test_numbers_are_grouped_and_shortened_by_language(value: int, exact: str, short: str, korean: str) -> None:
    assert ENGLISH.number(value) == KOREAN.number(value) == exact
    assert (ENGLISH.compact(value), KOREAN.compact(value)) == (short, korean)


@pytest.mark.parametrize(
    ("nano", "written"),
    [
        (0, "$0.00"), (1, "<$0.000001"), (-1, "<$0.000001"), (999, "<$0.000001"), (1_000, "$0.000001"),
        (125_000, "$0.000125"), (9_999_999, "$0.01"), (10_000_000, "$0.01"), (12_345_678_901, "$12.35"),
        (-5_000_000_000, "-$5.00"), (2**63 - 1, "$9,223,372,036.85"), (None, "–"),
    ],
)  # fmt: skip
def test_money_is_in_cents_and_finer_below_one(nano: int | None, written: str) -> None:
    assert ENGLISH.money(nano) == written


@given(st.integers(1, 10**15))
def test_what_costs_something_is_never_shown_as_nothing(nano: int) -> None:
    shown = ENGLISH.money(nano)
    assert shown.startswith("<") or any(digit in shown for digit in "123456789")


@given(st.integers(-(2**63), 2**63 - 1))
def test_exact_money_is_exact(nano: int) -> None:
    text = ENGLISH.money_exact(nano).replace("$", "").replace(",", "")
    whole, _, rest = text.partition(".")
    assert int(whole + rest.ljust(9, "0")) == nano or (whole in {"-0", "0"} and int(rest.ljust(9, "0")) == abs(nano))


def test_times_are_those_of_the_zone() -> None:
    assert ENGLISH.moment(AT) == "Nov 27, 2026, 10:30:05\u202fAM"
    assert KOREAN.moment(AT) == "2026. 11. 28. 오전 12:30:05"
    assert ENGLISH.day(AT) == "Nov 27, 2026"
    assert KOREAN.day(AT) == "2026. 11. 28."
    assert KOREAN.day(date(2026, 1, 2)) == "2026. 1. 2."
    assert KOREAN.iso(AT) == "2026-11-28T00:30:05+09:00"
    assert ENGLISH.moment(None) == "–"


def test_shares_are_rounded_and_of_nothing_there_is_none() -> None:
    assert ENGLISH.percent(1, 3) == "33.3%"
    assert ENGLISH.percent(1, 0) == "–"
    assert [ENGLISH.percent(part, 10_000) for part in (0, 4, 5, 6, 15)] == ["0.0%", "<0.1%", "<0.1%", "0.1%", "0.2%"]
    assert KOREAN.percent(1, 10**30) == "<0.1%", "what is not nothing is never said to be"


@pytest.mark.parametrize(
    ("milliseconds", "english", "korean"),
    [
        (0, "0 ms", "0ms"), (999, "999 ms", "999ms"), (1_250, "1.2 sec", "1.2초"), (90_000, "1.5 min", "1.5분"),
        (7_200_000, "2 hr", "2시간"), (None, "–", "–"),
    ],
)  # fmt: skip
def test_a_duration_is_in_the_unit_that_suits_it(milliseconds: int | None, english: str, korean: str) -> None:
    assert (ENGLISH.duration(milliseconds), KOREAN.duration(milliseconds)) == (english, korean)
