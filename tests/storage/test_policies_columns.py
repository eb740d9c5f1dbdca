"""What a role that only reads sees of a row: what a user's own key is shown, and costs where they are opened to it."""

from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from jangbu.cli.checkup import State, examine
from jangbu.config import Settings
from jangbu.errors import NotPermitted
from jangbu.providers.gemini.parse import parse
from jangbu.storage.database import Database
from jangbu.storage.policies import Reader, apply, policies_sql, readers, standing, worker_sql
from jangbu.wiring import open_metering
from tests.conftest import execute
from tests.storage.test_policies import READABLE, answer, book, cluster, quoted, role, seen

__all__ = ["book", "cluster", "role"]
KIM = {"sub": "kim", "role": "authenticated"}
SUMS_OF_COSTS = {"cost_nano", "input_cost_nano", "charge_nano", "unpriced"}
COSTS = {
    "usage": {"cost_nano", "input_cost_nano", "charge_nano", "price_version"},
    "token_usage": {"api_cost"},
    **{name: SUMS_OF_COSTS for name in READABLE if name.startswith("usage_")},
}
NAMES = {"services": "service_id, name", "models": "model_id, name"}
NULL_TO_A_READER = {"token_usage": {"api_cost", "metadata"}, "usage_total": SUMS_OF_COSTS, "usage_daily": SUMS_OF_COSTS}
"""The columns of views that are there, so that `SELECT *` works, and empty for whoever may not see them."""


async def columns_of(url: str) -> dict[str, list[str]]:
    """Give the columns of every table, partition and view of the schema."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(
            "SELECT c.relname::text AS relation, array_agg(a.attname::text) AS columns FROM pg_class AS c"
            " JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " WHERE c.relnamespace = 'jangbu'::regnamespace AND c.relkind IN ('r', 'p', 'v') GROUP BY 1"
        )
    finally:
        await connection.close()
    return {row["relation"]: row["columns"] for row in found}


async def told(url: str, name: str) -> dict[str, set[str]]:
    """Give the columns by relation that the role reads of kim's rows and that are null in no row of theirs alone."""
    of_schema = await columns_of(url)
    shown: dict[str, set[str]] = {}
    connection = await asyncpg.connect(url)
    try:
        for relation, columns in of_schema.items():
            for column in columns:
                transaction = connection.transaction()
                await transaction.start()
                await connection.execute(f"SET LOCAL ROLE {quoted(name)}")
                await connection.execute("""SELECT set_config('request.jwt.claims', '{"sub": "kim"}', true)""")
                try:
                    rows = await connection.fetch(f"SELECT {column} FROM jangbu.{relation}")
                except asyncpg.InsufficientPrivilegeError:
                    continue
                finally:
                    await transaction.rollback()
                assert rows or relation not in READABLE, (relation, column)
                if column not in NULL_TO_A_READER.get(relation, set()) or any(row[0] is not None for row in rows):
                    shown.setdefault(relation, set()).add(column)
    finally:
        await connection.close()
    return shown


def promised(*, with_costs: bool) -> dict[str, set[str]]:
    """Give the columns by relation that such a role is to read, and no others."""
    without = {name: set(columns.split(", ")) for name, columns in (READABLE | NAMES).items()}
    return {name: columns | (COSTS.get(name, set()) if with_costs else set()) for name, columns in without.items()}


async def put_in_force(url: str, name: str, *, with_costs: bool = False) -> None:
    await apply(url, policies_sql(role=name, project="default", claim="sub", with_costs=with_costs))


async def readers_of(url: str) -> list[Reader]:
    database = await Database.connect(url)
    try:
        return await readers(database)
    finally:
        await database.close()


async def test_of_all_columns_a_role_reads_those_that_a_users_key_is_shown_and_costs_where_they_are_opened(
    book: str, role: str
) -> None:
    assert await told(book, role) == promised(with_costs=False)
    assert await readers_of(book) == [Reader(role, with_costs=False, surplus=())]
    await put_in_force(book, role, with_costs=True)
    assert await told(book, role) == promised(with_costs=True)
    assert await readers_of(book) == [Reader(role, with_costs=True, surplus=())]
    await put_in_force(book, role)
    assert await told(book, role) == promised(with_costs=False)


