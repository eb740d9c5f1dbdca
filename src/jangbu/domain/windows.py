"""Windows of time, and the buckets that they are cut into, in any time zone.

Instants are counted in UTC and only cut by the zone's clock: a day has as many hours as it has there, 23, 24, 25 or
what its law says. Since 2000 every zone's clock differs from UTC by whole quarters of an hour and moves at whole
minutes, so each edge of a bucket is a whole minute.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jangbu.errors import InvalidInput

__all__ = ["BUCKETS_MAX", "FIRST", "LAST", "Bucket", "Preset", "Window", "by_clock", "day_start", "zone_named"]

FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""The moments between which windows lie: before, clocks differed from UTC by seconds."""

BUCKETS_MAX = 2_500

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_MOVED = timedelta(hours=2)
"""How much longer than its days a span may be, where clocks are put back in it."""


class Bucket(StrEnum):
    """How long the parts of a window are."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    """From Monday on."""
    MONTH = "month"


class Preset(StrEnum):
    """A window that ends with what is under way now."""

    LAST_HOUR = "1h"
    LAST_DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"
    MONTH_TO_DATE = "mtd"


_AUTOMATIC = (
    (3 * _HOUR, Bucket.MINUTE),
    (7 * _DAY + _MOVED, Bucket.HOUR),
    (100 * _DAY, Bucket.DAY),
    (731 * _DAY, Bucket.WEEK),
)
_LENGTHS = {
    Bucket.MINUTE: _MINUTE,
    Bucket.HOUR: _HOUR,
    Bucket.DAY: _DAY,
    Bucket.WEEK: 7 * _DAY,
    Bucket.MONTH: 28 * _DAY,
}
_LONGEST = {
    Bucket.MINUTE: _MINUTE,
    Bucket.HOUR: _HOUR,
    Bucket.DAY: _DAY + _MOVED,
    Bucket.WEEK: 7 * _DAY + _MOVED,
    Bucket.MONTH: 31 * _DAY + _MOVED,
}
_DAYS = {Preset.MONTH: 30, Preset.QUARTER: 90}


@dataclass(frozen=True, slots=True)
class Window:
    """The time from ``start`` to before ``end``, both in UTC and whole minutes, cut into buckets by a zone's clock.

    Make it with ``custom`` or ``preset``.
    """

    start: datetime
    end: datetime
    zone: ZoneInfo
    bucket: Bucket

    def __post_init__(self) -> None:
        assert self.start.tzinfo is self.end.tzinfo is UTC, "instants, not clock times"
        assert not any(at.second or at.microsecond for at in (self.start, self.end)), "whole minutes"
        assert FIRST <= self.start < self.end <= LAST

    @classmethod
    def custom(cls, start: datetime, end: datetime, zone: ZoneInfo, bucket: Bucket | None = None) -> Self:
        """Make a window from one instant to before another; without a bucket, of the buckets that suit its length.

        Raises InvalidInput for what is no window, or has more than ``BUCKETS_MAX`` buckets.
        """
        if start.tzinfo is None or end.tzinfo is None:
            raise InvalidInput("a window begins and ends at instants", hint="give both with their offset from UTC")
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        if any(at.second or at.microsecond for at in (start, end)):
            raise InvalidInput("a window begins and ends at whole minutes")
        if not FIRST <= start < end <= LAST:
            raise InvalidInput(
                "a window begins before it ends", hint=f"between the years {FIRST.year} and {LAST.year - 1}"
            )
        chosen = bucket or _suitable(end - start)
        if (end - start) // _LENGTHS[chosen] > BUCKETS_MAX:
            raise InvalidInput(
                f"a window has at most {BUCKETS_MAX:,} buckets", hint="ask for longer ones, or for a shorter window"
            )
        return cls(start, end, zone, chosen)

    @classmethod
    def days(cls, first: date, last: date, zone: ZoneInfo, bucket: Bucket | None = None) -> Self:
        """Make a window of days by the zone's calendar, from the first to the last one. Raises InvalidInput."""
        if first > last:
            raise InvalidInput(f"the first day, {first}, is after the last, {last}", hint="turn them round")
        if not FIRST.date() < first <= last < LAST.date():
            raise InvalidInput(
                "the days lie outside of the calendar", hint=f"from {FIRST.date() + _DAY} to {LAST.date() - _DAY}"
            )
        return cls.custom(day_start(first, zone), day_start(last + _DAY, zone), zone, bucket)

    @classmethod
    def preset(cls, preset: Preset, now: datetime, zone: ZoneInfo, bucket: Bucket | None = None) -> Self:
        """Make a window that ends with the minute, hour or day that is under way."""
        now = now.astimezone(UTC)
        if preset is Preset.LAST_HOUR:
            end = now.replace(second=0, microsecond=0) + _MINUTE
            return cls.custom(end - _HOUR, end, zone, bucket)
        if preset in (Preset.LAST_DAY, Preset.WEEK):
            end = _next_hour(now.replace(second=0, microsecond=0), zone)
            return cls.custom(end - (_DAY if preset is Preset.LAST_DAY else 7 * _DAY), end, zone, bucket)
        today = now.astimezone(zone).date()
        first = today.replace(day=1) if preset is Preset.MONTH_TO_DATE else today - (_DAYS[preset] - 1) * _DAY
        return cls.days(first, today, zone, bucket or Bucket.DAY)

    def previous(self, until: datetime | None = None) -> Self:
        """Give the window before this one: of as many days where this one has whole days, or else as long.

        With ``until``, a moment of this window, it ends as long after its beginning as that: for a comparison with what
        is not over yet. Raises InvalidInput where it would begin before ``FIRST``.
        """
        first, last = self.start.astimezone(self.zone).date(), self.end.astimezone(self.zone).date()
        start = self.start - (self.end - self.start)
        if day_start(first, self.zone) == self.start and day_start(last, self.zone) == self.end:
            start = day_start(first - (last - first), self.zone)
        if start < FIRST:
            raise InvalidInput("there is no window before this one", hint=f"windows begin from {FIRST.date()} on")
        end = self.start
        if until is not None and self.start < until < self.end:
            elapsed = until.astimezone(UTC).replace(second=0, microsecond=0) - self.start
            end = min(end, start + max(elapsed, _MINUTE))
        return type(self)(start, end, self.zone, self.bucket)

    def earlier(self, buckets: int) -> Self | None:
        """Give the time before this window: so many whole buckets, as far as there are; None where there is none."""
        start = max(self.start - (buckets + 1) * _LONGEST[self.bucket], FIRST)
        return type(self)(start, self.start, self.zone, self.bucket) if start < self.start else None

    def edges(self) -> tuple[datetime, ...]:
        """Give where the buckets begin, in UTC and in order, and then where the last one ends.

        The first and the last may be parts of a bucket, where the window begins or ends within it.
        """
        return (self.start, *(at for at in self._borders() if self.start < at < self.end), self.end)

    def _borders(self) -> Iterator[datetime]:
        """Give all borders of buckets that may lie in the window, in order."""
        match self.bucket:
            case Bucket.MINUTE:
                return _minutes(self.start, self.end)
            case Bucket.HOUR:
                return _hours(self.start, self.end, self.zone)
            case _:
                return _calendar(self.start, self.end, self.zone, self.bucket)


