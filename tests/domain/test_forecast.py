"""How many days a balance lasts: whole ones, never more than it would, and the same however large the numbers are."""

from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.forecast import Range, days_left, month_end

AMOUNTS = st.integers(0, 2**62)
USED = st.lists(AMOUNTS, min_size=1, max_size=60)


def test_it_lasts_as_long_as_the_average_day_fits_into_it() -> None:
    assert days_left(1_000, [100, 0, 200]) == 10
    assert days_left(999, [100, 0, 200]) == 9
    assert days_left(99, [100]) == 0


def test_who_used_nothing_is_told_no_number() -> None:
    assert days_left(1_000, [0, 0, 0]) is None
    assert days_left(1_000, []) is None


@given(st.integers(-(2**62), 0), USED.filter(any))
def test_a_balance_that_is_used_up_lasts_for_no_day(available: int, used: list[int]) -> None:
    assert days_left(available, used) == 0


@given(AMOUNTS, USED.filter(any))
def test_so_many_days_of_the_average_fit_and_not_one_more(available: int, used: list[int]) -> None:
    days = days_left(available, used)
    assert days is not None
    assert days * sum(used) <= available * len(used) < (days + 1) * sum(used)


@given(AMOUNTS, USED.filter(any), AMOUNTS)
def test_more_tokens_never_last_for_fewer_days_and_more_use_never_for_more(
    available: int, used: list[int], more: int
) -> None:
    days = days_left(available, used)
    assert days is not None
    assert (days_left(available + more, used) or 0) >= days
    assert (days_left(available, [used[0] + more, *used[1:]]) or 0) <= days


@given(AMOUNTS, USED.filter(any))
def test_the_order_of_the_days_does_not_matter(available: int, used: list[int]) -> None:
    assert days_left(available, sorted(used)) == days_left(available, used)


@given(AMOUNTS, USED.filter(any), st.integers(1, 10**6))
def test_it_does_not_matter_in_what_unit_is_counted(available: int, used: list[int], unit: int) -> None:
    assert days_left(available * unit, [each * unit for each in used]) == days_left(available, used)


def test_a_month_ends_as_the_weeks_before_today_went() -> None:
    assert month_end([7] * 7 + [14] * 7, 100, 3, 10) == Range(least=170, expected=205, most=240)


def test_today_is_never_less_than_it_is_already() -> None:
    assert month_end([7] * 14, 100, 1_000, 1) == Range(1_100, 1_100, 1_100)


def test_days_before_the_first_that_had_anything_do_not_count() -> None:
    assert month_end([0] * 14 + [7] * 14, 0, 0, 10) == Range(70, 70, 70)


def test_less_than_two_weeks_tell_of_no_month() -> None:
    assert month_end([0] * 15 + [7] * 13, 100, 3, 10) is None
    assert month_end([0] * 28, 0, 0, 10) is None
    assert month_end([], 0, 0, 10) is None


@given(st.lists(AMOUNTS, min_size=28, max_size=28), AMOUNTS, AMOUNTS, st.integers(1, 31))
def test_what_is_expected_lies_in_the_range_and_above_what_is_there(
    lately: list[int], before: int, today: int, to_come: int
) -> None:
    found = month_end(lately, before, today, to_come)
    if found is None:
        assert not any(lately[:15])
    else:
        assert before + today <= found.least <= found.expected <= found.most
