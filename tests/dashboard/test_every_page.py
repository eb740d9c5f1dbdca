"""Every page in both languages, in both colour schemes, as wide as a screen and as a phone: nothing fails, axe finds
nothing, all of it can be reached by keyboard. Each page's pictures are kept below build/screenshots.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import FloatRect, Page, expect
from vendored.__main__ import INSTALLED

from jangbu.dashboard.pages.all import PAGES
from tests.dashboard.conftest import Opens
from tests.dashboard.site import FEATURES, MODELS, USERS, Site

_AXE = INSTALLED / "node_modules" / "axe-core" / "axe.min.js"
# Read before any test runs: the one that makes the files of others anew installs them once more meanwhile.
AXE = _AXE.read_text(encoding="utf-8") if _AXE.exists() else None
PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
LOOKS = (("en", "light", 1280), ("ko", "dark", 1280), ("en", "dark", 390), ("ko", "light", 390))
"""Each language, scheme and width twice, for what is not looked at in all of their combinations."""
WIDTHS = (1280, 390)
"""A screen's and a phone's: the window is made narrower under the page that it shows."""
PICTURE_HEIGHT_MOST = 10_000
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

pytestmark = pytest.mark.asyncio(loop_scope="session")


def address_of(name: str, path: str, site: Site) -> str:
    match name:
        case "user":
            return f"{path}?user={USERS[0]}"
        case "ledger":
            return f"{path}?user={USERS[0]}&entry=2"
        case "call":
            return f"{path}?call={site.call}&user={USERS[0]}"
        case "models":
            return f"{path}?model={MODELS[0]}"
        case "cost":
            return f"{path}?whatif={MODELS[1]}&tag=feature&tag_value={FEATURES[0]}"
        case _:
            return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("shown", PAGES, ids=lambda page: page.name)
async def test_a_page_is_right_however_it_is_looked_at(
    opens: Opens, site: Site, shown: Any, language: str, scheme: str
) -> None:
    page = await opens(address_of(shown.name, shown.path, site), language=language, scheme=scheme, width=WIDTHS[0])
    assert await page.locator("html").get_attribute("lang") == language
    assert await page.locator("h1").count() == 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        await expect(page.locator(".drawn:not(:has(svg))")).to_have_count(0)
        # The page of prices is so long that to draw it whole took a busy machine more than half a minute.
        height = min(await page.evaluate("document.documentElement.scrollHeight"), PICTURE_HEIGHT_MOST)
        whole: FloatRect = {"x": 0, "y": 0, "width": width, "height": height}
        picture = PICTURES / f"{shown.name}-{language}-{scheme}-{width}.png"
        await page.screenshot(path=picture, full_page=True, clip=whole, timeout=120_000)
        fits = "document.documentElement.scrollWidth <= innerWidth"
        await page.wait_for_function(fits, timeout=60_000)
        await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        assert await found_by_axe(page) == []
        await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = false })")


@pytest.mark.parametrize("shown", PAGES, ids=lambda page: page.name)
async def test_a_page_is_gone_through_by_keyboard(opens: Opens, site: Site, shown: Any) -> None:
    page = await opens(address_of(shown.name, shown.path, site))
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await gone_through(page)


async def gone_through(page: Page) -> None:
    """See that the keyboard reaches everything that does something, from where it is on, and shows where it is."""
    wanted = await page.evaluate(
        "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, "
        '[tabindex="0"]\')].filter((each) => each.checkVisibility()).length'
    )
    seen = 0
    for _ in range(wanted * 3 + 20):
        seen += await page.evaluate(
            "(() => { const at = document.activeElement; const isNew = !at.dataset.seen && at !== document.body;"
            " at.dataset.seen = 1; return isNew ? 1 : 0 })()"
        )
        outlined = await page.evaluate(
            "(() => { const at = document.activeElement; return at === document.body "
            "|| getComputedStyle(at).outlineStyle !== 'none' })()"
        )
        assert outlined, await page.evaluate("document.activeElement.outerHTML.slice(0, 300)")
        if seen >= wanted:
            break
        await page.keyboard.press("Tab")
    assert seen >= wanted


async def found_by_axe(page: Page) -> list[str]:
    if AXE is None:
        pytest.skip("node and npm are not here, so axe is not either")
    # A page's own policy lets no script in but its own; one that the browser's driver evaluates passes.
    await page.evaluate(AXE)
    found = await page.evaluate("async (rules) => (await axe.run(document, { runOnly: rules })).violations", RULES)
    return [f"{each['id']}: {json.dumps([node['html'][:200] for node in each['nodes'][:3]])}" for each in found]
