"""How days of a zone differ from days of UTC: the hours and quarters of an hour between their midnights.

Whoever has sums of days of UTC gets those of the zone's days by moving what lies between two midnights from one day to
the next or back: that is half a day at most, where the day itself takes all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from jangbu.domain.spans import spans_of

__all__ = ["Shift", "Shifts", "nights_of", "shifts_of"]

_HALF = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Shift:
    """The time from ``first`` to before ``after``, beside the edge of that number, from 0 on.

    With a sign of 1 it is of the day that begins at the edge, and was counted to the one before it; with -1 it is the
    other way round.
    """

    edge: int
    sign: int
    first: datetime
    after: datetime


@dataclass(frozen=True, slots=True)
class Shifts:
    """What is between midnights: in whole hours of UTC as far as there are any, and in quarters of an hour."""

    hours: tuple[Shift, ...]
    quarters: tuple[Shift, ...]


def nights_of(edges: Sequence[datetime]) -> tuple[date, ...]:
    """Give the day of UTC that begins the nearest to each edge."""
    return tuple((edge.astimezone(UTC) + _HALF).date() for edge in edges)


def shifts_of(edges: Sequence[datetime]) -> Shifts:
    """Give what lies between each edge and the midnight of UTC that is nearest to it; edges are whole quarters."""
    hours: list[Shift] = []
    quarters: list[Shift] = []
    for number, (edge, night) in enumerate(zip(edges, nights_of(edges), strict=True)):
        midnight = datetime.combine(night, time(), UTC)
        if midnight == edge:
            continue
        # What comes before the midnight and after the edge, the day of UTC before has, and the edge's day is to have.
        sign = 1 if edge < midnight else -1
        spans = spans_of((min(edge, midnight), max(edge, midnight)), with_days=False)
        assert not spans.minutes.firsts, "days begin at whole quarters of an hour"
        for found, runs in ((hours, spans.hours), (quarters, spans.quarters)):
            found += [Shift(number, sign, *each) for each in zip(runs.firsts, runs.nexts, strict=True)]
    return Shifts(tuple(hours), tuple(quarters))
