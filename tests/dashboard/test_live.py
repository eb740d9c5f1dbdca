"""A page that updates itself: it shows what is new once it is committed, and leaves alone who works on it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import aiohttp
import pytest
from playwright.async_api import Browser, Locator, Page, Request, Route, expect

from jangbu.clock import new_id
from jangbu.dashboard.frame import COOKIE
from jangbu.domain.flow import Bounds, Call, Settle, TakeHold
from jangbu.domain.members import Actor
from jangbu.metering.inbox import FindingKind, Inbox
from jangbu.metering.meter import Metering
from jangbu.providers.gemini.parse import parse
from tests.alerts.receiver import until
from tests.conftest import address, execute
from tests.dashboard.conftest import Opens, sign_in
from tests.dashboard.site import MODELS, OWNER, USERS, VIEWER, Site, serving
from tests.metering.telling import answer

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
    page, renewed = await opens_own(PAGES["ledger"]), list[float]()
    page.on("request", lambda asked: renewed.append(time.monotonic()) if is_renewal(asked) else None)
    for _ in range(3):
        shown = await record(ledger)
        await expect(page.locator("#page table td", has_text=shown).first).to_be_attached(timeout=SOON)
        await page.wait_for_timeout(6_000)
    assert len(renewed) >= 3
    assert min(later - earlier for earlier, later in pairwise(renewed)) > 1, "one after another, and not two for each"


async def test_a_form_that_is_open_or_filled_in_is_left_alone(opens_own: Opens, ledger: Metering) -> None:
    page = await opens_own(PAGES["user"])
    amount = page.locator("form[action$='/grant'] [name=amount]")
    summary = page.locator("details", has=amount).locator("summary")
    await summary.click()
    shown = await record(ledger)
    await page.wait_for_timeout(3_000)
    assert await page.locator("#page table td", has_text=shown).count() == 0
    await amount.fill("12345")
    await summary.click()
    await page.wait_for_timeout(3_000)
    assert await page.locator("#page table td", has_text=shown).count() == 0
    await summary.click()
    assert await amount.input_value() == "12345"
    await amount.fill("")
    await summary.click()
    await expect(page.locator("#page table td", has_text=shown).first).to_be_attached(timeout=SOON)


async def test_a_form_does_not_become_that_of_another_record(opens_own: Opens, ledger: Metering) -> None:
    older, newer = [await overrun(ledger) for _ in range(2)]
    page = await opens_own("/alerts?kind=overrun&live=1")
    form = page.locator("details", has=page.locator(f"form[action$='/resolve'] [value='{older}']"))
    await form.locator("summary").click()
    await form.locator("[name=reason]").focus()
    inbox = Inbox(ledger.database, ledger.accounts, project="default")
    await inbox.resolve(USER, newer, FindingKind.OVERRUN, reason="it was told to think longer")
    await page.wait_for_timeout(4_000)
    await page.keyboard.type("looked into")
    [held] = await page.locator("details[open] form:not(.filters)").all()
    assert await held.locator("[name=call]").input_value() == str(older)
    assert await held.locator("[name=reason]").input_value() == "looked into"
    await form.locator("[name=reason]").fill("")
    await form.locator("summary").click()
    await expect(page.locator(f"form[action$='/resolve'] [value='{newer}']")).not_to_be_attached(timeout=SOON)
    assert await page.locator(f"form[action$='/resolve'] [value='{older}']").count() == 1


@pytest.mark.parametrize(
    "given", [(429, "later"), (403, "<main>no</main>"), (200, "<main>Sign in here</main>"), (502, "")]
)
async def test_an_answer_that_is_no_page_does_not_take_its_place(
    browser: Browser, own_site: Site, ledger: Metering, given: tuple[int, str]
) -> None:
    async with unwatched(browser) as page:
        await sign_in(page, own_site, OWNER, PAGES["ledger"])
        shown = page.locator("#page table td", has_text=await record(ledger)).first
        await expect(shown).to_be_attached(timeout=SOON)
        await page.route("**/dashboard/ledger?*", lambda route: route.fulfill(status=given[0], body=given[1]))
        await record(ledger)
        await expect(away(page)).to_be_visible(timeout=SOON)
        await expect(shown).to_be_attached()
        await page.unroute_all()
        again = page.locator("#page table td", has_text=await record(ledger)).first
        await expect(again).to_be_attached(timeout=SOON)
        await expect(away(page)).not_to_be_visible()


async def test_of_many_pages_that_are_seen_one_listens_for_all(opens_own: Opens, ledger: Metering) -> None:
    first = await opens_own(PAGES["ledger"])
    others, streams = [await first.context.new_page() for _ in range(7)], list[str]()
    for page in (first, *others):
        page.on("request", lambda asked: streams.append(asked.url) if "/dashboard/live?" in asked.url else None)
    for page in others:
        await page.goto(first.url)
    shown = await record(ledger)
    for page in (first, *others):
        await expect(page.locator("#page table td", has_text=shown).first).to_be_attached(timeout=SOON)
    assert streams == []
    await first.close()
    shown = await record(ledger)
    for page in others:
        await expect(page.locator("#page table td", has_text=shown).first).to_be_attached(timeout=SOON)
    assert len(streams) == 1


async def test_a_page_whose_service_is_gone_says_so(browser: Browser, own_site: Site, tmp_path: Path) -> None:
    async with unwatched(browser) as page:
        with serving(own_site.database_url, tmp_path) as second:
            await sign_in(page, second, OWNER, PAGES["ledger"])
            await expect(away(page)).not_to_be_visible()
            second.process.kill()
            await expect(away(page)).to_be_visible(timeout=2 * SOON)


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
    async with unwatched(browser) as page:
        await sign_in(page, own_site, OWNER, PAGES["ledger"])
        shown = page.locator("#page table td", has_text=await record(ledger)).first
        await expect(shown).to_be_attached(timeout=SOON)
        await expect(away(page)).not_to_be_visible()
        async with shut(own_site.database_url):
            await expect(away(page)).to_be_visible(timeout=2 * SOON)
            await expect(shown).to_be_attached()
        await expect(away(page)).not_to_be_visible(timeout=2 * SOON)
        shown = page.locator("#page table td", has_text=await record(ledger)).first
        await expect(shown).to_be_attached(timeout=SOON)


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
    try:
        yield
    finally:
        await execute(administration, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@asynccontextmanager
async def unwatched(browser: Browser) -> AsyncIterator[Page]:
    """Open a browser of which nobody looks what goes wrong in it: it is to."""
    context = await browser.new_context(locale="en-US")
    yield await context.new_page()
    await context.close()


def away(page: Page) -> Locator:
    return page.get_by_text("This page cannot be updated at the moment")


async def overrun(ledger: Metering) -> UUID:
    """Have a call use more than was held for it, which somebody should look into."""
    call = Call(new_id(ledger.clock), USER, "chat", MODELS[0], Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, 100, 100))
    await ledger.execute(Settle(call, answer(250, MODELS[0])))
    return call.id
