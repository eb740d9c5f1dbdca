"""A migration that is killed at any of its statements changes nothing, and the next one ends at the newest schema.

It begins at every earlier revision, with the data that ``golden`` holds for it, and at an empty database.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from jangbu.config import Settings
from jangbu.metering.evidence import restated
from jangbu.metering.verify import Verification
from jangbu.storage import migrate
from jangbu.storage.statements import statement
from jangbu.wiring import open_metering
from tests.conftest import address, drop_database, execute
from tests.storage.killed_migration import statements

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = files("jangbu.storage").joinpath("schema")
REVISIONS = sorted(entry.name[:4] for entry in SCHEMA.iterdir() if entry.name.endswith(".sql"))
STRUCTURE = """
    SELECT string_agg(name, E'\\n' ORDER BY name) FROM (
        SELECT concat_ws(' ', c.relname, c.relkind, a.attname, a.atttypid)
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = to_regnamespace('jangbu')
        UNION ALL SELECT proname || md5(prosrc) FROM pg_proc WHERE pronamespace = to_regnamespace('jangbu')
        UNION ALL SELECT typname::text FROM pg_type WHERE typnamespace = to_regnamespace('jangbu')
    ) AS found (name)
"""
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('jangbu') AND relkind = 'r' ORDER BY 1"


@pytest.fixture
async def empty(server: str) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex}"
    await execute(server, f"CREATE DATABASE {name}")
    yield address(server, name)
    await drop_database(server, name)


async def fill(dsn: str, revision: str | None) -> None:
    """Make the ledger of an earlier release with that release's own SQL, and data in all that it had."""
    for known in REVISIONS if revision else ():
        if known <= (revision or ""):
            [schema] = [entry for entry in SCHEMA.iterdir() if entry.name.startswith(known)]
            await execute(dsn, schema.read_text(encoding="utf-8"))
            if (GOLDEN / f"{known}.sql").exists():
                await execute(dsn, (GOLDEN / f"{known}.sql").read_text(encoding="utf-8"))
    if revision:
        await execute(dsn, "CREATE TABLE jangbu.schema_revision (version_num varchar(32) PRIMARY KEY)")
        await execute(dsn, f"INSERT INTO jangbu.schema_revision VALUES ('{revision}')")


class Look:
    """A connection that looks at everything in a database."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def everything(self) -> list[str]:
        """Give the structure and a digest of every table, once no migration is under way any more."""
        async with self._connection.transaction():
            await self._connection.execute(statement("schema_lock"))
        tables = [row[0] for row in await self._connection.fetch(TABLES)]
        digests = " UNION ALL ".join(
            f"SELECT '{name} ' || md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM jangbu.{name} AS t"
            for name in tables
        )
        rows = [row[0] for row in await self._connection.fetch(digests)] if tables else []
        # Whatever the tables' order was in which the server read them, maybe several at once.
        return [await self._connection.fetchval(STRUCTURE) or "", *sorted(rows)]

    async def figures(self) -> list[str]:
        """Give everything that an account book says, in words that every release knows."""
        return [
            row[0]
            for row in await self._connection.fetch(
                """
                SELECT a.user_id || b::text || e::text FROM jangbu.accounts AS a
                JOIN LATERAL (SELECT asset, granted, used, held, version FROM jangbu.balances AS b
                    WHERE b.account_id = a.account_id) AS b ON true
                JOIN LATERAL (SELECT seq, kind, delta, balance_after, posting, reason, created_at
                    FROM jangbu.entries AS e WHERE e.account_id = a.account_id) AS e ON true
                UNION ALL SELECT t::text FROM jangbu.token_usage AS t
                UNION ALL SELECT t::text FROM jangbu.usage AS t
                UNION ALL SELECT t::text FROM (
                    SELECT account_id, id, asset, amount, consumed, expired, source, priority, expires_at, created_at
                    FROM jangbu.grants
                ) AS t
                UNION ALL SELECT t::text FROM jangbu.idempotency_keys AS t
                ORDER BY 1
                """
            )
        ]


@pytest.fixture
async def look(empty: str) -> AsyncIterator[Look]:
    # A statement that is prepared would not see that its tables have changed.
    connection = await asyncpg.connect(empty, statement_cache_size=0)
    yield Look(connection)
    await connection.close()


async def mismatches(dsn: str) -> list[object]:
    async with open_metering(Settings.load(database_url=dsn)) as metering:
        report = await Verification(metering.database, "default").run(
            recompute=metering.pricing.reprice, restate=restated
        )
        return [*report.mismatches]


class Migrations:
    """Orders migrations that die."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    async def die(self, by: str, number: int) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(by, number, file=self._process.stdin, flush=True)
        return (await asyncio.to_thread(self._process.stdout.readline)).strip()


@contextmanager
def migrations(dsn: str) -> Iterator[Migrations]:
    command = [sys.executable, "-m", "tests.storage.killed_migration", dsn]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        yield Migrations(process)
        assert process.stdin is not None
        process.stdin.close()


EVERY_WAY = [("client", revision) for revision in (None, REVISIONS[0], REVISIONS[-2])] + [
    ("server", revision) for revision in (REVISIONS[0], REVISIONS[-2])
]
"""From the first revision on, every statement of those between is died at, too."""


@pytest.mark.parametrize(("by", "revision"), EVERY_WAY)
async def test_a_migration_that_is_killed_at_any_statement_resumes(
    empty: str, look: Look, by: str, revision: str | None
) -> None:
    await fill(empty, revision)
    before, number, is_through = await look.everything(), 1, False
    with migrations(empty) as ordered:
        while (ended := await ordered.die(by, number)) != "ended":
            assert ended == ("killed" if by == "client" else "refused")
            if not is_through and await look.everything() != before:
                # BEGIN, the lock and COMMIT are statements, too, and whether a COMMIT was in time nobody knows.
                assert number >= len([*statements(migrate.upgrade_sql(revision))]) + 3
                # What is left is work on the data, which dies at every statement as well.
                number, is_through = 0, True
            number += 1
    assert await migrate.current(empty) == migrate.HEAD
    assert await migrate.upgrade(empty) == (migrate.HEAD, migrate.HEAD)
    assert await mismatches(empty) == []


@pytest.mark.parametrize("revision", REVISIONS[:-1])
async def test_an_earlier_ledger_is_upgraded_with_its_data_and_goes_on(empty: str, look: Look, revision: str) -> None:
    await fill(empty, revision)
    kept = await look.figures()
    assert await migrate.upgrade(empty) == (revision, migrate.HEAD)
    assert await look.figures() == kept
    assert await mismatches(empty) == []
    async with open_metering(Settings.load(database_url=empty)) as metering:
        assert (await metering.accounts.balance("kim")).available == 8_260
        await metering.accounts.grant("kim", 40, key="later")
        assert (await metering.accounts.balance("kim")).available == 8_300
    assert await mismatches(empty) == []
