"""A window is read in the longest rollups that no edge cuts, each moment once."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.spans import Runs, Spans, spans_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LENGTHS = {"days": DAY, "six_hours": 6 * HOUR, "hours": HOUR, "quarters": 15 * MINUTE, "minutes": MINUTE}
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def stretches(runs: Runs) -> list[tuple[datetime, datetime]]:
    return list(zip(runs.firsts, runs.nexts, strict=True))


def rows(spans: Spans) -> dict[str, int]:
    """Give how many rollups of each length are read for each service and model."""
    read = {
        name: sum(((after - first) // length for first, after in stretches(getattr(spans, name))), start=0)
        for name, length in LENGTHS.items()
    }
    return {name: number for name, number in read.items() if number}


def days_of(zone: str, month: int = 6) -> list[datetime]:
    """Give the edges of three days by a zone's clock."""
    return [datetime(2026, month, day, tzinfo=ZoneInfo(zone)).astimezone(UTC) for day in range(7, 11)]


@given(
    minutes=st.lists(st.integers(0, 60 * 24 * 5), min_size=2, max_size=6, unique=True),
    with_days=st.booleans(),
    with_six_hours=st.booleans(),
)
def test_every_minute_is_read_once_and_no_edge_cuts_what_is_read(
    minutes: list[int], with_days: bool, with_six_hours: bool
) -> None:
    edges = [BEGINNING + minute * MINUTE for minute in sorted(minutes)]
    spans = spans_of(edges, with_days=with_days, with_six_hours=with_six_hours)
    read = sorted(stretch for name in LENGTHS for stretch in stretches(getattr(spans, name)))
    assert read[0][0] == edges[0]
    assert read[-1][1] == edges[-1]
    assert all(after == first for (_, after), (first, _) in pairwise(read))
    for name, length in LENGTHS.items():
        for first, after in stretches(getattr(spans, name)):
            assert (first - BEGINNING) % length == (after - BEGINNING) % length == timedelta(0)
            assert not any((edge - BEGINNING) % length for edge in edges if first < edge < after)
    assert with_days or not spans.days.firsts
    assert with_six_hours or not spans.six_hours.firsts


@pytest.mark.parametrize(
    ("zone", "read"),
    [
        ("UTC", {"days": 3}),
        ("Asia/Seoul", {"six_hours": 9, "hours": 18}),
        ("America/New_York", {"six_hours": 9, "hours": 18}),
        ("Asia/Kolkata", {"six_hours": 9, "hours": 15, "quarters": 12}),
    ],
)
def test_a_day_of_a_zone_is_nine_rollups_or_a_few_more(zone: str, read: dict[str, int]) -> None:
    assert rows(spans_of(days_of(zone), with_six_hours=True)) == read


def test_a_day_of_23_hours_is_read_with_an_hour_less() -> None:
    assert rows(spans_of(days_of("America/New_York", month=3), with_six_hours=True)) == {"six_hours": 9, "hours": 17}


def test_where_there_are_no_rollups_of_six_hours_hours_are_read() -> None:
    assert rows(spans_of(days_of("Asia/Seoul"))) == {"hours": 72}
    assert rows(spans_of(days_of("UTC"), with_days=False)) == {"hours": 72}
