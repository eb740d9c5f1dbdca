"""A ledger that an earlier release made is brought to this one, with what is in it."""

from collections.abc import AsyncIterator
from importlib.resources import files
from uuid import uuid4

import asyncpg
import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.domain.ledger import Asset, account_id
from jangbu.storage import accounts, migrate, usage
from jangbu.storage.database import Database
from tests.conftest import address, drop_database, execute
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


@pytest.mark.parametrize(
    ("migration", "of_whom", "whose"),
    [
        ("0024_six_hours", "project", "'p'"),
        ("0025_six_hours_of_users", "usage", "'00000000-0000-0000-0000-000000000001'"),
    ],
)
async def test_figures_by_six_hours_are_made_of_those_by_hours_and_follow_all_who_write_them(
    database_url: str, migration: str, of_whom: str, whose: str
) -> None:
    making = files("jangbu.storage").joinpath("schema", f"{migration}.sql").read_text(encoding="utf-8")
    await execute(
        database_url, f"DROP TABLE jangbu.{of_whom}_six_hours; DROP FUNCTION jangbu.follow_{of_whom}_hours CASCADE"
    )
    await execute(database_url, _of_hours(of_whom, whose, "05:00", "06:00", "11:00", tokens=10))
    await execute(database_url, making)
    assert await _by_six_hours(database_url, of_whom) == [("00:00", 1, 10), ("06:00", 2, 20)]
    await execute(database_url, _of_hours(of_whom, whose, "11:00", "12:00", tokens=7))
    assert await _by_six_hours(database_url, of_whom) == [("00:00", 1, 10), ("06:00", 3, 27), ("12:00", 1, 7)]


def _of_hours(of_whom: str, whose: str, *times: str, tokens: int) -> str:
    """Write a call for each time to the figures by hours, as processes of any release do."""
    rows = ", ".join(f"({whose}, '2026-11-29 {time}Z', 1, 1, 1, 0, 0, 0, 0, 0, {tokens}, 0, 0, 0, 0)" for time in times)
    key = "project" if of_whom == "project" else "account_id"
    return (
        f"INSERT INTO jangbu.{of_whom}_hours AS r VALUES {rows} ON CONFLICT ({key}, at, service_id, model_id)"
        " DO UPDATE SET calls = r.calls + excluded.calls, total = r.total + excluded.total"
    )


async def _by_six_hours(dsn: str, of_whom: str) -> list[tuple[str, int, int]]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT to_char(at AT TIME ZONE 'UTC', 'HH24:MI'), calls, total"
            f" FROM jangbu.{of_whom}_six_hours ORDER BY at"
        )
    finally:
        await connection.close()
    return [(time, calls, total) for time, calls, total in rows]
