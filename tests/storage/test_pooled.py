"""Through a pooler in transaction mode each statement is a transaction that was prepared for it."""

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from jangbu.errors import DatabaseUnreachable
from jangbu.storage.database import Database
from jangbu.storage.failures import is_transient, translated
from jangbu.storage.pooled import lone_connection
from jangbu.storage.statements import statement

ASKED = "SELECT current_setting('enable_bitmapscan') || ' ' || current_setting('lock_timeout')"
PREPARED = "off 800ms"


@pytest.fixture
async def pooled(database_url: str) -> AsyncIterator[Database]:
    """Give connections as they are made where no statement is prepared."""
    database = await Database.connect(database_url, size=1, prepared_statements=False)
    yield database
    await database.close()


async def test_every_statement_is_planned_as_in_a_session_that_was_prepared(pooled: Database) -> None:
    async with pooled.connection() as connection:
        assert await connection.fetchval(ASKED) == PREPARED
        assert (await connection.fetchrow(ASKED))[0] == PREPARED
        assert [row[0] for row in await connection.fetch(ASKED)] == [PREPARED]
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            assert await connection.fetchval(ASKED) == PREPARED
            async with connection.transaction():
                assert await connection.fetchval(ASKED) == PREPARED


async def test_what_is_set_ends_with_the_transaction(pooled: Database) -> None:
    sent: list[str] = []
    async with pooled.connection() as connection:
        connection.add_query_logger(lambda query: sent.append(query.query.split()[0].rstrip(";")))
        await connection.fetch(ASKED)
        await connection.execute("SELECT 1; SELECT 2")
        async with connection.transaction():
            await connection.fetchval(ASKED)
            await connection.fetchrow(ASKED)
    assert sent == ["BEGIN", "SELECT", "COMMIT", "BEGIN", "SELECT", "COMMIT", "BEGIN", "SELECT", "SELECT", "COMMIT"]
    assert re.findall(r"set_config\(.*, (\w+)\)", statement("transaction_prepare")) == ["true"] * 6


async def test_a_statement_that_fails_leaves_the_connection_to_the_next(pooled: Database) -> None:
    async with pooled.connection() as connection:
        for _ in range(2):
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.fetch("SELECT 1 / 0")
            assert await connection.fetchval(ASKED) == PREPARED


async def test_each_statement_of_a_lone_connection_is_a_transaction_too(database_url: str) -> None:
    sent: list[str] = []
    async with lone_connection(database_url) as connection:
        connection.add_query_logger(lambda query: sent.append(query.query.split()[0].rstrip(";")))
        assert await connection.fetchval("SELECT current_setting('lock_timeout')") == "0", (
            "it waits as long as it has to"
        )
        await connection.execute("SELECT 1; SELECT 2")
        async with connection.transaction():
            await connection.fetchrow(ASKED)
    assert sent == ["BEGIN", "SELECT", "COMMIT"] * 3


@pytest.mark.parametrize("mislaid", [asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError])
def test_who_prepares_statements_behind_a_pooler_is_told_to_have_none_prepared(
    mislaid: type[asyncpg.PostgresError],
) -> None:
    with pytest.raises(DatabaseUnreachable, match="a pooler in transaction mode") as told, translated():
        raise mislaid("prepared statement")
    assert told.value.hint == "set JANGBU_PREPARED_STATEMENTS=false"
    assert is_transient(mislaid("prepared statement")), "what cannot be recorded meanwhile is kept"


def test_a_transaction_has_what_a_session_has_but_for_how_long_a_plan_serves() -> None:
    session, transaction = [
        set(re.findall(r"set_config\('(\w+)', '(\w+)'", statement(name)))
        for name in ("session_prepare", "transaction_prepare")
    ]
    assert session - transaction == {("plan_cache_mode", "force_generic_plan")}
    assert transaction < session
