"""How long a balance lasts: whole days, as the ledger burns it, and the same however large the numbers are."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.forecast import Expiring, Lasting, Range, expiring_soon, lasting, month_end
from jangbu.domain.ledger import Balance, Grant, burn_down

NOW = datetime(2027, 1, 31, 9, tzinfo=UTC)
DAY = timedelta(days=1)
AMOUNTS = st.integers(0, 2**62)
USED = st.lists(AMOUNTS, min_size=1, max_size=60)


def granted(*grants: tuple[int, int | None], now: datetime = NOW) -> tuple[Grant, ...]:
    """Make grants of so many tokens that end after so many days."""
    return tuple(
        Grant(UUID(int=number), amount, expires_at=None if days is None else now + days * DAY)
        for number, (amount, days) in enumerate(grants)
    )


def days_left(available: int, used: Sequence[int]) -> int | None:
    """Give how long tokens of one grant last that never ends."""
    found = lasting(Balance(max(available, 0), max(-available, 0)), granted((max(available, 0), None)), used, NOW)
    return None if found is None else found.days


def test_it_lasts_as_long_as_the_average_day_fits_into_it() -> None:
    assert days_left(1_000, [100, 0, 200]) == 10
    assert days_left(999, [100, 0, 200]) == 9
    assert days_left(99, [100]) == 0


def test_who_used_nothing_is_told_no_number() -> None:
    assert days_left(1_000, [0, 0, 0]) is None
    assert days_left(1_000, []) is None


@given(st.integers(-(2**61), 0), USED.filter(any))
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


@pytest.mark.parametrize(
    ("grants", "balance", "days", "expiring"),
    [
        # At ten a day: what expires is not used for longer than it is there.
        ([(300, 3)], Balance(300), 3, 270),
        ([(300, None)], Balance(300), 30, 0),
        ([(30, 3)], Balance(30), 3, 0),
        ([(300, 3), (70, None)], Balance(370), 10, 270),
        ([(20, 3), (70, 4)], Balance(90), 4, 50),
        # The one that ends first burns first, and both are there together only until then.
        ([(70, None), (300, 3)], Balance(370), 10, 270),
        # What a refund gave back burns before any grant, and never expires; meanwhile grants do.
        ([(300, 3)], Balance(350, 0), 5, 300),
        ([(300, 3)], Balance(320, 0), 3, 290),
        # What is held will be used, of the grant that ends first.
        ([(30, 3), (70, None)], Balance(100, 0, 30), 7, 0),
        # What was used before was of the grant that ends first, whether or not somebody wrote it down.
        ([(300, 3), (70, None)], Balance(370, 300), 7, 0),
        # What has ended is gone, though nobody wrote it down yet.
        ([(300, -1), (70, None)], Balance(370), 7, 0),
        ([(300, 0)], Balance(300), 0, 0),
        ([(300, 3)], Balance(300, 300), 0, 0),
        ([], Balance(10, 20), 0, 0),
        ([(10**18, 10_000)], Balance(10**18), 10_000, 10**18 - 100_000),
    ],
)
def test_what_expires_lasts_no_longer_than_it_is_there(
    grants: list[tuple[int, int | None]], balance: Balance, days: int, expiring: int
) -> None:
    assert lasting(balance, granted(*grants), [5, 15, 10], NOW) == Lasting(days, expiring)


LIMITED = st.lists(st.tuples(st.integers(1, 200), st.none() | st.integers(-2, 20)), max_size=5)
BACK, TAKEN, HELD, PACE = st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(1, 40)


@given(LIMITED, BACK, TAKEN, HELD, PACE)
def test_it_lasts_as_long_as_the_ledger_itself_gives_tokens_for_each_day(
    limits: list[tuple[int, int | None]], back: int, taken: int, held: int, pace: int
) -> None:
    balance = Balance(sum(amount for amount, _ in limits) + back, taken, held)
    found = lasting(balance, granted(*limits), [pace], NOW)
    assert found == Lasting(*lived(balance, granted(*limits), pace))


def lived(balance: Balance, grants: Sequence[Grant], pace: int) -> tuple[int, int]:
    """Use so many tokens on each day, after what is held, for as long as there are any; give how many days were whole,
    and what expired from then on until nothing was left.
    """
    left, expired, whole = Balance(balance.granted, balance.used + balance.held), 0, 0
    for day in count():
        burnt = burn_down(grants, left, NOW + day * DAY)
        left = replace(left, granted=left.granted - burnt.expired)
        grants = burnt.grants
        expired += burnt.expired if day else 0
        if left.available <= 0:
            return whole, expired
        whole += left.available >= pace
        left = replace(left, used=left.used + min(pace, left.available))
    raise AssertionError("days do not end")


@given(LIMITED, BACK, PACE, st.integers(0, 4))
def test_an_expiry_never_makes_tokens_last_longer(
    limits: list[tuple[int, int | None]], back: int, pace: int, which: int
) -> None:
    balance = Balance(sum(amount for amount, _ in limits) + back)
    endless = [(amount, None if number == which else days) for number, (amount, days) in enumerate(limits)]
    ending, never = (lasting(balance, granted(*each), [pace], NOW) for each in (limits, endless))
    assert ending is not None
    assert never is not None
    assert ending.days <= never.days


def test_what_ends_within_a_week_is_told_though_nothing_is_used() -> None:
    for days, found in ((1, Expiring(70, NOW + DAY, NOW + DAY)), (7, Expiring(70, NOW + 7 * DAY, NOW + 7 * DAY))):
        assert expiring_soon(Balance(1_070), granted((1_000, None), (70, days)), NOW) == found
    assert expiring_soon(Balance(1_070), granted((1_000, None), (70, 8)), NOW) is None
    assert expiring_soon(Balance(70), granted((70, 7)), NOW - timedelta(microseconds=1)) is None
    assert expiring_soon(Balance(), (), NOW) is None


def test_of_several_grants_the_first_and_the_last_end_are_told() -> None:
    grants = granted((5, 3), (100, 2), (9, None), (7, 2), (11, 30))
    assert expiring_soon(Balance(132), grants, NOW) == Expiring(112, NOW + 2 * DAY, NOW + 3 * DAY)


def test_what_is_used_or_held_does_not_expire() -> None:
    grants = granted((100, 2), (50, 3))
    assert expiring_soon(Balance(150, used=60, held=30), grants, NOW) == Expiring(60, NOW + 2 * DAY, NOW + 3 * DAY)
    assert expiring_soon(Balance(150, used=90, held=20), grants, NOW) == Expiring(40, NOW + 3 * DAY, NOW + 3 * DAY)
    for gone in (Balance(150, used=150), Balance(150, used=100, held=50), Balance(150, used=200)):
        assert expiring_soon(gone, grants, NOW) is None
    assert expiring_soon(Balance(150), grants, NOW + 3 * DAY) is None, "it has expired"


@given(
    AMOUNTS, AMOUNTS, AMOUNTS, st.lists(st.tuples(st.integers(1, 2**62), st.none() | st.integers(-2, 10)), max_size=6)
)
def test_no_more_expires_than_is_left(more: int, used: int, held: int, made: list[tuple[int, int | None]]) -> None:
    balance = Balance(sum(amount for amount, _ in made) + more, used, held)
    found = expiring_soon(balance, granted(*made), NOW)
    assert found is None or 0 < found.tokens <= balance.available
    assert found is None or NOW < found.first_at <= found.last_at <= NOW + 7 * DAY


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
