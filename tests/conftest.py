"""A real PostgreSQL for every test that keeps a ledger, and a fresh migrated database for each of them.

One server serves the whole run: the embedded one, or the one that ``JANGBU_TEST_DSN`` names, whose user may create
databases. A test's database is copied from a template that was made once.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import settings

from jangbu.clock import SystemClock
from jangbu.metering.pricing import Pricing
from jangbu.storage import migrate
from jangbu.storage.database import Database
from jangbu.storage.embedded import EmbeddedServer, stop

# How long an example takes says something about the machine, not about the rule that it tests.
settings.register_profile("untimed", settings(deadline=None))
settings.load_profile("untimed")


_LONGEST = ("tests/torture/", "tests/simulation/")
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 6 * 1024**3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is still at it when the others have done everything else."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


@pytest.fixture(scope="session", autouse=True)
def spool_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what waits for a database that a test took away out of the machine's own place for it."""
    with pytest.MonkeyPatch.context() as patch:
        directory = tmp_path_factory.mktemp("spool")
        patch.setenv("JANGBU_SPOOL_DIR", str(directory))
        yield directory


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a server's own database."""
    given = os.environ.get("JANGBU_TEST_DSN")
    if given:
        yield given
        return
    with _place_for_data(tmp_path_factory) as place:
        with EmbeddedServer(place / "data") as endpoint:
            yield endpoint.dsn
        stop(place / "data")


@contextmanager
def _place_for_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a directory in memory where there is room: thousands of databases are made there, and thrown away."""
    if not (_MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES):
        yield tmp_path_factory.mktemp("server")
        return
    with tempfile.TemporaryDirectory(prefix="jangbu-test-", dir=_MEMORY) as place:
        yield Path(place)


@pytest.fixture(scope="session")
def migrated(server: str) -> Iterator[str]:
    """Give the name of a database with the schema and nothing in it; nobody connects to it."""
    name = f"migrated_{uuid4().hex}"
    asyncio.run(execute(server, f"CREATE DATABASE {name}"))
    asyncio.run(migrate.upgrade(address(server, name)))
    yield name
    asyncio.run(drop_database(server, name))


@pytest.fixture(scope="session")
def priced(server: str, migrated: str) -> Iterator[str]:
    """Give the name of a database with the schema and the shipped price book, which whoever opens a ledger first puts
    there; nobody connects to it.
    """
    with filled(server, migrated, _put_prices) as name:
        yield name


@contextmanager
def filled(server: str, template: str, fill: Callable[[str], Coroutine[Any, Any, None]]) -> Iterator[str]:
    """Give the name of a database that is copied from another one and then filled, once for many that are copied."""
    name = f"filled_{uuid4().hex}"
    asyncio.run(execute(server, f"CREATE DATABASE {name} TEMPLATE {template}"))
    asyncio.run(fill(address(server, name)))
    yield name
    asyncio.run(drop_database(server, name))


async def _put_prices(dsn: str) -> None:
    database = await Database.connect(dsn)
    await Pricing(database, SystemClock(), project="default").refresh()
    await database.close()


@pytest.fixture
def template(priced: str) -> str:
    """Give the name of the database that a test's own is copied from; a module may override it."""
    return priced


@pytest.fixture
async def database_url(server: str, template: str) -> AsyncIterator[str]:
    """Give the address of a fresh database with the schema, dropped after the test."""
    name = f"test_{uuid4().hex}"
    # To copy its files takes half as long as to log them, and lets the database be dropped three times as fast.
    await execute(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield address(server, name)
    await drop_database(server, name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give the connections to the test's own database."""
    connected = await Database.connect(database_url)
    yield connected
    await connected.close()


def address(server: str, name: str) -> str:
    """Give the address of a database of a server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


async def drop_database(server: str, name: str) -> None:
    """Drop a database, whoever is still in it: a plain DROP sends autovacuum away, FORCE what a test left behind."""
    for attempt in range(100):
        try:
            await execute(server, f"DROP DATABASE IF EXISTS {name}{' WITH (FORCE)' if attempt % 2 else ''}")
        except (asyncpg.ObjectInUseError, asyncpg.InsufficientPrivilegeError):
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError(f"database {name} cannot be dropped")


async def execute(dsn: str, command: str) -> None:
    """Run one command outside of any pool."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(command)
    finally:
        await connection.close()
