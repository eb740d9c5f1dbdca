"""The target that the clients are pointed at, one for the whole run, and the drivers where the clients find them."""

import asyncio
import shutil
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.clients.matrix import HERE, NODE
from tests.clients.targets import Target, open_target
from tests.conftest import address, drop_database, execute


@pytest.fixture(scope="session")
def target(server: str, migrated: str) -> Iterator[Target]:
    """Give the target, on a database of its own."""
    name = f"clients_{uuid4().hex}"
    asyncio.run(execute(server, f"CREATE DATABASE {name} TEMPLATE {migrated}"))
    with open_target(address(server, name)) as opened:
        yield opened
    asyncio.run(drop_database(server, name))


@pytest.fixture(scope="session")
def node_drivers() -> None:
    """Put the drivers for Node beside its packages: modules are looked for from where a program lies."""
    for driver in (HERE / "node").glob("*.mjs"):
        shutil.copy(driver, NODE)
