"""Row-level security as Supabase uses it: an end user's role and the claims of their JWT, on a real PostgreSQL."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from jangbu.config import Settings
from jangbu.errors import InvalidInput, NotFound
from jangbu.providers.gemini.parse import parse
from jangbu.storage import migrate
from jangbu.storage.policies import apply, policies_sql
from jangbu.wiring import open_metering
from tests.conftest import execute
from tests.faults.server import killable_server

USERS = ("kim", "lee", "o'neil\\")
COUNTS = "calls, prompt, candidates, thoughts, tool, cached, total"
SUMS = f"account_id, at, service_id, model_id, {COUNTS}"
READABLE = {
    "accounts": "account_id, project, user_id, state, created_at",
    "balances": "account_id, asset, granted, used, held, version, updated_at",
    "usage": "account_id, id, service_id, model_id, surface, platform, tier, source, prompt, candidates, thoughts, "
    "tool, cached, total, hold_amount, late, posting, money_posting, response_id, anomalies, recorded_at",
    "entries": "account_id, asset, seq, kind, delta, balance_after, posting, reference, reason, created_at, key",
    "grants": "account_id, id, asset, amount, consumed, expired, source, priority, expires_at, created_at",
    "holds": "account_id, id, amount, state, service, model, taken_at, expires_at, closed_at",
    "usage_sealed": SUMS,
    "usage_recent": SUMS,
    "usage_quarters": SUMS,
    "usage_hours": SUMS,
    "usage_six_hours": SUMS,
    "usage_days": f"account_id, project, day, {COUNTS}",
    "usage_lifetime": f"account_id, service_id, model_id, {COUNTS}",
    "usage_total": f"account_id, service_id, model_id, {COUNTS}",
    "usage_daily": f"account_id, day, service_id, model_id, {COUNTS}",
    "token_usage": "id, user_id, service_type, model_name, prompt_tokens, completion_tokens, total_tokens, created_at",
    "user_tokens": "user_id, balance, used_tokens, held_tokens, available",
}
"""What an end user reads: what their own key is shown over the API, where costs are not."""
SUMMED = ("usage_sealed", "usage_quarters", "usage_hours", "usage_six_hours")
FILLED = """
INSERT INTO jangbu.usage_lifetime SELECT account_id, service_id, model_id, calls, prompt, candidates, thoughts, tool,
    cached, total, cost_nano, input_cost_nano, charge_nano, unpriced FROM jangbu.usage_recent;
INSERT INTO jangbu.usage_days SELECT account_id, 'default', '2026-11-30', calls, prompt, candidates, thoughts, tool,
    cached, total, cost_nano, input_cost_nano, charge_nano, unpriced, 0, 0, 0 FROM jangbu.usage_recent;
INSERT INTO jangbu.holds (account_id, id, amount, may_have_left, service, model, owner, expires_at)
    SELECT account_id, gen_random_uuid(), 5, true, 'chat', 'm', 'gateway-1:4711', now() FROM jangbu.accounts;
"""
CLOSED = ("api_keys", "idempotency_keys", "findings", "alerts", "members", "sessions", "audit", "resources", "key_uses")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Give the address of a server whose roles a test may make: that of its superuser."""
    with killable_server() as server:
        yield server.dsn


