"""Windows: buckets that cover their window without gap or overlap, by the clock of any zone."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.windows import BUCKETS_MAX, FIRST, Bucket, Preset, Window, day_start, zone_named
from jangbu.errors import InvalidInput

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONES = sorted(available_timezones() - {"localtime"})
SEOUL, KOLKATA, NEW_YORK = (ZoneInfo(name) for name in ("Asia/Seoul", "Asia/Kolkata", "America/New_York"))
HORIZON = datetime(2038, 1, 1, tzinfo=UTC)


def offset(at: datetime, zone: tzinfo) -> timedelta:
    found = at.astimezone(zone).utcoffset()
    assert found is not None
    return found


@cache
def moves(zone: ZoneInfo) -> tuple[datetime, ...]:
    """Give the minutes at which a zone's clock was or will be moved, found by looking at it twice a week."""
    found = []
    at = FIRST
    while at < HORIZON:
        following = at + 4 * DAY
        before, after = at, following
        if offset(before, zone) != offset(after, zone):
            while after - before > MINUTE:
                middle = before + (after - before) // MINUTE // 2 * MINUTE
                before, after = (before, middle) if offset(middle, zone) != offset(at, zone) else (middle, after)
            found.append(after)
        at = following
    return tuple(found)


def near_moves(zone: ZoneInfo) -> st.SearchStrategy[datetime]:
    """Draw minutes, most of them near the moves of a zone's clock."""
    anywhere = st.integers(0, (HORIZON - FIRST) // MINUTE).map(lambda minutes: FIRST + minutes * MINUTE)
    if not moves(zone):
        return anywhere
    near = st.tuples(st.sampled_from(moves(zone)), st.integers(-3 * 1440, 3 * 1440))
    return st.one_of(near.map(lambda drawn: max(FIRST, drawn[0] + drawn[1] * MINUTE)), anywhere)


zones = st.sampled_from(ZONES).map(ZoneInfo)


@pytest.mark.parametrize("name", ZONES)
def test_since_2000_clocks_differ_by_quarters_of_an_hour_and_move_at_whole_minutes(name: str) -> None:
    zone = ZoneInfo(name)
    for at in (FIRST, *moves(zone)):
        assert offset(at, zone) % (15 * MINUTE) == timedelta()
        assert offset(at - timedelta(microseconds=1), zone) == offset(at - MINUTE, zone)


@pytest.mark.parametrize("name", ZONES)
def test_a_day_begins_where_the_clock_has_come_to_it_for_good(name: str) -> None:
    zone = ZoneInfo(name)
    for moved in moves(zone):
        around = moved.astimezone(zone).date()
        for day in (around - DAY, around, around + DAY):
            start = day_start(day, zone)
            assert (start - MINUTE).astimezone(zone).date() < day
            later = (start + number * 15 * MINUTE for number in range(4 * 30))
            assert all(at.astimezone(zone).date() >= day for at in later)


@given(st.data(), zones, st.sampled_from(Bucket))
def test_buckets_cover_their_window_and_change_where_the_clock_says(
    data: st.DataObject, zone: ZoneInfo, bucket: Bucket
) -> None:
    start = data.draw(near_moves(zone))
    days = {Bucket.MINUTE: 1, Bucket.HOUR: 8}.get(bucket, 100)
    end = start + data.draw(st.integers(1, days * 1440)) * MINUTE

    edges = Window.custom(start, end, zone, bucket).edges()

    assert (edges[0], edges[-1]) == (start, end)
    assert all(before < after for before, after in pairwise(edges))
    for first, after in pairwise(edges):
        last = after - MINUTE
        clock, latest = first.astimezone(zone), last.astimezone(zone)
        match bucket:
            case Bucket.MINUTE:
                assert last == first
            case Bucket.HOUR:
                assert after - first <= HOUR
                assert (clock.date(), clock.hour, clock.utcoffset()) == (latest.date(), latest.hour, latest.utcoffset())
            case Bucket.DAY:
                assert clock.date() == latest.date()
            case Bucket.WEEK:
                assert clock.date().isocalendar()[:2] == latest.date().isocalendar()[:2]
            case Bucket.MONTH:
                assert (clock.year, clock.month) == (latest.year, latest.month)
    for at in edges[1:-1]:
        before, after = (at - MINUTE).astimezone(zone), at.astimezone(zone)
        if bucket in (Bucket.DAY, Bucket.WEEK, Bucket.MONTH):
            assert before.date() < after.date()
        if bucket is Bucket.WEEK:
            assert before.date().isocalendar()[:2] < after.date().isocalendar()[:2]
        if bucket is Bucket.MONTH:
            assert (before.year, before.month) < (after.year, after.month)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),
        ("Asia/Beirut", date(2026, 3, 29), 23),
        ("Atlantic/Azores", date(2026, 10, 25), 25),
        ("Asia/Seoul", date(2026, 3, 29), 24),
    ],
)
def test_a_day_on_which_the_clock_is_moved_has_23_or_25_hours(zone: str, day: date, hours: int) -> None:
    window = Window.days(day, day, ZoneInfo(zone), Bucket.HOUR)

    assert window.end - window.start == hours * HOUR
    assert len(window.edges()) - 1 == hours


