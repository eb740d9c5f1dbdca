"""Entries are chained in whatever way they are written, and those of earlier releases are chained afterwards."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from importlib.resources import files
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from jangbu.domain.chain import FIRST, Link
from jangbu.domain.ledger import Asset, account_id
from jangbu.storage import migrate
from jangbu.storage.chaining import complete_chains
from jangbu.storage.statements import statement
from tests.conftest import address, drop_database, execute

BEFORE = ("0001_ledger", "0002_sum", "0003_api_keys", "0004_resources", "0005_key_limits")
USERS = [account_id("p", user) for user in ("kim", "이서연", "new")]


@pytest.fixture
async def earlier(server: str) -> AsyncIterator[str]:
    """Give the address of a ledger of the release before, with entries that are not chained."""
    name = f"test_{uuid4().hex}"
    await execute(server, f"CREATE DATABASE {name}")
    dsn = address(server, name)
    for file in BEFORE:
        await execute(dsn, files("jangbu.storage").joinpath("schema", f"{file}.sql").read_text(encoding="utf-8"))
    await execute(dsn, "CREATE TABLE jangbu.schema_revision (version_num varchar(32) PRIMARY KEY)")
    await execute(dsn, "INSERT INTO jangbu.schema_revision VALUES ('0005')")
    for number, user in enumerate(USERS):
        entries = (7, 4, 0)[number]
        await execute(dsn, f"INSERT INTO jangbu.accounts VALUES ('{user}', 'p', 'user {number}')")
        await execute(
            dsn,
            "INSERT INTO jangbu.entries (account_id, asset, seq, kind, delta, balance_after, reference, reason)"
            f" SELECT '{user}', 1, n, 'grant', 10, n * 10, CASE WHEN n = 2 THEN gen_random_uuid() END,"
            f" CASE WHEN n = 3 THEN '이유|a reason' WHEN n = 4 THEN '' END FROM generate_series(1, {entries}) AS n",
        )
        await execute(
            dsn,
            "INSERT INTO jangbu.balances (account_id, asset, granted, version)"
            f" VALUES ('{user}', 1, {entries} * 10, {entries})",
        )
    yield dsn
    await drop_database(server, name)


class Mortal:
    """A connection whose backend is killed before its statement of that number."""

    def __init__(self, connection: "asyncpg.Connection[Any]", dsn: str, statements: int) -> None:
        self._connection, self._dsn, self._left = connection, dsn, statements

    async def fetch(self, *arguments: Any) -> Any:
        return await self._alive(self._connection.fetch, arguments)

    async def fetchval(self, *arguments: Any) -> Any:
        return await self._alive(self._connection.fetchval, arguments)

    async def execute(self, *arguments: Any) -> Any:
        return await self._alive(self._connection.execute, arguments)

    async def _alive(self, method: Any, arguments: Sequence[Any]) -> Any:
        if self._left == 0:
            await execute(self._dsn, f"SELECT pg_terminate_backend({self._connection.get_server_pid()}, 10000)")
        self._left -= 1
        return await method(*arguments)


async def links(dsn: str) -> list[tuple[Link, bytes | None]]:
    """Give all entries with their hashes, by account and number."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT * FROM jangbu.entries ORDER BY account_id, asset, seq")
    finally:
        await connection.close()
    return [
        (
            Link(
                row["account_id"], Asset(row["asset"]), row["seq"], row["kind"], row["delta"], row["balance_after"],
                row["posting"], row["reference"], row["reason"], row["created_at"],
            ),
            row["hash"],
        )
        for row in rows
    ]  # fmt: skip


async def unchained(dsn: str) -> list[int]:
    """Give the numbers of the entries whose hash is not that of what they say after the one before them."""
    previous, found = FIRST, []
    for link, written in await links(dsn):
        previous = FIRST if link.seq == 1 else previous
        if link.hash_after(previous) != written:
            found.append(link.seq)
        previous = written or FIRST
    return found


async def heads(dsn: str) -> list[tuple[bytes | None, bytes | None]]:
    """Give for each balance its latest hash and that of its last entry."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT b.head, (SELECT e.hash FROM jangbu.entries AS e WHERE e.account_id = b.account_id"
            " AND e.asset = b.asset ORDER BY e.seq DESC LIMIT 1) FROM jangbu.balances AS b"
        )
    finally:
        await connection.close()
    return [(row[0], row[1]) for row in rows]


async def enter(dsn: str, user: int) -> None:
    """Grant 10 tokens by the statement of this release."""
    grant = (USERS[user], 1, "grant", 10, uuid4(), None, str(uuid4()), b"", None, "gift", 0, None)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement("entry_post"), *grant)
    finally:
        await connection.close()


async def test_the_entries_of_the_release_before_are_chained_by_the_upgrade(earlier: str) -> None:
    assert await migrate.upgrade(earlier) == ("0005", migrate.HEAD)
    assert await unchained(earlier) == []
    assert len(await links(earlier)) == 11
    assert all(head == (last or FIRST) for head, last in await heads(earlier))


async def test_a_chain_that_is_killed_at_any_statement_is_gone_on_with(earlier: str) -> None:
    await execute(earlier, migrate.upgrade_sql("0005"))
    killed = 0
    while True:
        connection = await asyncpg.connect(earlier)
        try:
            # Two entries a statement: there are many statements to be killed at, and always some work was done before.
            await complete_chains(Mortal(connection, earlier, killed % 5 + 1), entries_page=2)
        except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError):
            killed += 1
            await enter(earlier, killed % 3)
            continue
        finally:
            await connection.close()
        break
    assert killed >= 3
    assert await unchained(earlier) == []
    assert await migrate.upgrade(earlier) == (migrate.HEAD, migrate.HEAD)
    assert all(head == (last or FIRST) for head, last in await heads(earlier))


async def test_what_is_entered_before_the_chain_is_complete_waits_for_it(earlier: str) -> None:
    await execute(earlier, migrate.upgrade_sql("0005"))
    await enter(earlier, 0)
    assert len(await unchained(earlier)) == 12
    await migrate.upgrade(earlier)
    await enter(earlier, 0)
    assert await unchained(earlier) == []


async def test_many_upgrades_at_once_while_grants_come_in_make_one_chain(earlier: str) -> None:
    await execute(earlier, migrate.upgrade_sql("0005"))
    await asyncio.gather(
        *(migrate.upgrade(earlier) for _ in range(4)), *(enter(earlier, number % 3) for number in range(20))
    )
    await migrate.upgrade(earlier)
    assert len(await links(earlier)) == 31
    assert await unchained(earlier) == []
    assert all(head == (last or FIRST) for head, last in await heads(earlier))


async def test_a_book_with_a_gap_is_chained_up_to_it(earlier: str) -> None:
    await execute(earlier, f"DELETE FROM jangbu.entries WHERE account_id = '{USERS[0]}' AND seq = 4")
    await migrate.upgrade(earlier)
    assert await unchained(earlier) == [5, 6, 7]
    assert [head for head, _ in await heads(earlier)].count(None) == 1
