"""Jangbu itself bound by row-level security: a role that owns nothing has one project's rows and no way to others."""

import dataclasses
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from google import genai

from jangbu import Balance, Meter
from jangbu.cli.checkup import State, examine
from jangbu.clock import SystemClock
from jangbu.config import Settings
from jangbu.errors import NotFound, NotPermitted
from jangbu.metering.audit import Audit
from jangbu.metering.retention import Retention
from jangbu.metering.rollups import Rollups
from jangbu.metering.verify import Verification
from jangbu.providers.gemini.parse import parse
from jangbu.storage import migrate, usage
from jangbu.storage.database import Database
from jangbu.storage.policies import apply, worker_sql
from jangbu.testing import FakeGemini
from jangbu.wiring import open_metering
from tests.cli.conftest import CLEARED, Jangbu
from tests.cli.service import FLASH, UPSTREAM_KEY, eventually, serving
from tests.cli.test_retention import OLD
from tests.conftest import execute
from tests.metering.traffic import KIM, open_shop, recompute, trade
from tests.storage.test_policies import answer, cluster, quoted

__all__ = ["cluster"]
OURS, THEIRS = "shop", "other"
NOBODYS = {"models", "services", "schema_revision", "unfinished"}


@dataclasses.dataclass(frozen=True)
class Book:
    """A ledger of two projects: the address of its owner, and of the role that has one project."""

    owner: str
    worker: str
    role: str

    def settings(self, project: str = OURS, **more: object) -> Settings:
        return Settings.load(database_url=self.owner if project == THEIRS else self.worker, project=project, **more)


@pytest.fixture
async def book(cluster: str) -> AsyncIterator[Book]:
    """Give a ledger in which another project has rows in every table that belongs to somebody."""
    name = f"ledger_{uuid4().hex[:8]}"
    role = f'app "{name}"'
    await execute(cluster, f"CREATE ROLE {name} LOGIN CREATEROLE")
    await execute(cluster, f"CREATE DATABASE {name} OWNER {name}")
    await execute(cluster, f"CREATE ROLE {quoted(role)} LOGIN")
    owner = urlunsplit(urlsplit(cluster)._replace(netloc=f"{name}@", path=f"/{name}"))
    worker = urlunsplit(urlsplit(cluster)._replace(netloc=f"app%20%22{name}%22@", path=f"/{name}"))
    await migrate.upgrade(owner)
    made = Book(owner, worker, role)
    async with open_metering(made.settings(THEIRS), delivers=False) as ledger:
        await ledger.accounts.create("kim")
        await ledger.accounts.grant("kim", 5_000, key="first")
        await ledger.record("kim", "chat", parse(answer(1)))
    for _ in range(2):
        await apply(owner, worker_sql(role=role, project=OURS))
    yield made
    await execute(cluster, f"DROP DATABASE {name} WITH (FORCE)")


async def tables(connection: asyncpg.Connection) -> list[str]:
    """Give every table of the schema that no other one is the parent of."""
    found = await connection.fetch(
        "SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'jangbu'::regnamespace"
        " AND relkind IN ('r', 'p', 'f', 'm') AND NOT relispartition ORDER BY 1"
    )
    return [row["name"] for row in found]


async def filled(book: Book) -> list[str]:
    """Have a row of the other project in every table that has none yet; give the names of the tables."""
    owner = await asyncpg.connect(book.owner)
    try:
        account = await owner.fetchval("SELECT account_id FROM jangbu.accounts WHERE project = $1", THEIRS)
        key = uuid4()
        await owner.execute(
            "INSERT INTO jangbu.api_keys (key_id, project, kind, name, digest, hint)"
            f" VALUES ('{key}', '{THEIRS}', 'app', 'k', sha256('k'), 'k')"
        )
        known = {"project": THEIRS, "account_id": account, "key_id": key}
        for table in await tables(owner):
            if not await owner.fetchval(f"SELECT EXISTS (SELECT FROM jangbu.{table})"):
                await put(owner, table, known)
        return await tables(owner)
    finally:
        await owner.close()


