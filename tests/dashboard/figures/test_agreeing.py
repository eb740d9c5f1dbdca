"""Totals agree with each other while calls come in, and an address shows the same to whoever it is sent to."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from jangbu.config import Settings
from jangbu.metering.reports import Reports
from jangbu.wiring import open_metering
from tests.dashboard.conftest import opening, site_of
from tests.dashboard.figures.shop import KOLKATA, MODELS, USERS, ZONES, added, fill, page_of, record
from tests.dashboard.shown import Node
from tests.dashboard.site import VIEWER, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Serve a shop of these tests' own, in which more and more calls are made."""
    async with site_of(server, migrated, tmp_path_factory.mktemp("busy"), fill) as served:
        yield served


async def test_no_two_totals_disagree_while_calls_come_in(shop: Site, owner: Page) -> None:
    seen: set[tuple[str, str]] = set()
    has_begun, is_over = asyncio.Event(), asyncio.Event()

    async def calls() -> None:
        dice, number = random.Random(5), 0
        async with open_metering(Settings.load(database_url=shop.database_url), delivers=False) as ledger:
            while not is_over.is_set():
                await asyncio.gather(*(record(ledger, dice, 10_000 + number + each) for each in range(8)))
                number += 8
                has_begun.set()
                await asyncio.sleep(0.05)

    async def looks() -> None:
        await has_begun.wait()
        for turn in range(24):
            asked = {"range": ("1h", "24h", "7d", "30d")[turn % 4], "zone": ZONES[turn // 4 % 4]}
            seen.add(agreeing(await page_of(owner, **asked)))
            agreeing_of_user(await page_of(owner, "/user", user=USERS[turn % 2]))
        is_over.set()

    async with asyncio.TaskGroup() as both:
        both.create_task(calls())
        both.create_task(looks())
    assert len(seen) > 12, "it was looked at while there was more and more to see"
    async with open_metering(Settings.load(database_url=shop.database_url), delivers=False) as ledger:
        assert (await Reports(ledger.database, "default").findings(1)).counts.keys() <= {"unpriced", "anomaly"}


def agreeing(page: Node) -> tuple[str, str]:
    """See that all totals of an overview are the same; give them."""
    bars, kinds, services = (page.table_of(named) for named in ("by-model-title", "by-kind-title", "services"))
    tokens, calls = page.tiles["Tokens"], page.tiles["Calls"]
    assert bars.total[-1] == kinds.total[-1] == tokens
    assert added(row.cells[-1] for row in bars.rows) == added(row.cells[-1] for row in kinds.rows) == tokens
    assert added(services.column("Tokens").values()) == tokens
    assert added(services.column("Calls").values()) == calls
    users = page.table_of("top-users")
    assert added(users.column("Tokens").values()) == tokens
    assert added(users.column("Calls").values()) == calls
    return tokens, calls


def agreeing_of_user(page: Node) -> None:
    """See that a user's balance, totals, calls and entries are of one moment."""
    table, entries = page.table_of("by-service"), page.table_of("entries")
    assert table.total[0] == page.tiles["Calls"]
    assert table.total[1] == page.tiles["Used"], "what was used is what the calls add up to"
    assert added(row.cells[2] for row in table.rows) == table.total[1]
    available = added([page.tiles["Granted, net"], f"-{page.tiles['Used']}", f"-{page.tiles['Held for calls']}"])
    assert page.tiles["Tokens left"] == available == entries.column("Balance after")[entries.rows[0].name]


async def test_an_address_shows_the_same_to_whoever_it_is_sent_to(shop: Site, browser: Browser) -> None:
    async with opening(browser, shop) as opens:
        page = await opens("/")
        for name, value in (("zone", KOLKATA), ("service", "chat"), ("model", MODELS[0]), ("bucket", "day")):
            await page.locator(f".filters [name={name}]").select_option(value)
            await page.wait_for_url(f"**{name}=*")
        await page.locator(".filters [name=from]").fill("2026-10-30")
        await page.locator(".filters [name=to]").fill("2026-11-05")
        await page.locator(".filters [name=metric]").select_option("calls")
        await page.wait_for_url("**metric=calls**")
        other = await opens(page.url.removeprefix(f"{shop.url}/dashboard"), member=VIEWER, zone="America/Los_Angeles")
        assert await read_of(page) == await read_of(other)
        await expect(other.locator(".filters [name=zone]")).to_have_value(KOLKATA)
        await expect(other.locator(".filters [name=from]")).to_have_value("2026-10-30")


async def read_of(page: Page) -> Sequence[str]:
    return [
        *await page.locator("figure caption").all_text_contents(),
        *await page.locator("main td, main th, main dd").all_text_contents(),
    ]
