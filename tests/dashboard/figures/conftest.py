"""One shop for all tests of figures, and a browser before it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.dashboard.conftest import opening, site_of, undrawn
from tests.dashboard.figures.shop import fill
from tests.dashboard.site import Site


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shop(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("shop")
    async with site_of(server, migrated, folder, fill, JANGBU_MONTHLY_BUDGET_USD="1000") as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(browser: Browser, shop: Site) -> AsyncIterator[Page]:
    async with opening(browser, shop, prepare=undrawn) as opens:
        yield await opens("/")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def book(shop: Site) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(shop.database_url)
    yield connection
    await connection.close()
