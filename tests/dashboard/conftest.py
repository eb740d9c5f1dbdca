"""A real Chromium before a real server. Where no Chromium is installed, what needs one is skipped, and says so.

One event loop serves all tests of pages, because the browser belongs to it.
"""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.conftest import address, drop_database, execute
from tests.dashboard.site import OWNER, PASSWORD, Site, fill, serving

CHROMIUM = os.environ.get("JANGBU_CHROMIUM") or shutil.which("chromium")
Opens = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: `make browser` installs Debian's, or JANGBU_CHROMIUM names one")
    async with async_playwright() as playwright:
        # Root may not have a sandbox; the pages are our own.
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Serve a ledger with calls of two months, for all tests that change nothing of it."""
    name = f"site_{uuid4().hex}"
    await execute(server, f"CREATE DATABASE {name} TEMPLATE {migrated}")
    call = await fill(address(server, name))
    with serving(address(server, name), tmp_path_factory.mktemp("site"), call) as served:
        yield served
    await drop_database(server, name)


class Watched:
    """What went wrong in a page without anybody seeing it."""

    def __init__(self, page: Page, url: str) -> None:
        self.wrong: list[str] = []
        page.on("console", lambda said: self.wrong.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith((url, "data:")) else self.wrong.append(asked.url))


@pytest_asyncio.fixture(loop_scope="session")
async def opens(browser: Browser, site: Site) -> AsyncIterator[Opens]:
    """Open a page as a member sees it; at the end no script failed, and nothing was asked of another host."""
    contexts: list[BrowserContext] = []
    watched: list[Watched] = []

    async def open_page(
        path: str = "/", *, member: str = OWNER, language: str = "en", scheme: str = "light", width: int = 1280,
        zone: str = "Asia/Seoul",
    ) -> Page:  # fmt: skip
        context = await browser.new_context(
            locale="ko-KR" if language == "ko" else "en-US",
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": width, "height": 900},
            timezone_id=zone,
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        page = await context.new_page()
        watched.append(Watched(page, site.url))
        await sign_in(page, site, member, path)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert [each.wrong for each in watched if each.wrong] == []


async def sign_in(page: Page, site: Site, member: str, path: str = "/") -> None:
    """Sign in as people do, which leads to the page that was asked for."""
    await page.goto(f"{site.url}/dashboard{path}")
    await page.locator("#name").fill(member)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("button.main").click()
    await page.wait_for_url(f"{site.url}/dashboard{path}")
