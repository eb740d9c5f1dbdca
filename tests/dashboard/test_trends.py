"""What lies outside of what is usual is marked, in words and in the chart; where no calls were there is a gap."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from jangbu.dashboard.figures import Figure
from jangbu.dashboard.formats import Formats
from jangbu.dashboard.look import Look
from jangbu.dashboard.texts import Language, texts_of
from jangbu.dashboard.trends import trend_figure
from jangbu.domain.amounts import Amounts
from jangbu.domain.windows import Bucket, Window
from jangbu.metering.series import Bar, Series
from jangbu.metering.snapshots import Filters

DAY = timedelta(days=1)
START = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE = [1_000, 1_010, 990, None, 1_005, 995, 1_020, 980]
"""Their mean is 1,000, and their deviation the root of 150: three times that is 36.7."""
SHOWN = [1_036, None, 1_038, 12_000]


def bars(averages: Sequence[int | None], start: datetime) -> tuple[Bar, ...]:
    """Give a day for each average, of two calls; none where there is no average."""
    return tuple(
        Bar(start + number * DAY, start + (number + 1) * DAY, amounts(average))
        for number, average in enumerate(averages)
    )


def amounts(average: int | None) -> Amounts:
    return Amounts() if average is None else Amounts(calls=2, total_tokens=2 * average)


def figure(language: Language, before: Sequence[int | None], shown: Sequence[int | None]) -> Figure:
    window = Window(START, START + len(shown) * DAY, ZoneInfo("UTC"), Bucket.DAY)
    days = bars(shown, START)
    series = Series(window, Filters(), None, window.end - DAY / 2, days, (), Amounts.sum(day.amounts for day in days))
    nobody = cast(Any, None)
    look = Look(
        nobody, nobody, nobody, nobody, "/dashboard/models", {"model": "kite", "range": "30d", "bucket": "day"},
        texts_of(language), Formats(language, "UTC"), window.end,
    )  # fmt: skip
    return trend_figure(look, "trend", series, bars(before, START - len(before) * DAY))


def test_what_is_outside_is_marked_and_leads_to_its_day() -> None:
    found = figure("en", BEFORE, SHOWN)
    assert [row.cells for row in found.rows] == [
        ("2", "1,036", "964", "1,036", ""),
        ("0", "–", "955", "1,054", ""),
        ("2", "1,038", "955", "1,054", ""),
        ("2", "12,000", "952", "1,064", "above"),
    ]
    assert found.rows[3].link == "/dashboard/models?model=kite&from=2026-06-04&to=2026-06-04"
    assert [bool(row.link) for row in found.rows] == [True, False, True, True]
    assert found.totals[:2] == ("6", "4,691")
    assert found.summary.endswith("; 1 bucket lies outside of what is usual.")
    drawn = found.drawn
    assert drawn["series"][0]["values"] == SHOWN
    assert drawn["outside"] == [False, False, False, True]
    assert drawn["links"] == [row.link for row in found.rows]
    assert (drawn["running"], found.running) == (3, "Hollow: Jun 4, still running")
    assert [row.is_running for row in found.rows] == [False, False, False, True]
    assert drawn["said"][3] == "Jun 4\nAverage of a call: 12,000\nUsual: 952 to 1,064"


@pytest.mark.parametrize(("language", "side"), [("en", "below"), ("ko", "낮음")])
def test_it_is_said_on_which_side_it_is(language: Language, side: str) -> None:
    assert [row.cells[-1] for row in figure(language, BEFORE, [963, 964]).rows] == [side, ""]


def test_where_little_was_before_nothing_is_usual() -> None:
    found = figure("ko", BEFORE[:6], [50_000, None, 1])
    assert [row.cells[2:] for row in found.rows] == [("–", "–", "")] * 3
    assert found.drawn["band"]["low"] == [None] * 3
    assert found.drawn["said"][1].endswith("호출당 평균: –")
