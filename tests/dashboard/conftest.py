"""A real Chromium before a real server. Where no Chromium is installed, what needs one is skipped, and says so.

One event loop serves all tests of pages, because the browser belongs to it.
"""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Response,
    async_playwright,
    expect,
)

from jangbu.config import Settings
from jangbu.dashboard.frame import COOKIE
from jangbu.metering.meter import Metering
from jangbu.wiring import open_metering
from tests.alerts.receiver import SECRET, Receiver, receiving
from tests.conftest import address, drop_database, execute, filled
from tests.dashboard.site import OWNER, PASSWORD, Site, fill, let_in_members, serving
from tests.dashboard.varied import fill_varied

_PROGRAMS = ("chromium-headless-shell", "chromium")
"""The first one draws the same, without the rest of a browser: a page takes it two thirds of the processor's time."""
CHROMIUM = os.environ.get("JANGBU_CHROMIUM") or next(filter(None, map(shutil.which, _PROGRAMS)), None)
_REFUSED = "Failed to load resource: the server responded with a status of 4"
_SESSIONS: dict[tuple[str, str], Any] = {}
"""The cookie by which each member of each site was let in last."""
Opens = Callable[..., Awaitable[Page]]

# How soon a page shows something is measured elsewhere, and a busy machine takes its time.
expect.set_options(timeout=30_000)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: `make browser` installs Debian's, or JANGBU_CHROMIUM names one")
    async with async_playwright() as playwright:
        # Root may not have a sandbox; the pages are our own.
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        await launched.close()


@dataclass(frozen=True)
class LookedAt:
    """A database with calls of two months, to which nobody connects: filled once for many that are copied from it."""

    name: str
    call: str
    """The latest call of the first user."""


