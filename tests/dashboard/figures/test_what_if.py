"""What the same usage would have cost at another model's price is what the raw records make of the price list."""

import csv
import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from jangbu.dashboard.formats import Formats
from tests.dashboard.conftest import opening
from tests.dashboard.figures.shop import (
    FIRST,
    KOLKATA,
    LAST,
    LORD_HOWE,
    MODELS,
    NEW_YORK,
    RECORDS,
    USERS,
    page_of,
    written,
)
from tests.dashboard.reading import rows
from tests.dashboard.shown import Node
from tests.dashboard.site import VIEWER, Site

FLASH, PRO, FREE = MODELS
LITE = "gemini-2.0-flash-lite"
"""It has no price for cached input."""
FORMATS = Formats("en", "UTC")
MARK_UP = 125_000
PRICED = """
    , priced AS (
        SELECT
            m.model, m.cost_nano, m.charge_nano,
            CASE $7::text
                WHEN 'gemini-2.5-pro'
                THEN (m.prompt - m.cached) * 1250 + m.cached * 125 + (m.candidates + m.thoughts) * 10000
                WHEN 'gemini-2.0-flash-lite'
                THEN CASE WHEN m.cached = 0 THEN m.prompt * 75 + (m.candidates + m.thoughts) * 300 END
            END AS there
        FROM meant AS m
    )
    SELECT p.model, p.cost_nano, p.charge_nano, p.there FROM priced AS p
"""
"""By the list prices of 2026-11, in nano-USD a token."""
NAMES = ("calls", "compared_calls", "cost_nano", "other_cost_nano", "charge_nano", "other_charge_nano",
         "unpriced_there", "unpriced_then")  # fmt: skip

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def summed(
    book: asyncpg.Connection, zone: str, other: str, *, model: str | None = None, user: str | None = None
) -> list[tuple[Any, ...]]:
    lines: dict[str, list[int]] = {}
    for name, cost, charge, there in await book.fetch(RECORDS + PRICED, zone, FIRST, LAST, model, None, user, other):
        line = lines.setdefault(name, [0] * len(NAMES))
        is_compared = cost is not None and there is not None
        # Half to even, as money is rounded everywhere.
        money = (
            (cost, there, charge, round(Fraction(there * (1_000_000 + MARK_UP), 1_000_000)))
            if is_compared
            else (0,) * 4
        )
        added = (1, int(is_compared), *money, int(there is None), int(there is not None and cost is None))
        line[:] = [sum(pair) for pair in zip(line, added, strict=True)]
    return sorted(((name, *line) for name, line in lines.items()), key=lambda line: -line[3])


def cells_of(sums: Sequence[int | None]) -> tuple[str, ...]:
    """Write a line as the page does."""
    calls, compared, cost, there, charge, charge_there, no_price_there, no_price_then = (each or 0 for each in sums)
    money = (cost, there, there - cost, charge, charge_there)
    shown = [written("cost", each) if compared else "–" for each in money]
    return (
        written("calls", calls), written("calls", compared), *shown[:3], FORMATS.percent(there, cost), *shown[3:],
        written("calls", no_price_there), written("calls", no_price_then),
    )  # fmt: skip


def asked(zone: str, other: str, **more: str) -> dict[str, str]:
    return {"zone": zone, "whatif": other, "from": str(FIRST), "to": str(LAST), **more}


@pytest.mark.parametrize("zone", [NEW_YORK, KOLKATA, LORD_HOWE])
@pytest.mark.parametrize("other", [PRO, LITE])
async def test_each_models_calls_are_priced_again_to_the_nano_usd(
    owner: Page, book: asyncpg.Connection, zone: str, other: str
) -> None:
    for filters in ({}, {"model": FLASH}, {"user": USERS[1]}):
        page = await page_of(owner, "/cost", **asked(zone, other, **filters))
        table, lines = page.table_of("what-if"), await summed(book, zone, other, **filters)
        assert [(row.name, row.cells) for row in table.rows] == [(name, cells_of(sums)) for name, *sums in lines]
        total = [sum(line[place] or 0 for line in lines) for place in range(1, 9)]
        assert table.total == cells_of(total)
        assert f"{FORMATS.number(total[0])} calls from" in page.text
        assert "Time was over" not in page.text
        if other == LITE:
            assert total[6] > total[1] > 0, "most calls have a cached part, some have none"
            assert f"not priced: cached input, text · {FORMATS.number(total[6])} calls" in page.text
        else:
            assert total[6] == 0
            assert total[7] == sum(line[1] - line[2] for line in lines if line[0] == FREE)


