"""Every filter of every page is set in a browser: the address holds it, whoever is sent that sees the same, what is
shown obeys it, and it is cleared again.

The controls are those of the pages as they are served: one that is added fails here until it is tried here, too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser, Page

from jangbu.dashboard.choices import CUSTOM
from jangbu.dashboard.pages.all import PAGES
from tests.dashboard.conftest import Opens, sign_in, undrawn
from tests.dashboard.obeying import (
    ACTIVE,
    HOLDS,
    REFUSED,
    Looked,
    Obeys,
    anomalous,
    by_cost,
    by_name,
    by_the_thousand,
    by_weeks,
    compared,
    counted,
    entered,
    everybodys,
    found_by_name,
    in_that_zone,
    least_first,
    listed,
    of_money,
    of_period,
    of_user,
    of_version,
    only,
    searched,
    undelivered,
    whole,
    with_calls,
)
from tests.dashboard.raw import asked_of
from tests.dashboard.shown import Node, read
from tests.dashboard.site import FINANCE, MODELS, OWNER, SERVICES, Site
from tests.dashboard.varied import AGO, KIM, LEE

SEOUL = "Asia/Seoul"
FIRST, LAST = (AGO + timedelta(days=8)).isoformat(), AGO.isoformat()
TRIES = 4

SEEN = """() => {
    const page = document.getElementById("page").cloneNode(true);
    page.querySelectorAll("script, .drawn").forEach((each) => each.remove());
    const chosen = [...document.querySelectorAll("form.filters")].map((form) => [...new FormData(form)].join("; "));
    const links = [...page.querySelectorAll("a")].map((each) => each.getAttribute("href"));
    return [page.textContent, ...chosen, ...links].join("\\n");
}"""
"""What is read on a page, with what its tables hold; what its filters would send; and where it leads."""
CONTROLS = """() => [...document.querySelectorAll("form.filters")].flatMap((form) => [...form.elements])
    .filter((each) => each.type !== "hidden" && each.localName !== "button").map((each) => each.name)"""
OPTIONS = """() => [...document.querySelectorAll("form.filters select:not([name=zone])")]
    .flatMap((each) => [...each.options].slice(0, 20).map((option) => [each.name, option.value]))"""
AS_OF = re.compile(r"[Aa]s of [0-9:]+ [AP]M")

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True)
class Set:
    """What a control is set to, and what the page shows then. A value in quotes is what an option is called."""

    value: str
    obeys: Obeys
    back: str = ""
    """The control by which it is undone: the control itself where none is named."""


def period(obeys: Obeys) -> dict[str, Set]:
    return {
        "range": Set("7d", obeys),
        "from": Set(FIRST, obeys, back="range"),
        "to": Set(LAST, obeys, back="range"),
        "zone": Set(SEOUL, obeys),
    }


def part(obeys: Obeys) -> dict[str, Set]:
    return {"service": Set(SERVICES[2], obeys), "model": Set(MODELS[0], obeys)}


def usage(obeys: Obeys, chart: str) -> dict[str, Set]:
    return period(obeys) | part(obeys) | {"user": Set(LEE, obeys), "bucket": Set("week", by_weeks(chart))}


def calls_of_overview(node: Node) -> int:
    return whole(node.tiles["Calls"])


def calls_of_models(node: Node) -> int:
    return whole(node.table_of("models").total[0])


def calls_of_cost(node: Node) -> int:
    return sum(whole(cells) for cells in node.table_of("cost-services").column("Calls").values())


def calls_of_user(node: Node) -> int:
    """Count the calls that the matrix sums, which is of a period, whatever part of it is listed."""
    return sum(whole(re.findall(r"([0-9,]+) calls?", row.cells[-1])[0]) for row in node.table_of("matrix").rows)


async def of_matrix(looked: Looked) -> None:
    """See that the matrix is of the period, and of all that was used in it."""
    calls, _, _ = await looked.used(looked.window, service=None, model=None)
    assert calls_of_user(looked.after) == calls > 0


AT = {"user": f"/user?user={KIM}", "ledger": f"/ledger?user={KIM}"}
"""Where a page is looked at; what else there is needs no more than its path."""
TRIED: Mapping[str, Mapping[str, Set]] = {
    "overview": usage(counted(calls_of_overview), "by-model")
    | {"metric": Set("cost", by_cost), "compare": Set("1", compared(3))},
    "models": usage(counted(calls_of_models), "by-model") | {"metric": Set("cost", by_cost)},
    "cost": usage(counted(calls_of_cost), "by-service") | {"compare": Set("1", compared(5))},
    "users": period(of_period)
    | {"search": Set("l", found_by_name), "order": Set("user", by_name), "way": Set("up", least_first)}
    | {"active": Set("1", listed("users", ACTIVE)), "state": Set("anomalous", anomalous)},
    "user": period(with_calls(of_matrix))
    | part(with_calls(of_matrix))
    | {"status": Set("overrun", searched(of_matrix)), "tag": Set("feature=writing", searched(of_matrix))}
    | {"key": Set("none", searched(of_matrix))},
    "calls_latest": period(everybodys) | part(everybodys) | {"user": Set(LEE, everybodys)},
    "ledger": period(entered)
    | {
        "zone": Set(SEOUL, in_that_zone),
        "user": Set(LEE, of_user),
        "asset": Set("money", of_money),
        "kind": Set("usage", only("entries", "Kind", "entry")),
    },
    "ledger_holds": period(listed("holds", HOLDS))
    | {
        "user": Set(KIM, only("holds", "User")),
        "state": Set("open", only("holds", "State", "hold")),
        "service": Set("chat", only("holds", "Service", "service")),
        "model": Set(MODELS[1], only("holds", "Model")),
    },
    "ledger_refused": period(listed("refused", REFUSED)) | {"user": Set(LEE, only("refused", "User"))},
    "alerts": {
        "state": Set("resolved", only("open", "State", "inbox")),
        "kind": Set("overrun", only("open", "Why", "finding")),
        "user": Set(LEE, only("open", "User")),
    },
    "alerts_told": {"undelivered": Set("1", undelivered)},
    "alerts_events": {
        "kind": Set("call.refused", only("events", "Kind", "event")),
        "state": Set("given_up", only("events", "State", "alert_state")),
        "user": Set(LEE, only("events", "User")),
    },
    "prices": {
        "version": Set("1", of_version),
        "price_model": Set(MODELS[0], only("book", "Model")),
        "standing": Set("outdone", only("book", "State", "price_standing")),
        "unit": Set("1K", by_the_thousand),
    },
    "settings_audit": {"member": Set(f'"{FINANCE}"', only("audit", "Who", wanted=FINANCE))},
    "settings_keys": {"user": Set(KIM, only("keys", "Whose"))},
}


async def test_every_page_of_the_menu_and_beside_it_is_gone_through(opens_varied: Opens) -> None:
    page = await opens_varied("/")
    seen: set[str] = set()
    for address in await links_of(page, "nav.menu a"):
        await page.goto(address)
        seen |= {address.partition("?")[0], *await links_of(page, ".beside a")}
    found = {path.partition("/dashboard")[2] or "/" for path in seen}
    beside = {"/prices/change", "/ledger/holds", "/ledger/refused"}
    led_to = {"/user", "/users/grant", "/call", "/calls", "/profile"} | beside
    assert {path.rstrip("/") for path in found | led_to} == {each.path.rstrip("/") for each in PAGES}
    assert not led_to & found


@pytest.mark.parametrize("shown", PAGES, ids=lambda page: page.name)
async def test_every_filter_does_what_it_says_and_is_shared_by_its_address(
    opens_varied: Opens, browser: Browser, varied: Site, shown: Any
) -> None:
    at = {"call": f"/call?call={varied.call}&user={KIM}"}.get(shown.name) or AT.get(shown.name, shown.path)
    tried = TRIED.get(shown.name, {})
    other = await Other.signed_in(browser, varied)
    page = await opens_varied(at)
    assert sorted(await page.evaluate(CONTROLS)) == sorted(tried), "a control that is not tried here, or is not there"
    for name, choice in tried.items():
        before, was = read(await page.content()), await state_of(page, choice.back or name)
        value = await chosen(page, name, choice.value)
        asked = asked_of(page.url)
        assert asked[name] == value != was
        assert await state_of(page, name) == value
        await other.sees_the_same(page, name, value)
        await choice.obeys(Looked(before, read(await page.content()), name, asked, varied))
        await cleared(page, choice.back or name, was)
        await same(page, at, varied)
    await other.page.context.close()


@pytest.mark.parametrize("name", TRIED)
async def test_what_a_form_does_not_choose_holds_on(opens_varied: Opens, varied: Site, name: str) -> None:
    [shown] = [each for each in PAGES if each.name == name]
    kept = {"zone": SEOUL} | ({"live": "1"} if shown.lives else {})
    # What the models have nothing to compare for goes along to the pages that have.
    kept |= {"compare": "1"} if name == "models" else {}
    at = AT.get(name, shown.path)
    page = await opens_varied(f"{at}{'&' if '?' in at else '?'}{urlencode(kept)}")
    assert bool(await page.locator("#page[data-live]").count()) == ("live" in kept)
    control, choice = next((each, tried) for each, tried in TRIED[name].items() if each != "zone")
    await chosen(page, control, choice.value)
    assert asked_of(page.url).items() >= kept.items()
    assert bool(await page.locator("#page[data-live]").count()) == ("live" in kept)


@pytest.mark.parametrize("name", TRIED)
async def test_each_choice_that_is_offered_can_be_made(opens_varied: Opens, varied: Site, name: str) -> None:
    [shown] = [each for each in PAGES if each.name == name]
    at = AT.get(name, shown.path)
    page = await opens_varied(at)
    offered: list[list[str]] = await page.evaluate(OPTIONS)
    # To choose days is to name them.
    for control, value in (each for each in offered if each[1] != CUSTOM):
        # A day can be cut into parts of any length: more bars than are drawn are refused, in words.
        asked = urlencode({"range": "24h", control: value})
        answer = await page.request.get(f"{varied.url}/dashboard{at}{'&' if '?' in at else '?'}{asked}")
        assert answer.status == 200, asked
        [form] = read(await answer.text()).all("form", class_="filters")
        options = list(form.one("select", name=control).all("option"))
        said = [each for each in options if "selected" in each.attributes] or options
        assert said[0].attributes["value"] == value or not value, asked


@dataclass(frozen=True)
class Other:
    """Somebody else at another machine, who is sent addresses. Of one nothing is left when the next one comes."""

    browser: Browser
    page: Page
    kept: Any

    @classmethod
    async def signed_in(cls, browser: Browser, site: Site) -> "Other":
        context = await browser.new_context(locale="en-US", timezone_id="America/New_York", color_scheme="dark")
        await undrawn(context)
        page = await context.new_page()
        await sign_in(page, site, OWNER)
        return cls(browser, page, await context.storage_state())

    async def sees_the_same(self, page: Page, name: str, value: str) -> None:
        """See that an address that was never open there shows the same; what time changed is looked at again."""
        context = await self.browser.new_context(
            locale="en-US", timezone_id="America/New_York", color_scheme="dark", storage_state=self.kept
        )
        await undrawn(context)
        fresh = await context.new_page()
        await fresh.goto(page.url)
        assert fresh.url == page.url
        assert await state_of(fresh, name) == value
        for _ in range(TRIES):
            mine, theirs = await seen(page), await seen(fresh)
            if mine == theirs:
                break
            await page.reload()
            await fresh.reload()
        assert mine == theirs
        await context.close()


async def links_of(page: Page, places: str) -> list[str]:
    found: list[str] = await page.locator(places).evaluate_all("(links) => links.map((link) => link.href)")
    return found


async def seen(page: Page) -> str:
    return AS_OF.sub("as of now", " ".join((await page.evaluate(SEEN)).split()))


async def state_of(page: Page, name: str) -> str:
    """Give what a control says."""
    place = page.locator(f"form.filters [name={name}]")
    if await place.get_attribute("type") == "checkbox":
        return "1" if await place.is_checked() else ""
    return await place.input_value()


async def chosen(page: Page, name: str, value: str) -> str:
    """Set a control as people do, and wait for the page that it leads to. Give its value."""
    place = page.locator(f"form.filters [name={name}]")
    await page.evaluate("document.getElementById('page').dataset.former = 1")
    if await place.evaluate("(each) => each.tagName") == "SELECT":
        await (place.select_option(label=value[1:-1]) if value.startswith('"') else place.select_option(value))
        value = await place.input_value()
    elif await place.get_attribute("type") == "checkbox":
        await place.set_checked(bool(value))
    else:
        await place.fill(value)
        await page.locator("form.filters button.main").click()
    await page.locator("#page:not([data-former])").wait_for()
    await page.wait_for_url(lambda url: asked_of(url).get(name, "") == value)
    return value


async def cleared(page: Page, name: str, was: str) -> None:
    """Take back what was chosen: by the link that clears, where there is one, or else as it was set."""
    link = page.locator("form.filters a, .chosen a")
    if await link.count() and asked_of(await link.first.get_attribute("href") or "").get(name, was) == was:
        await link.first.click()
        await page.wait_for_url(lambda url: asked_of(url).get(name, was) == was)
    elif await state_of(page, name) != was or name == "range":
        await chosen(page, name, was)


async def same(page: Page, at: str, site: Site) -> None:
    """See that a page is again what it was at first, at another address perhaps."""
    url = page.url
    for _ in range(TRIES):
        found = await seen(page)
        await page.goto(f"{site.url}/dashboard{at}")
        first = await seen(page)
        if without_links(found) == without_links(first):
            return
        await page.goto(url)
    assert found == first


def without_links(text: str) -> str:
    """Leave out where a page leads to: what is chosen by default may be said there, or not."""
    return re.sub(r"/dashboard\S*", "", text)
