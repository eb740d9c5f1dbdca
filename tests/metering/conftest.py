"""A database with a book in it, for the tests that read one."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from jangbu.config import Settings
from jangbu.storage import migrate
from jangbu.storage.database import Database
from tests.conftest import address, drop_database, execute
from tests.faults.server import KillableServer, killable_server
from tests.metering.traffic import open_shop, trade


@pytest.fixture(scope="session")
def traded(server: str, migrated: str) -> Iterator[str]:
    """Give the name of a database with a book that has traffic of every kind in it; nobody connects to it."""
    name = f"traded_{uuid4().hex}"
    asyncio.run(execute(server, f"CREATE DATABASE {name} TEMPLATE {migrated}"))
    asyncio.run(_trade(address(server, name)))
    yield name
    asyncio.run(drop_database(server, name))


async def _trade(dsn: str) -> None:
    database = await Database.connect(dsn)
    async with open_shop(database) as shop:
        await trade(shop)
    await database.close()


@pytest.fixture(scope="module")
def killable() -> Iterator[KillableServer]:
    """Give a server of the module's own, with the schema, that may be killed."""
    with killable_server() as server:
        asyncio.run(migrate.upgrade(server.dsn))
        yield server


@pytest.fixture
def settings(killable: KillableServer, tmp_path: Path) -> Settings:
    """Give the settings of a ledger of the test's own: a project, and a place for its spool."""
    return Settings.load(
        database_url=killable.dsn, spool_dir=tmp_path / "spool", project=tmp_path.name, spool_after_seconds=1
    )
