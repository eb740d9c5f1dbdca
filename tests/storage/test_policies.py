"""Row-level security as Supabase uses it: an end user's role and the claims of their JWT, on a real PostgreSQL."""

import json
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
READABLE = (
    "accounts", "balances", "usage", "entries", "grants", "holds", "usage_total", "usage_daily", "usage_sealed",
    "token_usage", "user_tokens",
)  # fmt: skip
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
            await ledger.record(user, "chat", parse(answer(number)))
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


async def seen(url: str, role: str | None, table: str, claims: object) -> list[asyncpg.Record]:
    """Read a table as PostgREST does for a request: in a transaction with the role and the claims of its JWT."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            if role is not None:
                await connection.execute(f"SET LOCAL ROLE {quoted(role)}")
            if claims is not None:
                await connection.execute("SELECT set_config('request.jwt.claims', $1, true)", json.dumps(claims))
            return list(await connection.fetch(f"SELECT * FROM jangbu.{table}"))
    finally:
        await connection.close()


@pytest.mark.parametrize("user", USERS)
async def test_an_end_user_reads_their_own_rows_alone(book: str, role: str, user: str) -> None:
    for table in READABLE:
        whole = await seen(book, None, table, None)
        own = await seen(book, role, table, {"sub": user, "role": "authenticated"})
        owner = await owners(book)
        assert own == [row for row in whole if is_of(row, user, owner)], table
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
        plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN SELECT * FROM jangbu.usage"))
    await connection.close()
    assert "Index Cond: (account_id = ANY" in plan or "Recheck Cond: (account_id = ANY" in plan


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
