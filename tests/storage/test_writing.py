"""Whether a server takes writes is found out by having it write, which leaves nothing behind."""

import os
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from jangbu.errors import DatabaseUnreachable
from jangbu.storage.database import Database
from jangbu.storage.failures import is_unreachable
from tests.conftest import execute
from tests.faults.disk import SmallDisk, ledger_on, small_disk
from tests.faults.server import KillableServer, killable_server, set_everywhere

PREPARED_OR_POOLED = pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "pooled"])
READ_ONLY = "&options=-c%20default_transaction_read_only%3Don"
PROBE_SECONDS = 5


@pytest.fixture(scope="module")
def own_server() -> Iterator[KillableServer]:
    with killable_server() as server:
        yield server


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    with small_disk() as disk:
        yield disk


@pytest.fixture
async def guest(own_server: KillableServer) -> AsyncIterator[str]:
    """Give the address of the server for a role that owns nothing and may do nothing."""
    await execute(own_server.dsn, "CREATE ROLE guest LOGIN")
    yield own_server.dsn.replace("jangbu@", "guest@")
    await execute(own_server.dsn, "DROP ROLE guest")


async def tried(dsn: str, *, prepared: bool = True) -> None:
    """Connect, and have the server write ten times."""
    database = await Database.connect(dsn, size=1, prepared_statements=prepared)
    try:
        for _ in range(10):
            await database.require_writes()
            async with database.connection() as connection:
                assert await connection.fetchval("SELECT current_setting('work_mem')") != "64kB", "it stays as it was"
    finally:
        await database.close()


@PREPARED_OR_POOLED
async def test_a_role_that_may_do_nothing_may_find_it_out(guest: str, prepared: bool) -> None:
    await tried(guest, prepared=prepared)


@PREPARED_OR_POOLED
async def test_a_server_that_only_reads_takes_no_writes(own_server: KillableServer, prepared: bool) -> None:
    with pytest.raises(DatabaseUnreachable, match="takes no writes") as told:
        await tried(own_server.dsn + READ_ONLY, prepared=prepared)
    assert is_unreachable(told.value)


@PREPARED_OR_POOLED
async def test_a_disk_that_is_full_is_found_out_and_is_as_full_as_before(
    disk: SmallDisk, own_server: KillableServer, prepared: bool
) -> None:
    dsn = await ledger_on(disk, own_server)
    database = await Database.connect(dsn, size=1, prepared_statements=prepared)
    try:
        before = os.statvfs(disk.path).f_bfree
        for _ in range(3):
            await database.probe(PROBE_SECONDS)
        assert os.statvfs(disk.path).f_bfree == before, "nothing is left of what was written"
        disk.fill()
        with pytest.raises(DatabaseUnreachable, match="disk is full") as told:
            await database.probe(PROBE_SECONDS)
        assert is_unreachable(told.value)
        await database.now()
        disk.make_room()
        await database.probe(PROBE_SECONDS)
    finally:
        await database.close()
        await execute(own_server.dsn, "DROP DATABASE small WITH (FORCE)")
        await execute(own_server.dsn, "DROP TABLESPACE small")


async def test_a_disk_for_temporary_files_says_nothing_of_the_tables_disk(
    disk: SmallDisk, own_server: KillableServer
) -> None:
    place = disk.path / "sorting"
    place.mkdir()
    own_server.own(place)
    await execute(own_server.dsn, f"CREATE TABLESPACE sorting LOCATION '{place}'")
    disk.fill()
    database = await Database.connect(f"{own_server.dsn}&options=-c%20temp_tablespaces%3Dsorting")
    await database.probe(PROBE_SECONDS)
    await database.close()
    await execute(own_server.dsn, "DROP TABLESPACE sorting")


async def test_commits_that_nobody_confirms_are_no_writes(own_server: KillableServer) -> None:
    database = await Database.connect(own_server.dsn)
    await set_everywhere(own_server, "synchronous_standby_names", "gone")
    try:
        await database.writing_now()
        with pytest.raises(DatabaseUnreachable):
            await database.probe(1)
    finally:
        await set_everywhere(own_server, "synchronous_standby_names", "")
    await database.probe(PROBE_SECONDS)
    await database.close()


async def test_a_role_that_may_write_no_temporary_files_is_told_what_the_server_says(
    guest: str, own_server: KillableServer
) -> None:
    await execute(own_server.dsn, "ALTER ROLE guest SET temp_file_limit = 0")
    await believed(guest)


async def test_a_role_that_may_write_no_messages_is_told_what_the_server_says(
    guest: str, own_server: KillableServer
) -> None:
    connection = await asyncpg.connect(own_server.dsn)
    # It has three arguments up to PostgreSQL 16, and four since.
    kinds = "SELECT oid::regprocedure::text FROM pg_proc WHERE proname = 'pg_logical_emit_message'"
    functions = ", ".join(row[0] for row in await connection.fetch(kinds))
    await connection.execute(f"REVOKE EXECUTE ON FUNCTION {functions} FROM public")
    try:
        await believed(guest)
    finally:
        await connection.execute(f"GRANT EXECUTE ON FUNCTION {functions} TO public")
        await connection.close()


async def believed(dsn: str) -> None:
    """Find that a server takes writes where it does not say otherwise."""
    await tried(dsn)
    with pytest.raises(DatabaseUnreachable, match="takes no writes"):
        await tried(dsn + READ_ONLY)
