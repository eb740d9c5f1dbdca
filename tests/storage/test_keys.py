"""What idempotency keys stand for is found by the index that is meant for it, with the plans that a gateway has."""

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from jangbu.storage.statements import statement

ACCOUNTS = 2_000
FEW = 25
"""More pages than one of these statements looks at for one account, and fewer than any index has."""
SHARED, OWN = "call:welcome", "answer:7"
SOMEBODY = "00000000-0000-4000-8000-000000000007"


@pytest.fixture(params=["at first", "analyzed"])
async def keyed(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[asyncpg.Connection]:
    """Give a session as a gateway's beside thousands of accounts that share one key and have one of their own."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            f"""
            CREATE TEMPORARY TABLE crowd AS
            SELECT overlay('{SOMEBODY}' PLACING lpad(to_hex(n), 12, '0') FROM 25)::uuid AS id, n
            FROM generate_series(1, {ACCOUNTS}) AS g (n);
            INSERT INTO jangbu.accounts (account_id, project, user_id) SELECT id, 'default', 'user-' || n FROM crowd;
            INSERT INTO jangbu.idempotency_keys (account_id, key, digest, result_id)
            SELECT id, k, ''::bytea, id FROM crowd CROSS JOIN LATERAL (VALUES ('{SHARED}'), ('answer:' || n)) AS v (k);
            """
        )
        if request.param == "analyzed":
            await connection.execute("ANALYZE jangbu.accounts; ANALYZE jangbu.idempotency_keys")
        await connection.execute(statement("session_prepare"))
        yield connection
    finally:
        await connection.close()


async def run(connection: asyncpg.Connection, name: str, given: str) -> tuple[int, int, str]:
    """Run a statement as it is planned for anybody; give the rows it found, the pages it looked at, and its plan."""
    await connection.execute(f"PREPARE {name} AS {statement(name)}")
    explained = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name} ({given})")
    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    return int(plan["Actual Rows"]), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], explained


async def test_a_key_is_looked_for_without_asking_each_account(keyed: asyncpg.Connection) -> None:
    rows, pages, _ = await run(keyed, "key_search", f"'default', ARRAY['{OWN}', 'call:nobody'], 5")
    assert rows == 1
    assert pages < FEW


async def test_an_account_is_asked_for_a_key_that_everybody_has_without_reading_everybodys(
    keyed: asyncpg.Connection,
) -> None:
    rows, pages, _ = await run(keyed, "key_gather", f"ARRAY['{SOMEBODY}']::uuid[], '{SHARED}'")
    assert rows == 1
    assert pages < FEW


async def test_what_callers_chose_is_forgotten_without_reading_what_calls_are_known_by(
    keyed: asyncpg.Connection,
) -> None:
    _, pages, plan = await run(keyed, "key_erase", f"'{SOMEBODY}', 100")
    assert "idempotency_keys_chosen" in plan
    assert pages < 2 * FEW
    left = await keyed.fetch("SELECT key FROM jangbu.idempotency_keys WHERE account_id = $1", SOMEBODY)
    assert [row["key"] for row in left] == [OWN]


async def test_keys_are_compared_byte_by_byte_whatever_the_databases_own_collation(keyed: asyncpg.Connection) -> None:
    compared = await keyed.fetchval(
        "SELECT collname FROM pg_attribute JOIN pg_collation AS c ON c.oid = attcollation"
        " WHERE attrelid = 'jangbu.idempotency_keys_pkey'::regclass AND attname = 'key'"
    )
    assert compared == "C"
