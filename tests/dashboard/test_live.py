"""A page that updates itself: it shows what is new once it is committed, and leaves alone who works on it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import aiohttp
import pytest
from playwright.async_api import Browser, Page, Request, Route, expect

from jangbu.dashboard.frame import COOKIE
from jangbu.domain.members import Actor
from jangbu.metering.meter import Metering
from jangbu.providers.gemini.parse import parse
from tests.alerts.receiver import until
from tests.conftest import address, execute
from tests.dashboard.conftest import Opens, sign_in
from tests.dashboard.site import OWNER, USERS, VIEWER, Site, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

USER = USERS[0]
SOON = 15_000
PAGES = {
    "overview": "/?range=24h&live=1",
    "models": "/models?range=24h&live=1",
    "cost": "/cost?range=24h&live=1",
    "user": f"/user?{urlencode({'user': USER, 'live': 1})}",
    "ledger": f"/ledger?{urlencode({'user': USER, 'live': 1})}",
}
SEEN = """name => { window.seen = []; new EventSource(`/dashboard/live?seen=${name}`)
    .addEventListener("changed", event => window.seen.push(event.data)); }"""


async def record(ledger: Metering, model: str = "gemini-2.5-flash", service: str = "chat") -> str:
    """Record a call of so many tokens as no other one has; give how that is shown."""
    record.tokens += 1  # type: ignore[attr-defined]
    tokens: int = record.tokens  # type: ignore[attr-defined]
    counts = {"promptTokenCount": tokens - 1, "candidatesTokenCount": 1, "totalTokenCount": tokens}
    answer = {"candidates": [], "usageMetadata": counts, "modelVersion": model, "responseId": f"live-{tokens}"}
    await ledger.record(USER, service, parse(json.dumps(answer).encode()))
    return f"{tokens:,}"


record.tokens = 7_654_000  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", PAGES)
async def test_what_is_recorded_is_shown_soon(opens_own: Opens, ledger: Metering, name: str) -> None:
    page, told = await opens_own(PAGES[name]), []
    page.on("request", lambda asked: told.append(asked) if is_renewal(asked) else None)
    model, service = f"gemini-of-{name}", f"service-of-{name}"
    shown = await record(ledger, model, service)
    found = {"user": shown, "ledger": shown, "models": model}.get(name, service)
    place = page.locator("#page table td, #page table th", has_text=found)
    await expect(place.first).to_be_attached(timeout=SOON)
    assert told, "it was asked for by itself"


async def test_a_page_that_does_not_update_itself_stays_as_it_is(opens_own: Opens, ledger: Metering) -> None:
    other, page = await opens_own("/ledger?user=kim&live=1"), await opens_own("/ledger?user=kim")
    shown = await record(ledger)
    await expect(other.locator("#page table td", has_text=shown).first).to_be_attached(timeout=SOON)
    assert await page.locator("#page table td", has_text=shown).count() == 0


async def test_it_begins_and_ends_by_a_link(opens_own: Opens) -> None:
    page = await opens_own(PAGES["user"].removesuffix("&live=1"))
    assert await page.locator("#page[data-live]").count() == 0
    await page.get_by_role("link", name="Update by itself").click()
    await expect(page.locator("#page[data-live]")).to_be_attached()
    await page.get_by_role("link", name="Stop updating").click()
    await expect(page.locator("#page[data-live]")).not_to_be_attached()


async def test_each_change_is_shown_once(opens_own: Opens, ledger: Metering) -> None:
    page, renewed = await opens_own(PAGES["ledger"]), []
    page.on("request", lambda asked: renewed.append(asked.url) if is_renewal(asked) else None)
    for turn in range(1, 4):
        shown = await record(ledger)
        await expect(page.locator("#page table td", has_text=shown).first).to_be_attached(timeout=SOON)
        await page.wait_for_timeout(6_000)
        assert turn <= len(renewed) <= 3 * turn, "neither fewer, nor ever more with each time that it was shown"


async def test_a_form_that_is_filled_in_is_left_alone(opens_own: Opens, ledger: Metering) -> None:
    page = await opens_own(PAGES["user"])
    amount = page.locator("form[action$='/grant'] [name=amount]")
    await page.locator("details", has=amount).locator("summary").click()
    await amount.fill("12345")
    shown = await record(ledger)
    await page.wait_for_timeout(4_000)
    assert await page.locator("#page table td", has_text=shown).count() == 0
    assert await amount.input_value() == "12345"
    await amount.fill("")
    await expect(page.locator("#page table td", has_text=shown).first).to_be_attached(timeout=SOON)


async def test_what_nobody_sees_is_not_kept_up_to_date(opens_own: Opens, ledger: Metering) -> None:
    page, asked = await opens_own(PAGES["ledger"]), []
    await hide(page, "true")
    page.on("request", lambda each: asked.append(each.url))
    shown = await record(ledger)
    await page.wait_for_timeout(4_000)
    assert asked == []
    await hide(page, "false")
    await expect(page.locator("#page table td", has_text=shown).first).to_be_attached(timeout=SOON)


async def test_where_it_cannot_be_told_it_asks_now_and_then(opens_own: Opens, ledger: Metering) -> None:
    page = await opens_own("/")
    await page.route("**/dashboard/live?*", untold)
    await page.clock.install()
    await page.goto(page.url.partition("/dashboard")[0] + "/dashboard" + PAGES["ledger"])
    for _ in range(2):
        shown = await record(ledger)
        await page.clock.fast_forward(11_000)
        await expect(page.locator("#page table td", has_text=shown).first).to_be_attached(timeout=SOON)


async def test_it_leads_to_the_door_once_its_session_is_over(opens_own: Opens, ledger: Metering) -> None:
    page = await opens_own(PAGES["ledger"], member=VIEWER)
    [member] = [each for each in await ledger.members.list() if each.name == VIEWER]
    await ledger.sessions.end_all(member, Actor.of_command("test"))
    await page.wait_for_url("**/dashboard/sign-in?next=*", timeout=SOON)


async def test_it_goes_on_once_the_database_is_back(browser: Browser, ledger: Metering, own_site: Site) -> None:
    # A browser that nobody watches for what goes wrong.
    context = await browser.new_context(locale="en-US")
    page = await context.new_page()
    await sign_in(page, own_site, OWNER, PAGES["ledger"])
    away = page.get_by_text("cannot be updated at the moment")
    shown = page.locator("#page table td", has_text=await record(ledger)).first
    await expect(shown).to_be_attached(timeout=SOON)
    await expect(away).not_to_be_visible()
    async with shut(own_site.database_url):
        await expect(away).to_be_visible(timeout=2 * SOON)
        await expect(shown).to_be_attached()
    await expect(away).not_to_be_visible(timeout=2 * SOON)
    shown = page.locator("#page table td", has_text=await record(ledger)).first
    await expect(shown).to_be_attached(timeout=SOON)
    await context.close()


async def test_a_page_is_told_of_what_is_new_and_not_more_often_than_it_can_take(
    opens_own: Opens, ledger: Metering
) -> None:
    page = await opens_own(PAGES["ledger"])
    assert await page.locator("#page").get_attribute("data-live") != "0123456789abcdef"
    await page.goto(page.url.replace("&live=1", ""))
    await page.evaluate(SEEN, "0123456789abcdef")

    async def seen() -> int:
        return int(await page.evaluate("window.seen.length"))

    await until(lambda: has(1, seen))
    for _ in range(20):
        await record(ledger)
        await page.wait_for_timeout(300)
    assert await seen() <= 3
    told = await seen()
    await record(ledger)
    await until(lambda: has(told + 1, seen))
    assert len(set(await page.evaluate("window.seen"))) > 1


async def test_nobody_is_told_without_a_session(own_site: Site) -> None:
    for sent in ({}, {"cookie": f"{COOKIE}={'0' * 43}"}):
        async with (
            aiohttp.ClientSession(headers=sent) as client,
            client.get(f"{own_site.url}/dashboard/live") as answer,
        ):
            assert (answer.status, await answer.read()) == (204, b"")


async def test_a_service_that_ends_does_not_wait_for_pages_that_listen(
    opens_own: Opens, own_site: Site, tmp_path: Path
) -> None:
    page = await opens_own("/")
    [cookie] = [each["value"] for each in await page.context.cookies() if each["name"] == COOKIE]
    with serving(own_site.database_url, tmp_path, JANGBU_STOP_SECONDS_MAX="600") as second:
        async with (
            aiohttp.ClientSession(headers={"cookie": f"{COOKIE}={cookie}"}) as client,
            client.get(f"{second.url}/dashboard/live") as listening,
        ):
            assert listening.content_type == "text/event-stream"
            assert await listening.content.readline() == b"retry: 3000\n"
            second.process.terminate()
            rest = await asyncio.wait_for(listening.content.read(), 60)
            assert rest.split() == [] or rest.split()[0] == b"id:"
        assert await asyncio.to_thread(second.process.wait, 60) == 0, "calls are waited for, and not pages"


async def has(number: int, seen: Callable[[], Awaitable[int]]) -> bool:
    return await seen() >= number


def is_renewal(asked: Request) -> bool:
    return asked.resource_type in {"fetch", "xhr"} and "/dashboard/live" not in asked.url


async def hide(page: Page, is_hidden: str) -> None:
    """Have a page believe that it is in a tab that nobody sees."""
    await page.evaluate(
        f"Object.defineProperty(document, 'hidden', {{ value: {is_hidden}, configurable: true }});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )


async def untold(route: Route) -> None:
    await route.fulfill(status=429, body="")


@asynccontextmanager
async def shut(database_url: str) -> AsyncIterator[None]:
    """Have nobody reach a database meanwhile."""
    name, administration = urlsplit(database_url).path[1:], address(database_url, "postgres")
    await execute(administration, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await execute(administration, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    yield
    await execute(administration, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
