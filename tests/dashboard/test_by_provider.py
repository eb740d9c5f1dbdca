"""Signing in by an OpenID provider, in a real browser: who is vouched for comes in, and nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from jangbu.config import Settings
from jangbu.domain.members import Actor, MemberRole
from jangbu.wiring import open_metering
from tests.dashboard.openid import CLIENT, SECRET, OpenIdProvider, openid_provider
from tests.dashboard.reading import rows
from tests.dashboard.site import Site, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

INVITED = "kim@shop.example"


@pytest_asyncio.fixture(loop_scope="session")
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with openid_provider() as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def shop(database_url: str, provider: OpenIdProvider, tmp_path: Path) -> AsyncIterator[Site]:
    """Serve a ledger to which one person is invited, whom the provider knows."""
    async with open_metering(Settings.load(database_url=database_url), delivers=False) as ledger:
        await ledger.members.invite(INVITED, MemberRole.VIEWER, Actor.of_command("test"))
    named = {"OIDC_ISSUER": provider.issuer, "OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET}
    named |= {"SHORT_BALANCE": "refuse", "HOLD_SECONDS": "1200"}
    with serving(database_url, tmp_path, **{f"JANGBU_{name}": value for name, value in named.items()}) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(locale="en-US")
    yield await context.new_page()
    await context.close()


async def by_provider(page: Page, shop: Site, path: str = "/") -> None:
    await page.goto(f"{shop.url}/dashboard{path}")
    await page.get_by_role("link", name="Sign in with your organisation").click()


async def test_who_is_invited_comes_in_by_the_providers_word_and_to_the_page_they_asked_for(
    page: Page, shop: Site
) -> None:
    await by_provider(page, shop, "/prices?unit=1K")
    await page.wait_for_url(f"{shop.url}/dashboard/prices?unit=1K")
    assert f"{INVITED} (viewer)" in await page.locator(".viewer").inner_text()
    cookies = {each["name"]: each for each in await page.context.cookies(shop.url)}
    assert "__Host-jangbu-journey" not in cookies
    assert (cookies["__Host-jangbu"]["httpOnly"], cookies["__Host-jangbu"]["secure"]) == (True, True)


async def test_the_settings_say_what_is_set_and_no_secret(page: Page, shop: Site, provider: OpenIdProvider) -> None:
    await by_provider(page, shop, "/settings")
    await page.wait_for_url(f"{shop.url}/dashboard/settings")
    set_ = {name: (value, variable) for name, value, variable, _ in await rows(page, "policies")}
    assert set_["Signing in by OpenID"] == (f"on: {provider.issuer}", "JANGBU_OIDC_ISSUER")
    assert set_["A balance that does not cover a call"] == ("the call is refused", "JANGBU_SHORT_BALANCE")
    assert set_["How long a hold may be open"] == ("1,200 seconds", "JANGBU_HOLD_SECONDS")
    assert SECRET not in await page.content()
    assert shop.database_url not in await page.content()


async def test_who_is_not_invited_stays_out_and_reads_why(page: Page, shop: Site, provider: OpenIdProvider) -> None:
    provider.claims = {"sub": "user-2", "email": "eve@elsewhere.example", "email_verified": True}
    await by_provider(page, shop)
    await page.get_by_role("alert").wait_for()
    assert page.url.startswith(f"{shop.url}/dashboard/returned")
    assert await page.locator("#name").is_visible()


async def test_a_way_back_that_was_not_begun_here_leads_nowhere(page: Page, shop: Site) -> None:
    await page.goto(f"{shop.url}/dashboard/returned?code=stolen&state=forged")
    assert "not begun in this browser" in await page.get_by_role("alert").inner_text()
    await page.goto(f"{shop.url}/dashboard/")
    assert page.url.startswith(f"{shop.url}/dashboard/sign-in")


async def test_what_the_provider_refuses_is_told(page: Page, shop: Site, provider: OpenIdProvider) -> None:
    provider.error = "access_denied"
    await by_provider(page, shop)
    assert "access_denied" in await page.get_by_role("alert").inner_text()


async def test_without_a_provider_there_is_no_such_way(page: Page, site: Site) -> None:
    await page.goto(f"{site.url}/dashboard/sign-in")
    assert await page.get_by_role("link", name="organisation").count() == 0
    answer = await page.goto(f"{site.url}/dashboard/sign-in/provider")
    assert answer is not None
    assert answer.status == 404
