"""A ledger that an earlier release made is brought to this one, with what is in it."""

import tempfile
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.domain.ledger import Asset, account_id
from jangbu.errors import DatabaseUnreachable
from jangbu.storage import accounts, migrate, usage
from jangbu.storage.database import Database
from tests.conftest import address, drop_database, execute
from tests.faults.proxy import lossy_proxy
from tests.storage.test_usage import PLAIN, Ledger

FIRST = "0001"


@pytest.fixture
async def first_release(server: str) -> AsyncIterator[str]:
    """Give the address of a database with the ledger of the first revision and one account in it."""
    name = f"test_{uuid4().hex}"
    await execute(server, f"CREATE DATABASE {name}")
    dsn = address(server, name)
    await execute(dsn, files("jangbu.storage").joinpath("schema", "0001_ledger.sql").read_text(encoding="utf-8"))
    await execute(dsn, "CREATE TABLE jangbu.schema_revision (version_num varchar(32) PRIMARY KEY)")
    await execute(dsn, f"INSERT INTO jangbu.schema_revision VALUES ('{FIRST}')")
    yield dsn
    await drop_database(server, name)


async def test_the_first_revision_is_upgraded_and_keeps_what_it_has(first_release: str) -> None:
    user = account_id("p", "kim")
    database = await Database.connect(first_release)
    await accounts.create(database, user, "p", "kim")
    assert await migrate.upgrade(first_release) == (FIRST, migrate.HEAD)
    assert await migrate.upgrade(first_release) == (migrate.HEAD, migrate.HEAD)
    await usage.make_partitions(database, [SystemClock().now()])
    ledger = Ledger(database, (1, 1))
    await ledger.write(ledger.row(user), ledger.row(user, PLAIN._replace(key="answer:two"), new_id(SystemClock())))
    assert (await accounts.balances(database, user))[Asset.TOKENS].used == 2 * PLAIN.total
    await database.close()


async def test_nothing_is_prepared_that_a_pooler_would_keep_for_others(first_release: str) -> None:
    """Behind one in transaction mode the session goes on to somebody else, with what was prepared in it."""
    with tempfile.TemporaryDirectory(prefix="jb") as folder:
        async with lossy_proxy(first_release, Path(folder)) as (behind, proxy):
            proxy.swallow_answers_after = b"__asyncpg_stmt"
            assert await migrate.upgrade(behind) == (FIRST, migrate.HEAD)
            assert await migrate.current(behind) == migrate.HEAD
            assert proxy.swallowed == 0


def test_an_older_release_than_the_ledgers_is_not_sent_to_upgrade_it() -> None:
    with pytest.raises(DatabaseUnreachable) as older:
        migrate.require_head(FIRST)
    assert older.value.hint == "run `jangbu db upgrade`"
    with pytest.raises(DatabaseUnreachable) as newer:
        migrate.require_head(f"{int(migrate.HEAD) + 1:04}")
    assert "release of Jangbu that upgraded it" in str(newer.value.hint)


async def test_a_migration_that_fails_on_its_way_changes_nothing(first_release: str) -> None:
    await execute(first_release, "CREATE TABLE jangbu.resources (name text)")
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate.upgrade(first_release)
    assert await migrate.current(first_release) == FIRST
    connection = await asyncpg.connect(first_release)
    try:
        assert await connection.fetchval("SELECT to_regclass('jangbu.api_keys')") is None
    finally:
        await connection.close()


async def test_everybodys_figures_by_six_hours_are_made_of_those_by_hours_and_follow_all_who_write_them(
    database_url: str,
) -> None:
    making = files("jangbu.storage").joinpath("schema", "0024_six_hours.sql").read_text(encoding="utf-8")
    await execute(
        database_url, "DROP TABLE jangbu.project_six_hours; DROP FUNCTION jangbu.follow_project_hours CASCADE"
    )
    await execute(database_url, _of_hours("05:00", "06:00", "11:00", tokens=10))
    await execute(database_url, making)
    assert await _by_six_hours(database_url) == [("00:00", 1, 10), ("06:00", 2, 20)]
    await execute(database_url, _of_hours("11:00", "12:00", tokens=7))
    assert await _by_six_hours(database_url) == [("00:00", 1, 10), ("06:00", 3, 27), ("12:00", 1, 7)]


async def test_users_figures_by_six_hours_are_made_of_those_by_hours_and_who_leaves_them_out_carries_no_more(
    database_url: str,
) -> None:
    making = files("jangbu.storage").joinpath("schema", "0025_six_hours_of_users.sql").read_text(encoding="utf-8")
    await execute(
        database_url, "DROP TABLE jangbu.usage_six_hours; ALTER FUNCTION jangbu.class_of_size RENAME TO size_class"
    )
    user = "00000000-0000-0000-0000-000000000001"
    await execute(database_url, _of_hours("05:00", "06:00", "11:00", tokens=10, of="usage", key=("account_id", user)))
    connection = await asyncpg.connect(database_url)
    try:
        carrying = await connection.prepare("SELECT jangbu.size_class($1::bigint)")
        assert await carrying.fetchval(1) is not None
        await execute(database_url, making)
        with pytest.raises(asyncpg.UndefinedFunctionError):
            await carrying.fetchval(1)
    finally:
        await connection.close()
    assert await _by_six_hours(database_url, "usage") == [("00:00", 1, 10), ("06:00", 2, 20)]


def _of_hours(*times: str, tokens: int, of: str = "project", key: tuple[str, str] = ("project", "p")) -> str:
    """Write a call for each time to the figures by hours, as processes of any release do."""
    rows = ", ".join(
        f"('{key[1]}', '2026-11-29 {time}Z', 1, 1, 1, 0, 0, 0, 0, 0, {tokens}, 0, 0, 0, 0)" for time in times
    )
    return (
        f"INSERT INTO jangbu.{of}_hours AS r VALUES {rows} ON CONFLICT ({key[0]}, at, service_id, model_id)"
        " DO UPDATE SET calls = r.calls + excluded.calls, total = r.total + excluded.total"
    )


async def _by_six_hours(dsn: str, of: str = "project") -> list[tuple[str, int, int]]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            f"SELECT to_char(at AT TIME ZONE 'UTC', 'HH24:MI'), calls, total FROM jangbu.{of}_six_hours ORDER BY at"
        )
    finally:
        await connection.close()
    return [(time, calls, total) for time, calls, total in rows]