async def put(connection: asyncpg.Connection, table: str, known: dict[str, object]) -> None:
    """Insert a row that says no more than it has to; what it belongs to is given, and the rest is of its type."""
    columns = await connection.fetch(
        "SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type,"
        " (SELECT e.enumlabel FROM pg_enum AS e WHERE e.enumtypid = a.atttypid ORDER BY e.enumsortorder LIMIT 1) AS one"
        " FROM pg_attribute AS a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND a.attnotnull"
        " AND NOT a.atthasdef AND a.attidentity = ''",
        f"jangbu.{table}",
    )
    plain = {
        "uuid": f"'{uuid4()}'", "bytea": "sha256('x')", "timestamp with time zone": "clock_timestamp()",
        "date": "current_date", "jsonb": "'{}'", "text": "'x'", "boolean": "false", "text[]": "'{}'",
    }  # fmt: skip
    special = {
        "alert_mutes.until": "'infinity'", "alerts.phase": "'began'", "sign_in_failures.kind": "'name'",
        "audit.actor_kind": "'command'",
    }  # fmt: skip
    values = [
        f"'{known[row['name']]}'"
        if row["name"] in known
        else special.get(f"{table}.{row['name']}") or (f"'{row['one']}'" if row["one"] else plain.get(row["type"], "1"))
        for row in columns
    ]
    await connection.execute(
        f"INSERT INTO jangbu.{table} ({', '.join(row['name'] for row in columns)}) VALUES ({', '.join(values)})"
    )


async def columns(connection: asyncpg.Connection, table: str) -> str:
    """Give the columns of a table that may be written."""
    return str(
        await connection.fetchval(
            "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute"
            " WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = ''",
            f"jangbu.{table}",
        )
    )


async def bound(connection: asyncpg.Connection, role: str) -> set[str]:
    """Give the tables that have a policy for all that the role may do."""
    found = await connection.fetch(
        "SELECT c.relname::text AS name FROM pg_class AS c JOIN pg_policy AS p ON p.polrelid = c.oid"
        " WHERE c.relnamespace = 'jangbu'::regnamespace AND c.relrowsecurity AND p.polcmd = '*' AND p.polpermissive"
        " AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL AND p.polroles = ARRAY[$1::regrole::oid]",
        quoted(role),
    )
    return {row["name"] for row in found}


async def touched(connection: asyncpg.Connection, statement: str) -> int:
    """Give how many rows a statement changed: none where the table may not be changed so at all."""
    try:
        return int((await connection.execute(statement)).split()[-1])
    except asyncpg.InsufficientPrivilegeError:
        return 0


async def test_no_row_of_another_project_is_seen_or_touched_in_any_table(book: Book) -> None:
    names = await filled(book)
    owner, worker = await asyncpg.connect(book.owner), await asyncpg.connect(book.worker)
    # A table that is added and has no policy is found here: every one is somebody's, or named as nobody's.
    assert await bound(owner, book.role) == set(names) - NOBODYS
    for table in sorted(set(names) - NOBODYS):
        writable = await columns(owner, table)
        one, *_ = writable.split(", ")
        theirs = await owner.fetchval(f"SELECT json_agg(t)::text FROM (SELECT * FROM jangbu.{table} LIMIT 1) AS t")
        assert theirs is not None, table
        assert await worker.fetch(f"SELECT * FROM jangbu.{table}") == [], table
        for statement in (f"UPDATE jangbu.{table} SET {one} = {one}", f"DELETE FROM jangbu.{table}"):
            assert await touched(worker, statement) == 0, statement
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await worker.execute(
                f"INSERT INTO jangbu.{table} ({writable}) SELECT {writable}"
                f" FROM json_populate_recordset(NULL::jangbu.{table}, $1::text::json)",
                theirs,
            )
    for view in await owner.fetch("SELECT viewname::text AS name FROM pg_views WHERE schemaname = 'jangbu'"):
        assert await worker.fetch(f"SELECT * FROM jangbu.{view['name']}") == [], view
    partition = await owner.fetchval("SELECT inhrelid::regclass::text FROM pg_inherits LIMIT 1")
    for statement in (
        f"SELECT * FROM {partition}", "SELECT jangbu.usage_partition_drop(now())", "TRUNCATE jangbu.usage",
        "ALTER TABLE jangbu.accounts DISABLE ROW LEVEL SECURITY", "SET row_security = off; TABLE jangbu.accounts",
    ):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await worker.execute(statement)
    await owner.execute("CREATE TABLE jangbu.newer (id integer); CREATE VIEW jangbu.newest AS SELECT 1 AS one")
    with pytest.raises(NotPermitted, match=r"jangbu\.newer has neither"):
        await apply(book.owner, worker_sql(role=book.role, project=OURS))
    await owner.close()
    await worker.close()
    assert await told(book.settings()) == (State.WARN, "older than newer, newest")


