"""What is written by somebody who means harm is shown as it is written, and does nothing, in a real browser."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from jangbu.dashboard.pages.all import PAGES
from tests.dashboard import hostile
from tests.dashboard.conftest import Opens, opening, site_of
from tests.dashboard.hostile import FORMULAS, PAYLOADS
from tests.dashboard.site import Site

STRANGERS = (
    "document.querySelectorAll('main img, base, svg[onload], [onerror], [onfocus], [onload], iframe, object, embed, "
    'a[href^="javascript" i], body [hx-trigger="load"], script:not([type="application/json"]):not([src])\').length'
)
CALCULATED = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
NUMBER = re.compile(r"-?[0-9.,]+")

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def spoilt(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with site_of(server, migrated, tmp_path_factory.mktemp("spoilt"), hostile.fill) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def opens_spoilt(browser: Browser, spoilt: Site) -> AsyncIterator[Opens]:
    """Open a page of it; at the end nothing was said by a script, and nothing asked of another host."""
    async with opening(browser, spoilt) as open_page:
        yield open_page


async def looked_at(page: Page, address: str = "") -> None:
    """Go to an address, and look at everything there is: what is folded, and what a chart tells of each bar."""
    if address:
        await page.goto(address)
    await expect(page.locator(".drawn:not(:has(svg))")).to_have_count(0)
    for details in await page.locator("details").all():
        await details.evaluate("(each) => { each.open = true }")
    for chart in await page.locator(".drawn").all():
        await chart.scroll_into_view_if_needed()
        box = await chart.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] - 60, box["y"] + box["height"] / 2)
        await page.mouse.move(box["x"] + box["width"] - 30, box["y"] + box["height"] / 2)
    assert await page.evaluate(STRANGERS) == 0, page.url


def addresses(site: Site, user: str) -> list[str]:
    named = {"user": f"?{urlencode({'user': user})}", "ledger": f"?{urlencode({'user': user, 'entry': 3})}"}
    named["call"] = f"?call={site.call}"
    return [f"{site.url}/dashboard{page.path}{named.get(page.name, '')}" for page in PAGES]


async def test_what_was_written_by_others_is_shown_as_it_was_written(opens_spoilt: Opens, spoilt: Site) -> None:
    page = await opens_spoilt()
    for address in addresses(spoilt, PAYLOADS[0]):
        await looked_at(page, address)
    await page.goto(f"{spoilt.url}/dashboard/")
    for payload in PAYLOADS:
        await expect(page.get_by_role("link", name=payload, exact=True).first).to_be_visible()


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_each_users_pages_show_their_name_and_what_was_written_of_them(
    opens_spoilt: Opens, spoilt: Site, payload: str
) -> None:
    page = await opens_spoilt(f"/user?user={quote(payload, safe='')}")
    await looked_at(page)
    await expect(page.locator("h1")).to_contain_text(payload)
    assert payload in await page.title()
    assert await page.get_by_role("cell", name=payload, exact=True).count() >= 3
    await page.locator("[aria-labelledby=calls] tbody a").first.click()
    await expect(page.locator("h1")).to_have_text("Call")
    await looked_at(page)
    shown = [json.loads(text) for text in await page.locator("pre").all_inner_texts()]
    assert shown[0] == {payload: {payload: [payload]}, "tags": {payload: payload, "feature": payload}}
    assert payload in json.dumps(shown[1], ensure_ascii=False).replace('\\"', '"')
    await looked_at(page, f"{spoilt.url}/dashboard/ledger?user={quote(payload, safe='')}&entry=2")
    await expect(page.locator("h1")).to_contain_text(payload)


@pytest.mark.parametrize("shown", PAGES, ids=lambda page: page.name)
async def test_whatever_an_address_asks_for_is_at_most_shown(opens_spoilt: Opens, spoilt: Site, shown: Any) -> None:
    page = await opens_spoilt()
    named = {"user": PAYLOADS[1], "call": spoilt.call} if shown.name in {"user", "call", "ledger"} else {}
    taken = dict.fromkeys(
        ("lang", "notice", "live", "compare", "search", "model", "service", "price_model", "tag", "tag_value"),
        PAYLOADS[1],
    )
    taken["by_user"] = PAYLOADS[1]
    names = ("range", "zone", "after", "user", "whatif")
    refused = [{name: payload} for name, payload in zip(names, PAYLOADS, strict=False)]
    for asked in (taken, *refused):
        await page.goto(f"{spoilt.url}/dashboard{shown.path}?{urlencode(named | asked)}")
        assert await page.evaluate(STRANGERS) == 0, page.url
        assert await page.locator("h1").count() == 1


@pytest.mark.parametrize("payload", PAYLOADS[:3])
async def test_whatever_is_entered_is_at_most_shown(opens_spoilt: Opens, payload: str) -> None:
    page = await opens_spoilt(f"/user?user={quote(PAYLOADS[0], safe='')}")
    for action, field in (("grant", "amount"), ("adjust", "delta")):
        form = page.locator(f"form[action$='/user/{action}']")
        await form.evaluate("(each) => { each.closest('details').open = true }")
        await form.locator(f"[name={field}]").fill(payload)
        if action == "adjust":
            await form.locator("[name=reason]").fill(payload)
        await form.get_by_role("button").click()
        await expect(form.get_by_role("alert")).to_contain_text(payload[:40])
    await form.locator("[name=delta]").fill("1")
    await form.get_by_role("button").click()
    await expect(page.get_by_role("status")).to_have_text("The balance was corrected.")
    await expect(page.get_by_role("cell", name=payload, exact=True).first).to_be_visible()
    assert await page.evaluate(STRANGERS) == 0


async def test_questions_of_cost_show_tags_values_and_models_as_they_were_written(
    opens_spoilt: Opens, spoilt: Site
) -> None:
    page = await opens_spoilt("/cost?tag=feature")
    await looked_at(page)
    table = page.locator("[aria-labelledby=cost-tags] tbody")
    assert set(await table.locator("th").all_inner_texts()) == {*PAYLOADS, *FORMULAS}
    for payload in PAYLOADS:
        asked = urlencode({"tag": payload, "tag_value": payload, "whatif": payload.replace("*", "")})
        await looked_at(page, f"{spoilt.url}/dashboard/cost?{asked}")
        heading = page.locator("#tagged")
        await expect(heading).to_have_text(f"Latest calls with {payload} = {payload}")
        assert await page.locator("[aria-labelledby=tagged] tbody tr").count() == 1
        await expect(page.locator("select[name=whatif]")).to_have_value(payload.replace("*", ""))
    answer = await page.request.get(f"{spoilt.url}/dashboard/cost/tags.csv?tag=feature")
    lines = list(csv.DictReader(io.StringIO(await answer.text())))
    assert {line["value"] for line in lines} == {*PAYLOADS, *(f"'{formula}" for formula in FORMULAS)}


async def test_no_cell_of_what_is_copied_is_a_formula(opens_spoilt: Opens) -> None:
    page = await opens_spoilt("/cost")
    figure = page.locator("figure").first
    await figure.get_by_text("View as table").click()
    await figure.get_by_role("button", name="Copy as CSV").click()
    await expect(figure.get_by_role("status")).to_have_text("Copied.")
    heads, *lines = csv.reader(io.StringIO(await page.evaluate("navigator.clipboard.readText()")))
    for cell in (*heads, *(cell for line in lines for cell in line)):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")) or NUMBER.fullmatch(
            cell
        ), cell
    assert {len(line) for line in lines} == {len(heads)}
    assert set(heads) == {"Time", "Total", *PAYLOADS, *(f"'{formula}" for formula in FORMULAS)}

    await figure.get_by_role("button", name="Copy as JSON").click()
    shown = await figure.locator("thead th").all_inner_texts()
    found = json.loads(await page.evaluate("navigator.clipboard.readText()"))
    assert len(found) == len(lines)
    assert {name for line in found for name in line} == set(shown) == {"Time", "Total", *PAYLOADS, *FORMULAS}
