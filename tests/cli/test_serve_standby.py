"""``serve`` on a database that only reads: it says so and ends, as without any, and starts once it writes."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jangbu.storage import migrate
from tests.cli.conftest import Jangbu
from tests.cli.service import Service, eventually, serving
from tests.conftest import execute
from tests.faults.server import KillableServer, killable_server, set_everywhere
from tests.ports import free_port

READS_ONLY = "PostgreSQL takes no writes: it is a standby, or default_transaction_read_only is on"
STARTING_SECONDS = 5


@pytest.fixture(scope="module")
def primary() -> Iterator[KillableServer]:
    with killable_server() as server:
        asyncio.run(migrate.upgrade(server.dsn))
        yield server


@pytest.fixture
def served(primary: KillableServer, tmp_path: Path) -> Jangbu:
    """Give the command with the primary's address."""
    environment = {"JANGBU_DATABASE_URL": primary.dsn, "JANGBU_VERTEX_PROJECT": "shop", "PATH": os.environ["PATH"]}
    return Jangbu(tmp_path, environment)


def refused(jangbu: Jangbu, dsn: str, *options: str) -> str:
    """Serve what does not start; give the one line that it says."""
    command = [sys.executable, "-m", "jangbu", "serve", "--port", str(free_port()), *options]
    environment = {**os.environ, **jangbu.environment, "JANGBU_DATABASE_URL": dsn}
    ended = subprocess.run(
        command, cwd=jangbu.directory, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (7, "", 1), ended.stderr
    return ended.stderr


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "workers"])
def test_it_does_not_start_on_a_database_that_only_reads(
    primary: KillableServer, served: Jangbu, options: tuple[str, ...]
) -> None:
    said = refused(served, f"{primary.dsn}&options=-c%20default_transaction_read_only%3Don", *options)
    assert said.startswith(f"error: {READS_ONLY}; ")
    assert "JANGBU_DATABASE_URL" in said


def test_it_starts_once_the_standby_at_its_address_is_promoted(served: Jangbu) -> None:
    with killable_server() as first, killable_server(first) as standby:
        asyncio.run(migrate.upgrade(first.dsn))
        eventually(lambda: has_schema(standby.dsn))
        assert READS_ONLY in refused(served, standby.dsn)
        first.kill()
        asyncio.run(execute(standby.dsn, "SELECT pg_promote()"))
        with serving(served, JANGBU_DATABASE_URL=standby.dsn) as service:
            assert service.json("/readyz")[0] == 200


def has_schema(dsn: str) -> bool:
    return asyncio.run(migrate.current(dsn)) == migrate.HEAD


def test_a_worker_that_dies_while_the_database_only_reads_comes_back_when_it_writes(
    primary: KillableServer, served: Jangbu
) -> None:
    with serving(served, "--workers", "2", "--log-format", "json") as service:
        asyncio.run(set_everywhere(primary, "default_transaction_read_only", "on"))
        try:
            os.kill(min(service.workers()), 9)
            eventually(lambda: READS_ONLY in service.log.read_text())
        finally:
            asyncio.run(set_everywhere(primary, "default_transaction_read_only", "off"))
        eventually(lambda: stay(service))


def stay(service: Service) -> bool:
    """Tell whether both workers are there for longer than one takes that does not start."""
    before = service.workers()
    time.sleep(STARTING_SECONDS)
    return len(before) == 2 and service.workers() == before