async def test_the_file_has_the_figures_of_the_page(owner: Page, book: asyncpg.Connection) -> None:
    page = await page_of(owner, "/cost", **asked(KOLKATA, LITE))
    place = urlsplit(owner.url)
    links = [each.attributes["href"] for each in page.all("a") if "/cost/whatif.csv" in each.attributes["href"]]
    answer = await owner.request.get(f"{place.scheme}://{place.netloc}{links[0]}")
    assert answer.status == 200, await answer.text()
    sums: dict[str, list[int]] = {}
    for line in csv.DictReader(io.StringIO(await answer.text())):
        figures = [int(line[name] or 0) for name in NAMES]
        sums[line["model"]] = [
            sum(pair) for pair in zip(sums.get(line["model"], [0] * len(NAMES)), figures, strict=True)
        ]
        assert line["other_model"] == LITE
        assert int(line["difference_nano"] or 0) == figures[3] - figures[2]
    assert {(name, *figures) for name, figures in sums.items()} == set(await summed(book, KOLKATA, LITE))


async def test_what_is_chosen_is_in_the_address_stays_with_other_filters_and_is_seen_by_whoever_it_is_sent_to(
    shop: Site, browser: Browser
) -> None:
    async with opening(browser, shop) as opens:
        page = await opens(f"/cost?from={FIRST}&to={LAST}&zone={KOLKATA}")
        await expect(page.locator("[aria-labelledby=what-if] table")).to_have_count(0)
        await page.locator("select[name=whatif]").select_option(PRO)
        await page.get_by_role("button", name="Compare").click()
        await page.wait_for_url(f"**whatif={PRO}*")
        assert f"from={FIRST}" in page.url, "the days are kept"
        await page.locator(".filters [name=model]").select_option(FLASH)
        await page.wait_for_url("**model=*")
        shown = await rows(page, "what-if")
        assert [line[0] for line in shown] == [FLASH]
        other = await opens(page.url.removeprefix(f"{shop.url}/dashboard"), member=VIEWER, zone="America/Los_Angeles")
        assert await rows(other, "what-if") == shown
        await expect(other.locator("select[name=whatif]")).to_have_value(PRO)
        await other.locator("select[name=whatif]").select_option("")
        await other.get_by_role("button", name="Compare").click()
        await expect(other.locator("[aria-labelledby=what-if] table")).to_have_count(0)
        assert "whatif" not in other.url


async def test_nothing_to_compare_is_said_and_a_model_without_a_price_is_no_choice(owner: Page) -> None:
    page = await page_of(owner, "/cost", **{"whatif": PRO, "from": "2001-01-01", "to": "2001-01-31"})
    assert "Nothing in this period." in section(page)
    page = await page_of(owner, "/cost", **asked(KOLKATA, PRO, service="painting"))
    assert "Nothing matches these filters." in section(page)
    place = urlsplit(owner.url)
    for address, said in (
        ("/cost?whatif=gemini-0-free", "“gemini-0-free” has no price now."),
        ("/cost/whatif.csv", "Choose another model"),
        ("/cost/whatif.csv?whatif=x", "“x” has no price now."),
    ):
        answer = await owner.request.get(f"{place.scheme}://{place.netloc}/dashboard{address}")
        assert answer.status == 400
        assert said in (told := await answer.text())
        assert PRO not in told


def section(page: Node) -> str:
    return page.one("section", aria_labelledby="what-if").text
