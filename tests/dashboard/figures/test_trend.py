"""A model's trend: the average of each bucket's calls, and what the buckets before it tell is usual, as records say."""

import json
from datetime import date, datetime, time, timedelta
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Page

from jangbu.domain.amounts import average
from jangbu.domain.usual import BEFORE, usual
from tests.dashboard.figures.shop import LAST, LORD_HOWE, MODELS, NEW_YORK, Meant, page_of, written

SINCE = date(2026, 10, 20)
STEPS = {"day": timedelta(days=1), "hour": timedelta(hours=1)}

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("zone", "bucket", "days", "chosen"),
    [
        (NEW_YORK, "day", (SINCE, LAST), {}), (LORD_HOWE, "day", (SINCE, LAST), {"user": "kim", "service": "chat"}),
        ("UTC", "hour", (date(2026, 11, 1), date(2026, 11, 2)), {}),
    ],
    ids=str,
)  # fmt: skip
async def test_each_average_and_its_band_are_those_of_the_records(
    owner: Page, book: asyncpg.Connection, zone: str, bucket: str, days: tuple[date, date], chosen: dict[str, str]
) -> None:
    first, last = days
    asked = {"zone": zone, "bucket": bucket, "model": MODELS[0], "from": str(first), "to": str(last), **chosen}
    page = await page_of(owner, "/models", **asked)
    meant = Meant(book, zone, first - BEFORE * STEPS["day"], last, model=MODELS[0], **chosen)
    found = await meant.sums(f"date_trunc('{bucket}', clock)")
    begins, ends = (datetime.combine(day, time()) for day in (first, last + STEPS["day"]))
    every = [begins + number * STEPS[bucket] for number in range(-BEFORE, (ends - begins) // STEPS[bucket])]
    averages = [average(found[at]["tokens"], found[at]["calls"]) if at in found else None for at in every]
    expected = [told(averages, place, found.get(every[place])) for place in range(BEFORE, len(every))]
    table = page.table_of("trend-title")
    assert [row.cells for row in table.rows] == expected
    total = await Meant(book, zone, first, last, model=MODELS[0], **chosen).total()
    assert table.total[:2] == (
        written("calls", total["calls"]),
        written("tokens", average(total["tokens"], total["calls"])),
    )
    drawn = drawn_of(page)
    assert drawn["series"][0]["values"] == averages[BEFORE:], "a bucket without calls is a gap"
    assert drawn["outside"] == [bool(cells[-1]) for cells in expected]
    assert drawn["links"] == [row.link for row in table.rows], "the chart leads where its table does"
    is_led = [bool(row.link) for row in table.rows]
    assert is_led == [row.cells[0] != "0" for row in table.rows]
    outside = sum(bool(cells[-1]) for cells in expected)
    assert f"; {outside} bucket" in page.one("figure", aria_labelledby="trend-title").one("caption").text
    for row in [row for row in table.rows if row.link][::10]:
        assert (await page_of(owner, row.link)).table_of("trend-title").total[:2] == row.cells[:2]


def told(averages: list[int | None], place: int, sums: dict[str, int] | None) -> tuple[str, ...]:
    """Give what the table says of a bucket."""
    mine, band = averages[place], usual([each for each in averages[place - BEFORE : place] if each is not None])
    figures = (mine, None, None) if band is None else (mine, band.low, band.high)
    side = 0 if mine is None or band is None else band.side(mine)
    return (
        written("calls", sums["calls"] if sums else 0),
        *("–" if each is None else written("tokens", each) for each in figures),
        ("", "above", "below")[side],
    )


def drawn_of(page: Any) -> Any:
    return json.loads(page.one("figure", aria_labelledby="trend-title").one("script").text)


async def test_what_is_no_model_alone_has_no_trend(owner: Page) -> None:
    asked = {"from": str(SINCE), "to": str(LAST)}
    page = await page_of(owner, "/models", **asked)
    assert not list(page.all("figure", aria_labelledby="trend-title"))
    [link] = [
        each.attributes["href"]
        for each in page.all("a")
        if each.text == "Trend" and MODELS[0] in each.attributes["href"]
    ]
    assert list((await page_of(owner, link)).all("figure", aria_labelledby="trend-title"))
    page = await page_of(owner, "/models", model="gemini-none", **asked)
    assert not list(page.all("figure", aria_labelledby="trend-title"))
    assert "Nothing matches these filters." in page.text