def zone_named(name: str) -> ZoneInfo:
    """Give the time zone of a name of the IANA's database, as ``Asia/Seoul``. Raises InvalidInput."""
    try:
        if name and name[0].isupper():
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise InvalidInput(f"{name[:60]!r} is no time zone", hint="use a name like Asia/Seoul or UTC")


def by_clock(at: datetime, zone: ZoneInfo) -> datetime:
    """Give a moment as the zone's clock shows it, or UTC's where the zone's calendar has no such year."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """Give the moment from which on the zone's calendar shows this day or a later one, in UTC.

    Where a clock is moved over midnight that is not midnight; days that a zone left out begin when the next one does.
    """
    midnight = datetime.combine(day, time(), zone)
    first, second = midnight.astimezone(UTC), midnight.replace(fold=1).astimezone(UTC)
    if first == second:
        return first
    if first < second:
        # Midnight comes twice: the day begins at the second one where it was the day before until then.
        return second if (second - _MINUTE).astimezone(zone).date() < day else first
    # There is no midnight: the clock goes from before it to after it at a moment between the two.
    return _first_minute(second, first, lambda at: at.astimezone(zone).date() >= day)


def _suitable(length: timedelta) -> Bucket:
    return next((bucket for longest, bucket in _AUTOMATIC if length <= longest), Bucket.MONTH)


def _minutes(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += _MINUTE


def _hours(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    while start < end:
        yield start
        start = _next_hour(start, zone)


def _next_hour(at: datetime, zone: ZoneInfo) -> datetime:
    """Give when the next hour of the clock begins, or the clock is moved: an hour that comes twice is two buckets."""
    clock = at.astimezone(zone)
    following = at + timedelta(minutes=60 - clock.minute)
    offset = clock.utcoffset()
    if following.astimezone(zone).utcoffset() == offset:
        return following
    return _first_minute(at, following, lambda moment: moment.astimezone(zone).utcoffset() != offset)


def _calendar(start: datetime, end: datetime, zone: ZoneInfo, bucket: Bucket) -> Iterator[datetime]:
    day = start.astimezone(zone).date()
    at = start
    before: datetime | None = None
    while at < end:
        day = _next_day(day, bucket)
        at = day_start(day, zone)
        if at != before:
            yield at
        before = at


def _next_day(day: date, bucket: Bucket) -> date:
    """Give the first day of the next bucket."""
    if bucket is Bucket.DAY:
        return day + _DAY
    if bucket is Bucket.WEEK:
        return day + (7 - day.weekday()) * _DAY
    return (day.replace(day=28) + 4 * _DAY).replace(day=1)


def _first_minute(before: datetime, after: datetime, holds: Callable[[datetime], bool]) -> datetime:
    """Give the first minute of which something holds that does not hold before it, by halving."""
    low, high = 0, (after - before) // _MINUTE
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(before + middle * _MINUTE) else (middle, high)
    return before + high * _MINUTE
