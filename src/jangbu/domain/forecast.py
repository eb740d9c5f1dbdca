"""What is to come if it goes on as it did lately. All of it is whole numbers, so nothing drifts."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LATELY_WEEKS", "WEEKS_LEAST", "Range", "days_left", "month_end"]

LATELY_WEEKS = 4
"""The weeks before today that tell how a month ends: whole ones, so each day of the week counts as often."""

WEEKS_LEAST = 2
"""One week alone has no range."""

_WEEK = 7


@dataclass(frozen=True, slots=True)
class Range:
    """What a sum is expected to be, and between what: ``least <= expected <= most``."""

    least: int
    expected: int
    most: int


def days_left(available: int, used: Sequence[int]) -> int | None:
    """Give for how many whole days so many tokens last, by what was used on each of the last days; None if nothing was.

    A day that has not ended does not belong in ``used``: it would count as one on which little was used.
    """
    in_all = sum(used)
    if in_all <= 0:
        return None
    return max(available, 0) * len(used) // in_all


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
