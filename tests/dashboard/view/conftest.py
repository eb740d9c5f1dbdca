"""Users' own views: a site of its own, and an app at another origin that shows them in a real Chromium."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from jangbu.config import Settings
from jangbu.testing import SettableClock
from jangbu.wiring import open_metering
from tests.conftest import address, drop_database, execute
from tests.dashboard.conftest import Watched
from tests.dashboard.site import serving
from tests.dashboard.view.stand import TOP_UP, Stand, fill, hosting

Looks = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stand(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    """Serve a ledger whose users look at their tokens, and keep it open to record more."""
    name, folder = f"view_{uuid4().hex}", tmp_path_factory.mktemp("view")
    await execute(server, f"CREATE DATABASE {name} TEMPLATE {migrated}")
    dsn, clock = address(server, name), SettableClock()
    settings = Settings.load(database_url=dsn, spool_dir=folder / "own")
    with hosting() as host, hosting() as stranger:
        given = {"JANGBU_VIEW_ORIGINS": f"https://shop.example, {host.url}", "JANGBU_TOP_UP_URL": TOP_UP}
        async with open_metering(settings, clock=clock, delivers=False) as ledger:
            with serving(dsn, folder, **given) as site:
                host.jangbu = stranger.jangbu = site.url
                found = Stand(site, host, stranger, ledger, folder / "serve.log", clock)
                await fill(found)
                yield found
    await drop_database(server, name)


@pytest_asyncio.fixture(loop_scope="session")
async def looks(browser: Browser, stand: Stand) -> AsyncIterator[Looks]:
    """Look at an address; at the end no script failed, nothing was asked of anybody else, and no cookie was set."""
    contexts: list[BrowserContext] = []
    watched: list[Watched] = []

    async def look(
        url: str, *, language: str = "en", scheme: str = "light", width: int = 1280, zone: str = "Asia/Seoul",
        script: bool = True, watches: bool = True,
    ) -> Page:  # fmt: skip
        context = await browser.new_context(
            locale="ko-KR" if language == "ko" else "en-US",
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": width, "height": 900},
            timezone_id=zone,
            java_script_enabled=script,
        )
        contexts.append(context)
        page = await context.new_page()
        if watches:
            watched.append(Watched(page, stand.site.url, stand.host.url, stand.stranger.url))
        await page.goto(url)
        return page

    yield look
    assert [await each.cookies() for each in contexts] == [[] for _ in contexts]
    for context in contexts:
        await context.close()
    assert [each.wrong for each in watched if each.wrong] == []