def test_an_hour_of_the_clock_that_comes_twice_is_two_buckets_and_one_that_is_cut_is_shorter() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    back, ahead = date(2026, 4, 5), date(2026, 10, 4)

    for day, shortened in ((back, "01:30"), (ahead, "02:30")):
        edges = Window.days(day, day, lord_howe, Bucket.HOUR).edges()
        half = [(a, b) for a, b in pairwise(edges) if b - a != HOUR]
        assert [(f"{a.astimezone(lord_howe):%H:%M}", b - a) for a, b in half] == [(shortened, 30 * MINUTE)]


def test_a_day_that_a_zone_left_out_has_no_bucket() -> None:
    window = Window.days(date(2011, 12, 29), date(2011, 12, 31), ZoneInfo("Pacific/Apia"), Bucket.DAY)

    assert [f"{at.astimezone(window.zone):%m-%d %H}" for at in window.edges()] == ["12-29 00", "12-31 00", "01-01 00"]


@pytest.mark.parametrize(
    ("preset", "start", "end", "bucket", "buckets"),
    [
        (Preset.LAST_HOUR, "2026-03-10 01:35", "2026-03-10 02:35", Bucket.MINUTE, 60),
        (Preset.LAST_DAY, "2026-03-09 03:00", "2026-03-10 03:00", Bucket.HOUR, 24),
        (Preset.WEEK, "2026-03-03 03:00", "2026-03-10 03:00", Bucket.HOUR, 168),
        (Preset.MONTH, "2026-02-09 00:00", "2026-03-11 00:00", Bucket.DAY, 30),
        (Preset.QUARTER, "2025-12-11 00:00", "2026-03-11 00:00", Bucket.DAY, 90),
        (Preset.MONTH_TO_DATE, "2026-03-01 00:00", "2026-03-11 00:00", Bucket.DAY, 10),
    ],
)
def test_a_preset_ends_with_what_is_under_way(
    preset: Preset, start: str, end: str, bucket: Bucket, buckets: int
) -> None:
    now = datetime(2026, 3, 10, 2, 34, 56, 789, SEOUL)

    window = Window.preset(preset, now, SEOUL)

    assert [f"{at.astimezone(SEOUL):%Y-%m-%d %H:%M}" for at in (window.start, window.end)] == [start, end]
    assert (window.bucket, len(window.edges()) - 1) == (bucket, buckets)


@given(zones, st.sampled_from(Preset), st.data())
def test_a_preset_holds_now_in_its_last_bucket(zone: ZoneInfo, preset: Preset, data: st.DataObject) -> None:
    now = data.draw(near_moves(zone).filter(lambda at: at > FIRST + 100 * DAY))

    window = Window.preset(preset, now, zone)

    assert window.edges()[-2] <= now < window.end
    assert window.end - window.start >= MINUTE


def test_the_last_24_hours_end_with_the_hour_of_a_clock_that_is_half_an_hour_off() -> None:
    window = Window.preset(Preset.LAST_DAY, datetime(2026, 3, 10, 2, 10, tzinfo=UTC), KOLKATA)

    assert window.end == datetime(2026, 3, 10, 2, 30, tzinfo=UTC)
    assert len(window.edges()) - 1 == 24