@pytest.fixture
async def book(cluster: str) -> AsyncIterator[str]:
    """Give a ledger with three users, whose owner is no superuser and makes roles, as at Supabase."""
    name = f"ledger_{uuid4().hex[:8]}"
    await execute(cluster, f"CREATE ROLE {name} LOGIN CREATEROLE")
    await execute(cluster, f"CREATE DATABASE {name} OWNER {name}")
    url = urlunsplit(urlsplit(cluster)._replace(netloc=f"{name}@", path=f"/{name}"))
    await migrate.upgrade(url)
    async with open_metering(Settings.load(database_url=url), delivers=False) as ledger:
        for number, user in enumerate(USERS):
            await ledger.accounts.create(user)
            await ledger.accounts.grant(user, 1_000 * (number + 1), key="first")
            await ledger.record(user, "chat", parse(answer(number)), metadata={"tags": {"margin": "high"}})
    await execute(url, ";".join(f"INSERT INTO jangbu.{each} SELECT * FROM jangbu.usage_recent" for each in SUMMED))
    await execute(url, FILLED)
    yield url
    await execute(cluster, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def role(book: str) -> str:
    """Give a role as Supabase has one for whoever is signed in, with the policies in force."""
    name = f'authenticated "{uuid4().hex[:8]}"'
    await execute(book, f"CREATE ROLE {quoted(name)} NOLOGIN NOINHERIT; GRANT {quoted(name)} TO CURRENT_USER")
    for _ in range(2):
        # To put them in force again changes nothing.
        await apply(book, policies_sql(role=name, project="default", claim="sub"))
    return name


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def seen(
    url: str, role: str | None, table: str, claims: object, columns: str | None = None
) -> list[asyncpg.Record]:
    """Read a table as PostgREST does for a request: in a transaction with the role and the claims of its JWT."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            if role is not None:
                await connection.execute(f"SET LOCAL ROLE {quoted(role)}")
            if claims is not None:
                await connection.execute("SELECT set_config('request.jwt.claims', $1, true)", json.dumps(claims))
            return list(await connection.fetch(f"SELECT {columns or READABLE.get(table, '*')} FROM jangbu.{table}"))
    finally:
        await connection.close()


@pytest.mark.parametrize("user", USERS)
async def test_an_end_user_reads_their_own_rows_alone(book: str, role: str, user: str) -> None:
    for table in READABLE:
        whole = await seen(book, None, table, None)
        own = await seen(book, role, table, {"sub": user, "role": "authenticated"})
        owner = await owners(book)
        assert own == [row for row in whole if is_of(row, user, owner)], table
        assert own, table
    [balance] = await seen(book, role, "user_tokens", {"sub": user})
    assert (balance["user_id"], balance["used_tokens"]) == (user, 450)


@pytest.mark.parametrize(
    "claims", [None, {}, {"sub": None}, {"sub": "nobody"}, {"sub": "kim' OR true --"}, {"SUB": "kim"}]
)
async def test_without_the_claim_nothing_is_there(book: str, role: str, claims: object) -> None:
    for table in READABLE:
        assert await seen(book, role, table, claims) == []


async def test_a_role_reads_nothing_else_and_writes_nothing(book: str, role: str) -> None:
    for table in CLOSED:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await seen(book, role, table, {"sub": "kim"})
    connection = await asyncpg.connect(book)
    for statement in (
        "UPDATE jangbu.balances SET granted = granted + 1",
        "DELETE FROM jangbu.entries",
        "INSERT INTO jangbu.accounts (account_id, project, user_id) VALUES (gen_random_uuid(), 'default', 'x')",
        "TRUNCATE jangbu.usage",
        "ALTER TABLE jangbu.accounts DISABLE ROW LEVEL SECURITY",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"BEGIN; SET LOCAL ROLE {quoted(role)}; {statement}")
        await connection.execute("ROLLBACK")
    await connection.close()


async def test_a_users_rows_are_found_by_index(book: str, role: str) -> None:
    connection = await asyncpg.connect(book)
    async with connection.transaction():
        await connection.execute(f"SET LOCAL enable_seqscan = off; SET LOCAL ROLE {quoted(role)}")
        await connection.execute("""SELECT set_config('request.jwt.claims', '{"sub": "kim"}', true)""")
        for relation in ("usage", "usage_hours", "token_usage", "usage_total", "usage_daily"):
            found = await connection.fetch(f"EXPLAIN SELECT {READABLE[relation]} FROM jangbu.{relation}")
            plan = "\n".join(row[0] for row in found)
            assert re.search(r"(Index|Recheck) Cond: \(account_id = ", plan), plan
    await connection.close()


async def test_a_role_may_read_one_project_whole(book: str, role: str) -> None:
    other = Settings.load(database_url=book, project="other")
    async with open_metering(other, delivers=False) as ledger:
        await ledger.accounts.create("kim")
    name = f"reports_{uuid4().hex[:8]}"
    await execute(book, f"CREATE ROLE {name}; GRANT {name} TO CURRENT_USER")
    await apply(book, policies_sql(role=name, project="default", claim=None))
    assert {row["user_id"] for row in await seen(book, name, "accounts", None)} == set(USERS)
    assert {row["project"] for row in await seen(book, name, "accounts", None)} == {"default"}
    assert len(await seen(book, name, "token_usage", None)) == len(USERS)


async def test_a_role_that_is_not_there_is_named(book: str) -> None:
    with pytest.raises(NotFound, match="nobody_here"):
        await apply(book, policies_sql(role="nobody_here", project="default", claim="sub"))
    with pytest.raises(InvalidInput, match="role"):
        policies_sql(role="", project="default", claim="sub")
    with pytest.raises(InvalidInput, match="claim"):
        policies_sql(role="r", project="default", claim="x" * 64)


async def test_jangbu_itself_works_as_before(book: str, role: str) -> None:
    async with open_metering(Settings.load(database_url=book), delivers=False) as ledger:
        await ledger.record("kim", "chat", parse(answer(77)))
        assert (await ledger.accounts.balance("kim")).used == 900


async def owners(url: str) -> dict[object, str]:
    return {row["account_id"]: row["user_id"] for row in await seen(url, None, "accounts", None)}


def is_of(row: asyncpg.Record, user: str, owner: dict[object, str]) -> bool:
    return bool((row["user_id"] if "user_id" in row else owner[row["account_id"]]) == user)


def answer(number: int) -> bytes:
    return json.dumps(
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}}],
            "usageMetadata": {"promptTokenCount": 150, "candidatesTokenCount": 300, "totalTokenCount": 450},
            "modelVersion": "gemini-2.5-flash",
            "responseId": f"answer-{number}",
        }
    ).encode()
