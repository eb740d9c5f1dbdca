"""What lies between a zone's midnights and those of UTC: half a day at most, in whole hours and quarters."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from jangbu.domain.shifts import nights_of, shifts_of
from jangbu.domain.windows import Bucket, Window

QUARTER = timedelta(minutes=15)
ZONES = ("UTC", "Asia/Seoul", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")


def edges_of(zone: str) -> tuple[datetime, ...]:
    return Window.days(date(2026, 1, 1), date(2026, 12, 31), ZoneInfo(zone), Bucket.DAY).edges()


def test_days_of_utc_are_moved_by_nothing() -> None:
    shifts = shifts_of(edges_of("UTC"))
    assert (shifts.hours, shifts.quarters) == ((), ())


@pytest.mark.parametrize("zone", ZONES)
def test_every_quarter_comes_to_the_day_that_it_is_of(zone: str) -> None:
    edges = edges_of(zone)
    nights = [datetime(*night.timetuple()[:3], tzinfo=UTC) for night in nights_of(edges)]
    of_day: dict[datetime, int] = {}
    for number, (night, following) in enumerate(pairwise(nights)):
        of_day |= dict.fromkeys((night + step * QUARTER for step in range((following - night) // QUARTER)), number)
    shifts = shifts_of(edges)
    for each in (*shifts.hours, *shifts.quarters):
        assert each.after - each.first <= timedelta(hours=12)
        for step in range((each.after - each.first) // QUARTER):
            at = each.first + step * QUARTER
            counted, meant = (each.edge - 1, each.edge) if each.sign > 0 else (each.edge, each.edge - 1)
            assert of_day.pop(at, counted) == counted
            of_day[at] = meant
    for number, (start, end) in enumerate(pairwise(edges)):
        assert all(of_day[start + step * QUARTER] == number for step in range((end - start) // QUARTER))


@pytest.mark.parametrize("zone", ZONES)
def test_whole_hours_are_taken_where_there_are_any(zone: str) -> None:
    shifts = shifts_of(edges_of(zone))
    assert all(each.first.minute == each.after.minute == 0 for each in shifts.hours)
    assert all(each.after - each.first < timedelta(hours=1) for each in shifts.quarters)
