"""A page on paper: dark on light whatever the screen has, charts in their room, nothing that can only be pressed."""

import re
import zlib
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page, expect

from jangbu.metering.meter import Metering
from tests.alerts.receiver import until
from tests.dashboard.conftest import Opens
from tests.metering.telling import UNPRICED, use

pytestmark = pytest.mark.asyncio(loop_scope="session")

DARKNESS = "getComputedStyle(document.body).color.match(/[0-9]+/g).every(each => Number(each) < 64)"
"""Whether what is written is nearly black."""
INK = "getComputedStyle(document.documentElement).getPropertyValue('--quiet').trim()"
OUTSIDE = """[...document.querySelectorAll(".drawn")].filter(each => {
    const room = each.getBoundingClientRect(), svg = each.querySelector("svg").getBoundingClientRect();
    return svg.height > room.height + 1 || svg.width > room.width + 1;
}).length"""

WHOLE = 300 / 96
"""Dots on paper for one on the screen, where nothing is made smaller."""
BROKEN = """dd => [...dd.querySelectorAll("a[title], span[title]")].flatMap(each => {
    const text = each.firstChild, words = [...text.data.matchAll(/[^ ]+/g)];
    return words.filter(word => {
        const range = document.createRange();
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        return range.getClientRects().length > 1;
    }).map(word => word[0]);
})"""
"""The words of a tile that stand in two lines."""


@pytest.mark.parametrize("path", ["/", "/cost", "/user?user=kim"])
async def test_a_page_is_printed_dark_on_light(opens: Opens, path: str) -> None:
    page = await opens(path, scheme="dark")
    await expect_drawn_anew(page)
    assert not await page.evaluate(DARKNESS)
    await page.emulate_media(media="print")
    assert await page.evaluate(DARKNESS)
    for name in ("#menu", ".choices", ".files", "#page button", "#page summary"):
        assert await page.locator(name).filter(visible=True).count() == 0, name
    await expect(page.locator("#page h1")).to_be_visible()
    await expect_drawn_anew(page)
    await page.emulate_media(media="screen")
    await expect_drawn_anew(page)


async def expect_drawn_anew(page: Page) -> None:
    """See that charts have the colours of the page, and end where they shall."""
    await expect(page.locator(f".drawn svg text[fill='{await page.evaluate(INK)}']").first).to_be_attached()

    async def is_inside() -> bool:
        return bool(await page.evaluate(OUTSIDE) == 0)

    await until(is_inside)


async def test_a_chart_does_not_make_all_of_a_page_smaller(opens: Opens) -> None:
    page = await opens("/")
    await expect(page.locator(".drawn svg").first).to_be_attached()
    assert sizes(await page.pdf(format="A4")) == {WHOLE}


def sizes(printed: bytes) -> set[float]:
    """Give how large the pages of a document are drawn."""
    streams = (zlib.decompress(each) for each in re.findall(rb"FlateDecode.*?stream\r?\n(.*?)endstream", printed, re.S))
    drawn = (re.match(rb".*?([\d.]+) 0 0 \1 [-.\d]+ [-.\d]+ cm", each, re.S) for each in streams if b" -.2" in each)
    return {float(each[1]) for each in drawn if each}


async def test_few_tiles_share_the_whole_width(opens: Opens) -> None:
    page = await opens("/cost", width=1280)
    tiles = page.locator(".tiles")
    ends = "each => each.getBoundingClientRect().right"
    whole, last = await tiles.evaluate(ends), await tiles.locator(".tile").last.evaluate(ends)
    assert last == pytest.approx(whole, abs=1), "an amount of money is broken in two only where there is no room at all"


@pytest.mark.parametrize("width", [360, 1280])
async def test_an_amount_is_not_broken_in_two(opens_own: Opens, ledger: Metering, width: int) -> None:
    user = f"small {width}"
    await ledger.accounts.create(user)
    for model in ("gemini-2.5-flash", UNPRICED):
        await use(ledger, 25, model, user)
    page = await opens_own(f"/user?{urlencode({'user': user})}", width=width, language="ko")
    cost = page.locator(".tile dd").last
    await expect(cost).to_contain_text("US$0.0000")
    assert await cost.evaluate(BROKEN) == []