def test_the_window_before_has_as_many_days_or_is_as_long() -> None:
    days = Window.days(date(2026, 3, 2), date(2026, 3, 8), NEW_YORK)
    hours = Window.preset(Preset.LAST_DAY, days.end, NEW_YORK)

    assert days.previous() == Window.days(date(2026, 2, 23), date(2026, 3, 1), NEW_YORK)
    assert (hours.previous().start, hours.previous().end) == (hours.start - DAY, hours.start)


def test_before_the_first_window_there_is_none() -> None:
    with pytest.raises(InvalidInput, match="no window before"):
        Window.custom(FIRST, FIRST + DAY, zone_named("UTC")).previous()


def test_the_window_before_may_end_where_this_one_has_come_to() -> None:
    window = Window.preset(Preset.MONTH, datetime(2026, 3, 10, 2, 34, 56, tzinfo=SEOUL), SEOUL)

    cut = window.previous(datetime(2026, 3, 10, 2, 34, 56, tzinfo=SEOUL))

    assert cut.start == window.previous().start
    assert cut.end == window.start - DAY + 2 * HOUR + 34 * MINUTE
    assert window.previous(window.end) == window.previous()


@given(zones, st.data(), st.sampled_from(Bucket), st.integers(1, 40))
def test_before_a_window_are_as_many_whole_buckets_as_are_asked_for(
    zone: ZoneInfo, data: st.DataObject, bucket: Bucket, number: int
) -> None:
    start = max(data.draw(near_moves(zone)), FIRST + 5 * 366 * DAY)
    window = Window.custom(start, start + DAY, zone, bucket)
    earlier = window.earlier(number)
    assert earlier is not None
    assert (earlier.end, earlier.bucket) == (window.start, bucket)
    edges = earlier.edges()
    assert len(edges) > number + 1, "the first one may be a part"
    # The last one ends where the window begins: it goes on in it, where that is in its midst.
    around = Window.custom(earlier.start, window.end, zone, bucket).edges()
    assert around[: len(edges) - 1] == edges[:-1]


def test_before_all_windows_there_is_none_and_soon_after_there_is_little() -> None:
    first = Window.days(date(2000, 1, 2), date(2000, 1, 3), zone_named("UTC"))
    assert Window.custom(FIRST, FIRST + DAY, SEOUL).earlier(28) is None
    earlier = first.earlier(28)
    assert earlier is not None
    assert (earlier.start, earlier.end) == (FIRST, first.start)


@pytest.mark.parametrize(
    ("length", "bucket"),
    [
        (MINUTE, Bucket.MINUTE),
        (3 * HOUR, Bucket.MINUTE),
        (3 * HOUR + MINUTE, Bucket.HOUR),
        (7 * DAY + HOUR, Bucket.HOUR),
        (8 * DAY, Bucket.DAY),
        (92 * DAY, Bucket.DAY),
        (365 * DAY, Bucket.WEEK),
        (5 * 365 * DAY, Bucket.MONTH),
    ],
)
def test_buckets_suit_the_length_of_their_window(length: timedelta, bucket: Bucket) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert Window.custom(start, start + length, SEOUL).bucket is bucket


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
        (datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
        (datetime(1999, 1, 3, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
        (datetime(2026, 1, 2), datetime(2026, 1, 3)),  # noqa: DTZ001 - what is refused
        (datetime(2026, 1, 2, 0, 0, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)),
    ],
)
def test_what_is_no_window_is_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(InvalidInput):
        Window.custom(start, end, SEOUL)


def test_a_window_of_too_many_buckets_is_refused() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    Window.custom(start, start + BUCKETS_MAX * MINUTE, SEOUL, Bucket.MINUTE)
    with pytest.raises(InvalidInput, match="2,500 buckets"):
        Window.custom(start, start + (BUCKETS_MAX + 1) * MINUTE, SEOUL, Bucket.MINUTE)


@pytest.mark.parametrize("name", ["", "Asia/Seoull", "../etc/passwd", "/etc/localtime", "localtime", "Asia", "utc\0"])
def test_a_name_that_is_no_zones_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="time zone"):
        zone_named(name)


def test_every_zone_is_known_by_its_name() -> None:
    assert [zone_named(name).key for name in ZONES] == ZONES