async def test_the_owners_rights_follow_no_other_table_also_after_a_backup_without_privileges(book: Book) -> None:
    attack = (
        "CREATE TEMP TABLE mine (LIKE jangbu.project_hours INCLUDING ALL);"
        "CREATE TRIGGER follow AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION jangbu.follow_project_hours();"
        f"INSERT INTO mine VALUES ('{THEIRS}', '2026-11-29', 1, 1, 1, 0, 0, 0, 0, 0, 1000000, 0, 0, 0, 0)"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for function"):
        await execute(book.worker, attack)
    await execute(book.owner, "GRANT EXECUTE ON FUNCTION jangbu.follow_project_hours() TO PUBLIC")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="is followed"):
        await execute(book.worker, attack)
    await apply(book.owner, worker_sql(role=book.role, project=OURS))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for function"):
        await execute(book.worker, attack)


async def told(settings: Settings) -> tuple[State, str]:
    """Give what the doctor tells of the policies; nothing is to fail."""
    checks = await examine(settings)
    assert [check for check in checks if check.state is State.FAIL] == []
    [found] = [check for check in checks if check.name == "row-level security"]
    return found.state, found.found


async def test_a_role_that_passes_the_policies_is_refused_and_one_that_connects_is_told(
    book: Book, cluster: str
) -> None:
    name = str(urlsplit(book.owner).username)
    for passing in ("jangbu", name, f"bypassing_{name}"):
        if passing not in ("jangbu", name):
            await execute(cluster, f"CREATE ROLE {passing} BYPASSRLS")
        with pytest.raises(NotPermitted, match=f"role {passing} passes"):
            await apply(cluster.replace("/postgres", f"/{name}"), worker_sql(role=passing, project=OURS))
    owner = Settings.load(database_url=book.owner, project=OURS)
    assert await told(owner) == (State.OK, f"in force, and passed by {name}, as which Jangbu connects")
    assert await told(book.settings()) == (State.OK, f"in force for {book.role}, as which Jangbu connects")


def test_a_meter_does_all_that_it_does_for_one_project(book: Book, fake_gemini: FakeGemini) -> None:
    client = genai.Client(api_key="a-key", http_options={"base_url": fake_gemini.url})
    with Meter.open(settings=book.settings()) as meter:
        with pytest.raises(NotFound):
            meter.grant("kim", 1, key="nobody")
        assert meter.create("kim")
        meter.grant("kim", 100_000, key="first")
        with meter.attribute(user="kim", service="chat", tags={"feature": "draft"}):
            meter.wrap(client).models.generate_content(model=FLASH, contents="hi")
        [counted] = [answer.counted for answer in fake_gemini.answers()]
        assert counted is not None
        assert meter.balance("kim") == Balance(100_000, counted["totalTokenCount"], 0)
    client._api_client._httpx_client.close()


async def test_a_book_of_every_kind_is_kept_carried_and_verified(book: Book) -> None:
    database = await Database.connect(book.worker)
    try:
        await usage.make_partitions(database, [OLD, datetime(2031, 5, 1, tzinfo=UTC)])
        async with open_shop(database, OURS) as shop:
            await trade(shop)
            shop.clock.set(OLD)
            await shop.record([shop.row(KIM)])
            await Rollups(database).carry_before(datetime.now(UTC), datetime.now(UTC))
            await Rollups(database).carry()
            assert (await Verification(database, OURS).run(recompute=recompute)).is_clean
        retention = Retention(database, Audit(database, SystemClock(), project=OURS))
        [due] = await retention.due(2)
        with pytest.raises(NotPermitted) as refused:
            await retention.drop(due)
        assert "owner of the tables" in refused.value.hint
    finally:
        await database.close()
    owner = await Database.connect(book.owner)
    try:
        for project in (OURS, THEIRS):
            assert (await Verification(owner, project).run()).is_clean
    finally:
        await owner.close()


def test_the_whole_service_and_the_command_run_as_the_role(book: Book, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CLEARED)}
    own = {"JANGBU_DATABASE_URL": book.worker, "JANGBU_PROJECT": OURS, "JANGBU_SPOOL_DIR": "spool"}
    jangbu = Jangbu(tmp_path, {**kept, **own})
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini, serving(jangbu, gemini=gemini) as service:
        status, _, _ = service.generate()
        assert status == 200
        [counted] = [answer.counted for answer in gemini.answers()]
        assert counted is not None
        eventually(lambda: service.used() == (counted["totalTokenCount"], 0))
    for words in ("verify --full", "cost --all --by model", "db upgrade", "prices markup 10"):
        jangbu.ok(*words.split())
    refused = jangbu("db", "policies", "--role", "pg_monitor", "--apply")
    assert "owner of the tables" in refused.error_line
    assert jangbu("grant", "kim", "1", "--key", "k", JANGBU_PROJECT=THEIRS).code != 0
