"""A year of a user as a calendar: a square for each day, larger and stronger the more was used on it, and a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from jangbu.dashboard.look import Look
from jangbu.dashboard.sought import EVERY_CALL
from jangbu.metering.calendars import CalendarDay

__all__ = ["Calendar", "Square", "Week", "calendar_of"]

_PITCH = 12
_SIZES = (2, 5, 7, 9, 11)
"""How large the square of each level is: what a colour says, a size says, too."""
_MONTHS_ABOVE = 14
_WEEKDAYS = 7
_MONTH_WEEKS = 3
"""How many weeks the name of a month needs above them."""


@dataclass(frozen=True, slots=True)
class Square:
    """A day as it is drawn; ``words`` say what it shows."""

    x: int
    y: int
    size: int
    level: int
    day: date
    words: str


@dataclass(frozen=True, slots=True)
class Day:
    """A day as it stands in the table; it leads to its calls where there are any."""

    tokens: int
    link: str


@dataclass(frozen=True, slots=True)
class Week:
    """A week of the table, from Monday on: None stands for days to come, and for such that the zone left out.

    It leads to its calls where there are any.
    """

    name: str
    days: tuple[Day | None, ...]
    total: int
    link: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """All of it. ``link`` is the address of this page, to which the days are added that it is to show."""

    summary: str
    squares: tuple[Square, ...]
    months: tuple[tuple[int, str], ...]
    width: int
    height: int
    heads: tuple[str, ...]
    weeks: tuple[Week, ...]
    link: str


def calendar_of(look: Look, days: Sequence[CalendarDay]) -> Calendar:
    """Draw the days, which begin on a Monday, and list them."""
    first = days[0].day
    weeks = (days[-1].day - first).days // _WEEKDAYS + 1
    return Calendar(
        summary=_summary(look, days),
        squares=_squares(look, days),
        months=_months(look, first, weeks),
        width=weeks * _PITCH,
        height=_MONTHS_ABOVE + _WEEKDAYS * _PITCH,
        heads=tuple(look.formats.weekday(first + timedelta(days=number)) for number in range(_WEEKDAYS)),
        weeks=_weeks(look, days),
        link=_link(look),
    )


def _summary(look: Look, days: Sequence[CalendarDay]) -> str:
    most = max(days, key=lambda each: each.tokens)
    written = {"from_": look.formats.day(days[0].day), "to": look.formats.day(days[-1].day)}
    if not most.tokens:
        return look.texts("user.year.nothing", **written)
    total = sum(each.tokens for each in days)
    return look.texts(
        "user.year.summary",
        count=total,
        total=look.formats.number(total),
        most=look.formats.number(most.tokens),
        most_at=look.formats.day(most.day),
        **written,
    )


def _squares(look: Look, days: Sequence[CalendarDay]) -> tuple[Square, ...]:
    most = max(each.tokens for each in days)
    drawn = []
    for each in days:
        week, weekday = divmod((each.day - days[0].day).days, _WEEKDAYS)
        level = _level(each.tokens, most)
        inset = (_PITCH - _SIZES[level]) // 2
        day, tokens = look.formats.day(each.day), look.formats.number(each.tokens)
        words = look.texts("user.year.day", count=each.tokens, day=day, tokens=tokens)
        x, y = week * _PITCH + inset, _MONTHS_ABOVE + weekday * _PITCH + inset
        drawn.append(Square(x, y, _SIZES[level], level, each.day, words))
    return tuple(drawn)


def _level(tokens: int, most: int) -> int:
    """Give by which fourth of the most a day is drawn, from 1 on; 0 where nothing was used."""
    return (4 * tokens - 1) // most + 1 if tokens else 0


def _months(look: Look, first: date, weeks: int) -> tuple[tuple[int, str], ...]:
    """Give where the months begin, and their names, as far as there is room for them."""
    mondays = [first + timedelta(weeks=number) for number in range(weeks)]
    begun = [
        number for number, monday in enumerate(mondays) if number == 0 or monday.month != mondays[number - 1].month
    ]
    ends = [*begun[1:], weeks]
    return tuple(
        (number * _PITCH, look.formats.month_name(mondays[number]))
        for number, end in zip(begun, ends, strict=True)
        if end - number >= _MONTH_WEEKS
    )


def _weeks(look: Look, days: Sequence[CalendarDay]) -> tuple[Week, ...]:
    """List the weeks, the latest first."""
    found = {each.day: each for each in days}
    begin, weeks = days[0].day, []
    while begin <= days[-1].day:
        week = [found.get(begin + timedelta(days=number)) for number in range(_WEEKDAYS)]
        cells = tuple(None if each is None else Day(each.tokens, _link_of(look, each)) for each in week)
        used = [each for each in week if each is not None and each.calls]
        link = _link_between(look, used[0].day, used[-1].day) if used else ""
        weeks.append(Week(look.formats.day(begin), cells, sum(each.tokens for each in used), link))
        begin += timedelta(weeks=1)
    return tuple(reversed(weeks))


def _link(look: Look) -> str:
    chosen = ("range", "from", "to", "service", "model", "after")
    return look.url(**dict.fromkeys(chosen), **EVERY_CALL)


def _link_of(look: Look, each: CalendarDay) -> str:
    return _link_between(look, each.day, each.day) if each.calls else ""


def _link_between(look: Look, first: date, last: date) -> str:
    days = {"from": first.isoformat(), "to": last.isoformat()}
    return look.url(range=None, service=None, model=None, after=None, **days, **EVERY_CALL) + "#calls"
