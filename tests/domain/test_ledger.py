"""How grants burn down and expire."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.ledger import Balance, Grant, account_id, burn_down, changed
from jangbu.errors import InvalidInput

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def grant(number: int, amount: int, *, days: int | None = None, priority: int = 0, consumed: int = 0) -> Grant:
    expires = None if days is None else NOW + timedelta(days=days)
    return Grant(
        UUID(int=number),
        amount,
        consumed,
        priority=priority,
        expires_at=expires,
        created_at=NOW + timedelta(seconds=number),
    )


def test_what_expires_first_burns_first_then_priority_then_age() -> None:
    grants = [
        grant(1, 100),
        grant(2, 100, days=30),
        grant(3, 100, days=5, priority=2),
        grant(4, 100, days=5, priority=1),
        grant(5, 100, days=5, priority=1),
    ]
    after = burn_down(grants, Balance(granted=500, used=250), NOW)
    assert [(item.id.int, item.consumed) for item in after.grants] == [(4, 100), (5, 100), (3, 50), (2, 0), (1, 0)]
    assert after.expired == 0


def test_an_expired_grant_loses_what_is_left_of_it() -> None:
    after = burn_down([grant(1, 100, days=-1), grant(2, 100)], Balance(granted=200, used=30), NOW)
    assert [(item.consumed, item.expired) for item in after.grants] == [(30, 70), (0, 0)]
    assert after.expired == 70


def test_held_tokens_do_not_expire_under_a_call() -> None:
    due = [grant(1, 100, days=-1)]
    during = burn_down(due, Balance(granted=100, used=0, held=80), NOW)
    assert during.expired == 20
    later = burn_down(during.grants, Balance(granted=80, used=50, held=0), NOW)
    assert later.expired == 30
    assert later.grants[0].remaining == 0


def test_a_refund_belongs_to_no_grant_and_never_expires() -> None:
    spent = burn_down([grant(1, 100, days=1)], Balance(granted=100, used=100), NOW)
    refunded = burn_down(spent.grants, Balance(granted=140, used=100), NOW + timedelta(days=9))
    assert refunded.expired == 0


def test_a_debt_is_paid_by_the_next_grant() -> None:
    overdrawn = burn_down([grant(1, 100)], Balance(granted=100, used=130), NOW)
    assert overdrawn.grants[0].remaining == 0
    paid = burn_down([*overdrawn.grants, grant(2, 100)], Balance(granted=200, used=130), NOW)
    assert [item.remaining for item in paid.grants] == [0, 70]


@given(
    amounts=st.lists(st.tuples(st.integers(1, 500), st.none() | st.integers(-5, 5)), max_size=8),
    used=st.integers(0, 3000),
    extra=st.integers(0, 500),
    held=st.integers(0, 500),
)
def test_a_burn_down_keeps_the_books(amounts: list[tuple[int, int | None]], used: int, extra: int, held: int) -> None:
    grants = [grant(number, amount, days=days) for number, (amount, days) in enumerate(amounts)]
    balance = Balance(granted=sum(item.amount for item in grants) + extra, used=used, held=held)
    after = burn_down(grants, balance, NOW)
    assert sum(item.amount for item in after.grants) == sum(item.amount for item in grants)
    assert all(item.remaining >= 0 for item in after.grants)
    assert after.expired == sum(item.expired for item in after.grants) <= max(0, balance.available)
    left = balance.posted - after.expired
    assert sum(item.remaining for item in after.grants) <= max(0, left)
    settled = Balance(granted=balance.granted - after.expired, used=used, held=held)
    assert burn_down(after.grants, settled, NOW).expired == 0 or held > 0
    assert changed(after.grants, burn_down(after.grants, settled, NOW).grants) == () or held > 0


def test_an_account_is_the_same_on_every_machine() -> None:
    assert str(account_id("default", "kim")) == str(account_id("default", "kim"))
    assert account_id("default", "kim") != account_id("other", "kim")
    assert account_id("a", "b\x20c") != account_id("a b", "c")


@pytest.mark.parametrize("user", ["", "x" * 201, "a\x00b", "tab\there"])
def test_a_user_id_is_printable_and_short(user: str) -> None:
    with pytest.raises(InvalidInput):
        account_id("default", user)
