"""The pages before anybody is signed in: axe finds nothing in them, and who has a keyboard alone comes in.

They are looked at in both languages, both colour schemes and at phone width, with what is refused and what is used up.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from jangbu.config import Settings
from jangbu.domain.members import Actor, MemberRole
from jangbu.wiring import open_metering
from tests.conftest import address, drop_database, execute
from tests.dashboard.conftest import Watched
from tests.dashboard.site import OWNER, PASSWORD, Site, let_in_members, serving
from tests.dashboard.test_every_page import LOOKS, found_by_axe, gone_through

INVITED = "lee@shop.example"
PROVIDER = {"JANGBU_OIDC_ISSUER": "https://id.example", "JANGBU_OIDC_CLIENT_ID": "jangbu"}
"""Nobody asks it anything: it has a door of its own on the page."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def unclaimed(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Serve a ledger that has no member until the first owner comes in; the tests that follow here have members."""
    await execute(server, f"CREATE DATABASE doors TEMPLATE {migrated}")
    with serving(address(server, "doors"), tmp_path_factory.mktemp("doors"), **PROVIDER) as served:
        yield served
    await drop_database(server, "doors")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def claimed(unclaimed: Site) -> Site:
    """Give that ledger with a member of each role."""
    async with open_metering(Settings.load(database_url=unclaimed.database_url), delivers=False) as ledger:
        await let_in_members(ledger)
    return unclaimed


@asynccontextmanager
async def somebody(
    browser: Browser, site: Site, language: str = "en", scheme: str = "light", width: int = 1280
) -> AsyncIterator[Page]:
    """Give a page of a browser in which nobody is signed in; at the end nothing went wrong in it unseen."""
    context = await browser.new_context(
        locale="ko-KR" if language == "ko" else "en-US",
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
    )
    page = await context.new_page()
    watched = Watched(page, site.url)
    yield page
    await context.close()
    assert watched.wrong == []


def first_owners(site: Site) -> str:
    """Give the path of the link that the server wrote down for the first owner."""
    [link] = [json.loads(line)["link"] for line in site.log.read_text().splitlines() if '"first_owner"' in line]
    found = urlsplit(link)
    return f"{found.path}?{found.query}"


async def invited(site: Site, name: str) -> str:
    """Invite somebody, and give the path of their link."""
    async with open_metering(Settings.load(database_url=site.database_url), delivers=False) as ledger:
        _, link = await ledger.members.invite(name, MemberRole.VIEWER, Actor.of_command("test"))
        return link.path


async def right(page: Page, language: str) -> None:
    """See that a door is one that everybody can read."""
    assert await page.locator("html").get_attribute("lang") == language
    assert await page.locator("h1").count() == 1
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the window"
    assert await found_by_axe(page) == [], page.url


async def refused(page: Page, **entered: str) -> None:
    """Enter what is refused, and wait for the form that says so."""
    for name, value in entered.items():
        await page.locator(f"#{name}").fill(value)
    await page.locator("button.main").click()
    await page.get_by_role("alert").wait_for()


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS, ids=str)
async def test_the_doors_of_a_new_ledger_are_right_however_they_are_looked_at(
    browser: Browser, unclaimed: Site, language: str, scheme: str, width: int
) -> None:
    async with somebody(browser, unclaimed, language, scheme, width) as page:
        await page.goto(f"{unclaimed.url}/dashboard/")
        await expect(page.locator("pre")).to_be_visible()
        await right(page, language)
        await page.goto(f"{unclaimed.url}{first_owners(unclaimed)}")
        await right(page, language)
        await refused(page, name="kim", password="password password")
        await right(page, language)
        await page.goto(f"{unclaimed.url}/dashboard/set-up?token=used")
        await expect(page.get_by_role("alert")).to_be_visible()
        await right(page, language)


async def test_the_first_owner_comes_in_by_keyboard(browser: Browser, unclaimed: Site) -> None:
    async with somebody(browser, unclaimed) as page:
        await page.goto(f"{unclaimed.url}/dashboard/")
        await gone_through(page)
        await page.goto(f"{unclaimed.url}{first_owners(unclaimed)}")
        await gone_through(page)
        await page.reload()
        await expect(page.locator("#name"), "who comes here is to enter something").to_be_focused()
        await page.keyboard.type("kim")
        await page.keyboard.press("Tab")
        await page.keyboard.type("password password")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_be_visible()
        await expect(page.locator("#password"), "what is to be entered again").to_be_focused()
        assert await described(page) == ["rule", "problem"]
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{unclaimed.url}/dashboard/")
        await expect(page.locator(".viewer")).to_have_text("kim (owner)")


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS, ids=str)
async def test_the_doors_of_a_ledger_are_right_however_they_are_looked_at(
    browser: Browser, claimed: Site, language: str, scheme: str, width: int
) -> None:
    link = await invited(claimed, f"{language}-{scheme}@shop.example")
    async with somebody(browser, claimed, language, scheme, width) as page:
        await page.goto(f"{claimed.url}/dashboard/prices")
        await expect(page.locator("a.button")).to_be_visible()
        await right(page, language)
        await refused(page, name="nobody", password="incorrect horse battery")
        await right(page, language)
        await page.goto(f"{claimed.url}{link}")
        await expect(page.locator("#name")).not_to_be_editable()
        await right(page, language)
        await refused(page, password="password password")
        await right(page, language)
        await page.goto(f"{claimed.url}/dashboard/signed-in")
        await right(page, language)


async def test_who_is_invited_and_who_signs_in_come_in_by_keyboard(browser: Browser, claimed: Site) -> None:
    link = await invited(claimed, INVITED)
    async with somebody(browser, claimed) as page:
        await page.goto(f"{claimed.url}{link}")
        await gone_through(page)
        await page.reload()
        await expect(page.locator("#password"), "the name is given").to_be_focused()
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{claimed.url}/dashboard/")
        await expect(page.locator(".viewer")).to_have_text(f"{INVITED} (viewer)")
    async with somebody(browser, claimed) as page:
        await page.goto(f"{claimed.url}/dashboard/prices")
        await gone_through(page)
        await page.reload()
        await expect(page.locator("#name")).to_be_focused()
        await page.keyboard.type(OWNER)
        await page.keyboard.press("Tab")
        await page.keyboard.type("incorrect horse battery")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_be_visible()
        await expect(page.locator("#password")).to_be_focused()
        assert await described(page) == ["problem"]
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{claimed.url}/dashboard/prices")


async def described(page: Page) -> list[str]:
    """Give what describes the field in which one is, to who hears it; each is there."""
    named: str = await page.evaluate("document.activeElement.getAttribute('aria-describedby') ?? ''")
    for each in named.split():
        await expect(page.locator(f"#{each}")).to_be_visible()
    return named.split()