@pytest.fixture(scope="session")
def looked_at(server: str, migrated: str) -> Iterator[LookedAt]:
    calls: list[str] = []

    async def fill_once(dsn: str) -> None:
        calls.append(await fill(dsn))

    with filled(server, migrated, fill_once) as name:
        yield LookedAt(name, calls[0])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(server: str, looked_at: LookedAt, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Serve a ledger with calls of two months, for all tests that change nothing of it."""
    async with copied(server, looked_at.name) as dsn:
        with serving(dsn, tmp_path_factory.mktemp("site"), looked_at.call) as served:
            yield served


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def varied(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Serve a ledger with something of each kind, for all tests that change nothing of it."""
    async with site_of(server, migrated, tmp_path_factory.mktemp("varied"), fill_varied) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def opens_varied(browser: Browser, varied: Site) -> AsyncIterator[Opens]:
    """Open a page of that ledger."""
    async with opening(browser, varied, prepare=undrawn) as open_page:
        yield open_page


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_site(server: str, looked_at: LookedAt, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Serve a ledger of the module's own, for tests that change it."""
    async with copied(server, looked_at.name) as dsn:
        with serving(dsn, tmp_path_factory.mktemp("site"), looked_at.call) as served:
            yield served


@pytest_asyncio.fixture(loop_scope="session")
async def opens_own(browser: Browser, own_site: Site) -> AsyncIterator[Opens]:
    """Open a page of the module's own ledger."""
    async with opening(browser, own_site) as open_page:
        yield open_page


@pytest_asyncio.fixture(loop_scope="session")
async def ledger(own_site: Site) -> AsyncIterator[Metering]:
    """Give the module's own ledger itself, beside its pages."""
    async with open_metering(Settings.load(database_url=own_site.database_url), delivers=False) as opened:
        yield opened


@dataclass(frozen=True)
class Told:
    """A ledger whose alerts go to one receiver, and what its app is told to another."""

    site: Site
    operator: Receiver
    app: Receiver


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    async with copied(server, migrated) as dsn, receiving() as operator, receiving() as app:
        async with open_metering(Settings.load(database_url=dsn), delivers=False) as ledger:
            await let_in_members(ledger)
        with serving(
            dsn, tmp_path_factory.mktemp("told"),
            JANGBU_ALERT_WEBHOOK_URL=operator.url, JANGBU_ALERT_WEBHOOK_SECRET=SECRET,
            JANGBU_WEBHOOK_URL=app.url, JANGBU_WEBHOOK_SECRET=SECRET, JANGBU_WEBHOOK_EVENTS="balance.low",
            JANGBU_ALERT_PRIVATE_TARGETS="true", JANGBU_TIME_ZONE="Asia/Seoul",
        ) as site:  # fmt: skip
            yield Told(site, operator, app)


@asynccontextmanager
async def site_of(
    server: str, migrated: str, folder: Path, filled: Callable[[str], Awaitable[str]], **environment: str
) -> AsyncIterator[Site]:
    """Serve a ledger of its own, which was filled before."""
    async with copied(server, migrated) as dsn:
        call = await filled(dsn)
        with serving(dsn, folder, call, **environment) as served:
            yield served


@asynccontextmanager
async def copied(server: str, template: str) -> AsyncIterator[str]:
    """Give the address of a copy of a database, dropped afterwards."""
    name = f"site_{uuid4().hex}"
    await execute(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield address(server, name)
    await drop_database(server, name)


class Watched:
    """What went wrong in a page without anybody seeing it."""

    def __init__(self, page: Page, *urls: str) -> None:
        self.wrong: list[str] = []
        page.on("console", self._hear)
        page.on("response", self._see)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", self._dismiss)
        page.on(
            "request", lambda asked: None if asked.url.startswith((*urls, "data:")) else self.wrong.append(asked.url)
        )

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"} and not said.text.startswith(_REFUSED):
            self.wrong.append(said.text)

    def _see(self, answer: Response) -> None:
        """A page or a form may be refused, for a reason that is shown; what a page needs to be shown may not."""
        is_asked_for = answer.request.resource_type in {"document", "fetch", "xhr", "eventsource"}
        if answer.status >= (500 if is_asked_for else 400):
            self.wrong.append(f"{answer.status} {answer.url}")

    async def _dismiss(self, dialog: Dialog) -> None:
        self.wrong.append(f"a dialog: {dialog.message}")
        await dialog.dismiss()


@pytest_asyncio.fixture(loop_scope="session")
async def opens(browser: Browser, site: Site) -> AsyncIterator[Opens]:
    """Open a page as a member sees it; at the end no script failed, and nothing was asked of another host."""
    async with opening(browser, site) as open_page:
        yield open_page


@asynccontextmanager
async def opening(
    browser: Browser, site: Site, *, prepare: Callable[[BrowserContext], Awaitable[None]] | None = None
) -> AsyncIterator[Opens]:
    """Open pages of a site, each in a browser of its own; whatever went wrong in one is told at the end.

    With ``anew`` a member has a session of the page's own, as who comes with another browser has.
    """
    contexts: list[BrowserContext] = []
    watched: list[Watched] = []

    async def open_page(
        path: str = "/", *, member: str = OWNER, language: str = "en", scheme: str = "light", width: int = 1280,
        zone: str = "Asia/Seoul", anew: bool = False,
    ) -> Page:  # fmt: skip
        context = await browser.new_context(
            locale="ko-KR" if language == "ko" else "en-US",
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": width, "height": 900},
            timezone_id=zone,
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        if prepare is not None:
            await prepare(context)
        page = await context.new_page()
        watched.append(Watched(page, site.url))
        if anew:
            _SESSIONS.pop((site.url, member), None)
        await _enter(page, site, member, path)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert [each.wrong for each in watched if each.wrong] == []


async def undrawn(context: BrowserContext) -> None:
    """Have no charts drawn, which others look at: where hundreds of pages are read, drawing takes most of the time."""
    nothing = "export const init = () => ({ on() {}, resize() {}, dispose() {}, setOption() {} });"
    await context.route(
        "**/vendor/echarts.min.js*", lambda route: route.fulfill(content_type="text/javascript", body=nothing)
    )


async def _enter(page: Page, site: Site, member: str, path: str) -> None:
    """Open a page in the session that the member has there already; where there is none, or it has ended, sign in.

    Signing in costs two pages more, and how it goes has tests of its own.
    """
    if (session := _SESSIONS.get((site.url, member))) is not None:
        await page.context.add_cookies([session])
        await page.goto(f"{site.url}/dashboard{path}")
        if page.url == f"{site.url}/dashboard{path}":
            return
    await sign_in(page, site, member, path)
    [session] = [cookie for cookie in await page.context.cookies() if cookie["name"] == COOKIE]
    _SESSIONS[site.url, member] = session


async def sign_in(page: Page, site: Site, member: str, path: str = "/") -> None:
    """Sign in as people do, which leads to the page that was asked for."""
    await page.goto(f"{site.url}/dashboard{path}")
    await page.locator("#name").fill(member)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("button.main").click()
    await page.wait_for_url(f"{site.url}/dashboard{path}")