async def test_all_of_a_view_may_be_asked_for_and_is_null_where_it_is_not_to_be_seen(book: str, role: str) -> None:
    for view in ("token_usage", "user_tokens", "usage_total", "usage_daily"):
        mine = [dict(row) for row in await seen(book, role, view, KIM, "*")]
        whole = [dict(row) for row in await seen(book, None, view, None, "*")]
        hidden = dict.fromkeys(NULL_TO_A_READER.get(view, ()))
        assert [row for row in mine if row not in [each | hidden for each in whole]] == [], view
        assert len(mine) == len(whole) // 3 == 1, view
        assert all(row[column] is not None for row in whole for column in hidden), "its owner sees all of it"
    for table in ("usage", "holds", "entries", "balances", "usage_days"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await seen(book, role, table, KIM, "*")
    for hidden_in in ("1 FROM jangbu.usage WHERE cost_nano > 0 --", "u FROM jangbu.usage AS u --", "count(raw)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await seen(book, role, "usage", KIM, hidden_in)


async def test_a_condition_of_the_readers_own_looks_at_no_row_of_others(book: str, role: str) -> None:
    await execute(
        book,
        "CREATE FUNCTION public.tell(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0001"
        " AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$",
    )
    connection = await asyncpg.connect(book)
    told_of: list[str] = []
    connection.add_log_listener(lambda _, message: told_of.append(message.message))
    async with connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {quoted(role)}")
        await connection.execute("""SELECT set_config('request.jwt.claims', '{"sub": "kim"}', true)""")
        # A plan that reads all records first, as anybody may ask for one.
        for kind in ("indexscan", "bitmapscan", "nestloop"):
            await connection.execute(f"SET LOCAL enable_{kind} = off")
        asked = {"token_usage": ("id", "api_cost", "metadata"), "usage_total": ("account_id", "calls")}
        for view, column in [(view, column) for view, columns in asked.items() for column in columns]:
            rows = await connection.fetch(f"SELECT 1 FROM jangbu.{view} WHERE public.tell({column})")
            assert len(rows) == 1
    await connection.close()
    assert len(told_of) == 5, told_of
    assert [message for message in told_of if "high" in message] == []


async def test_an_older_grant_of_whole_tables_is_told_and_narrowed(book: str, role: str) -> None:
    [partition] = [name for name in await columns_of(book) if name.startswith("usage_2")][:1]
    for wide in (*READABLE, "api_keys", partition):
        await execute(book, f"GRANT SELECT ON jangbu.{wide} TO {quoted(role)}")
    [found] = await readers_of(book)
    assert found.with_costs
    assert {"usage", "holds", "balances", "entries", "usage_days", "api_keys", partition} <= set(found.surplus)
    assert (await told(book, role))["usage"] >= {"raw", "metadata", "cost_nano"}
    state, words, advice = await doctor(book)
    assert (state, "reads rows with costs, and more than it is given of api_keys" in words) == (State.WARN, True)
    assert f"jangbu db policies --role {role} --apply` again" in advice
    await put_in_force(book, role)
    assert await told(book, role) == promised(with_costs=False)
    assert await doctor(book) == (State.OK, f"{role} reads rows without costs", "")
    await put_in_force(book, role, with_costs=True)
    assert await doctor(book) == (State.OK, f"{role} reads rows with costs", "")
    await execute(book, "ALTER VIEW jangbu.token_usage RESET (security_barrier)")
    assert (await readers_of(book))[0].surplus == ("token_usage",), "a view that shows what its owner may is told"


async def doctor(url: str) -> tuple[State, str, str]:
    """Give what the doctor tells of the only role that reads."""
    checks = await examine(Settings.load(database_url=url))
    [found] = [check for check in checks if check.name == "role that reads"]
    return found.state, found.found, found.advice


@pytest.mark.parametrize("with_costs", [False, True])
async def test_to_put_it_in_force_again_changes_nothing(book: str, role: str, with_costs: bool) -> None:
    await put_in_force(book, role, with_costs=with_costs)
    before = await rights(book)
    await put_in_force(book, role, with_costs=with_costs)
    assert await rights(book) == before


async def rights(url: str) -> list[tuple[object, ...]]:
    """Give all that says who may read what of the schema."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(
            "SELECT c.relname, c.relowner, c.relacl::text, c.reloptions, c.relrowsecurity,"
            " array(SELECT a.attname || a.attacl::text FROM pg_attribute AS a WHERE a.attrelid = c.oid ORDER BY 1),"
            " array(SELECT p.polname || pg_get_expr(p.polqual, c.oid) FROM pg_policy AS p WHERE p.polrelid = c.oid"
            " ORDER BY 1), CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END"
            " FROM pg_class AS c WHERE c.relnamespace = 'jangbu'::regnamespace ORDER BY c.relname"
        )
    finally:
        await connection.close()
    return [tuple(row) for row in found]


async def test_a_role_of_reports_reads_one_project_by_the_same_columns(book: str, role: str) -> None:
    await apply(book, policies_sql(role=role, project="default", claim=None, with_costs=True))
    assert await told(book, role) == promised(with_costs=True)
    rows = await seen(book, role, "token_usage", None, "*")
    assert [(row["api_cost"] > 0, row["metadata"]) for row in rows] == [(True, None)] * 3


async def test_a_role_that_writes_or_passes_every_policy_is_no_reader(book: str, role: str) -> None:
    owner = str(urlsplit(book).username)
    with pytest.raises(NotPermitted, match=f"role {owner} passes"):
        await put_in_force(book, owner)
    await apply(book, worker_sql(role=role, project="default"))
    before = await rights(book)
    with pytest.raises(NotPermitted, match="writes a project's rows"):
        await put_in_force(book, role)
    assert await rights(book) == before


@pytest.mark.parametrize("reader_first", [False, True])
async def test_a_role_that_jangbu_connects_as_has_its_project_with_costs_beside_a_reader(
    book: str, cluster: str, role: str, reader_first: bool
) -> None:
    async with open_metering(Settings.load(database_url=book, project="other"), delivers=False) as ledger:
        await ledger.accounts.create("kim")
        await ledger.record("kim", "chat", parse(answer(55)))
    name = f"app_{role[-9:-1]}"
    await execute(cluster, f"CREATE ROLE {name} LOGIN")
    await apply(book, worker_sql(role=name, project="default"))
    if not reader_first:
        await put_in_force(book, role)
    assert await told(book, role) == promised(with_costs=False)
    url = urlunsplit(urlsplit(book)._replace(netloc=f"{name}@"))
    rows = await seen(url, None, "token_usage", None, "*")
    assert [(row["api_cost"] > 0, "margin" in row["metadata"]) for row in rows] == [(True, True)] * 3
    assert {row["cost_nano"] > 0 for row in await seen(url, None, "usage_total", None, "*")} == {True}
    assert len(await seen(url, None, "usage_total", None, "*")) == 3
    database = await Database.connect(url)
    try:
        assert (await standing(database)).unsettled == ()
    finally:
        await database.close()
