"""What is to come if it goes on as it did lately. All of it is whole numbers, so nothing drifts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jangbu.domain.ledger import Balance, Grant, burn_down

__all__ = ["LATELY_WEEKS", "WEEKS_LEAST", "Expiring", "Lasting", "Range", "expiring_soon", "lasting", "month_end"]

LATELY_WEEKS = 4
"""The weeks before today that tell how a month ends: whole ones, so each day of the week counts as often."""

WEEKS_LEAST = 2
"""One week alone has no range."""

_SOON = timedelta(days=7)
"""How long before it a user is told that tokens expire."""

_WEEK = 7
_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1) // _TICK


@dataclass(frozen=True, slots=True)
class Range:
    """What a sum is expected to be, and between what: ``least <= expected <= most``."""

    least: int
    expected: int
    most: int


@dataclass(frozen=True, slots=True)
class Lasting:
    """For how many whole days tokens last, and how many of them will have expired unused by then."""

    days: int
    expiring: int


@dataclass(frozen=True, slots=True)
class Expiring:
    """Tokens that expire within a week unless they are used: the first of them at one moment, the last at another."""

    tokens: int
    first_at: datetime
    last_at: datetime


def expiring_soon(balance: Balance, grants: Iterable[Grant], now: datetime) -> Expiring | None:
    """Give what is left of grants that end within a week, whether anything was used lately or not; None if nothing is.

    What is held counts as used.
    """
    burnt = burn_down(grants, Balance(balance.granted, balance.used + balance.held), now)
    left = [(each.expires_at, each.remaining) for each in burnt.grants if each.remaining]
    soon = [(at, tokens) for at, tokens in left if at is not None and at - now <= _SOON]
    if not soon:
        return None
    return Expiring(sum(tokens for _, tokens in soon), min(soon)[0], max(soon)[0])


def lasting(balance: Balance, grants: Iterable[Grant], used: Sequence[int], now: datetime) -> Lasting | None:
    """Give how long what is available lasts, by what was used on each of the last days; None if nothing was.

    It burns as the ledger burns it: what belongs to no grant first, then grants in their order, and what is left of one
    when its time is up is gone. What is held counts as used. A day that has not ended makes the pace slower than it is.
    """
    in_all = sum(used)
    if in_all <= 0:
        return None
    # Whole numbers: of time there are ``in_all`` steps in a microsecond, of which a token takes so many.
    step = len(used) * _DAY
    burnt = burn_down(grants, Balance(balance.granted, balance.used + balance.held), now)
    of_no_grant = max(0, balance.available) - burnt.expired - sum(grant.remaining for grant in burnt.grants)
    at, expiring = of_no_grant * step, 0
    for grant in burnt.grants:
        used_up_at = at + grant.remaining * step
        ends_at = used_up_at if grant.expires_at is None else (grant.expires_at - now) // _TICK * in_all
        over_at = min(used_up_at, max(at, ends_at))
        expiring += (used_up_at - over_at) // step
        at = over_at
    return Lasting(at // (in_all * _DAY), expiring)


def month_end(lately: Sequence[int], before_today: int, today: int, days_to_come: int) -> Range | None:
    """Give what a month's sum will be at its end; None where the days since the first sum are less than two weeks.

    ``lately`` are the whole days before today, ``before_today`` is the sum of the month's own, ``today`` what today has
    so far, and ``days_to_come`` are the month's days from today on. Of ``lately`` the latest whole weeks count since
    the first day that has anything: each day to come is as their average, or as those of the week with the least or
    the most. Today is never less than it is already.
    """
    since = next((number for number, amount in enumerate(lately) if amount), len(lately))
    weeks = (len(lately) - since) // _WEEK
    if weeks < WEEKS_LEAST:
        return None
    counted = lately[len(lately) - weeks * _WEEK :]
    sums = [sum(counted[start : start + _WEEK]) for start in range(0, len(counted), _WEEK)]

    def at(pace: int, days: int, up: int = 0) -> int:
        to_come = max((pace * days_to_come + up * (days - 1)) // days, today + (pace * (days_to_come - 1)) // days)
        return before_today + to_come

    return Range(at(min(sums), _WEEK), at(sum(counted), len(counted)), at(max(sums), _WEEK, up=1))
