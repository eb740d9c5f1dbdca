"""A record means the same whether it was written alone, by its own statement, or in a batch."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.domain.ledger import Asset, account_id
from jangbu.storage import accounts, holds, usage
from jangbu.storage.database import Database
from jangbu.storage.holds import HoldRequest
from jangbu.storage.names import Names
from jangbu.storage.usage import Flushed, UsageRow
from tests.faults.waiting import become

ALONE, IN_COMPANY, NEIGHBOUR = (account_id("p", user) for user in ("alone", "in company", "neighbour"))
PLAIN = UsageRow(
    account_id=ALONE,
    id=UUID(int=0),
    service_id=0,
    model_id=0,
    surface="generate_content",
    platform="gemini_api",
    tier="standard",
    source="reported",
    prompt=150,
    candidates=200,
    thoughts=90,
    tool=10,
    cached=40,
    total=450,
    cost_nano=795_000,
    input_cost_nano=45_000,
    charge_nano=800_000,
    price_version=3,
    was_held=False,
    response_id="an answer",
    anomalies=None,
    raw='{"usage": [{"totalTokenCount": 450}]}',
    metadata='{"panels": 4}',
    key="answer:an answer",
    digest=b"450",
)
BOOK = """
    SELECT (to_jsonb(t) - '{account_id,id,result_id,usage_id,created_at,updated_at,recorded_at,taken_at,expires_at,
        closed_at,resolved_at,hash,head,at,seen_at}'::text[])
        || jsonb_build_object('is_resolved', to_jsonb(t) ->> 'resolved_at' IS NOT NULL)
    FROM jangbu.%s AS t WHERE t.account_id = $1 ORDER BY 1
"""
WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
TABLES = ("balances", "entries", "usage", "usage_recent", "idempotency_keys", "holds", "findings")


@dataclass(frozen=True, slots=True)
class Ledger:
    """Accounts with nothing in them, and the ways of writing to them."""

    database: Database
    numbers: tuple[int, int]

    def row(self, account: UUID, like: UsageRow = PLAIN, usage_id: UUID | None = None) -> UsageRow:
        service, model = self.numbers
        usage_id = usage_id or new_id(SystemClock())
        return like._replace(account_id=account, id=usage_id, service_id=service, model_id=model)

    async def write(self, *rows: UsageRow) -> dict[UUID, Flushed]:
        async with self.database.connection() as connection:
            return await usage.flush(connection, rows, "p", 1)

    async def hold(self, row: UsageRow, amount: int) -> None:
        request = HoldRequest(row.account_id, row.id, 0, amount, amount, False, "text", "model")
        async with self.database.connection() as connection:
            await holds.take(connection, [request], owner="test", seconds=60, may_have_left=True)

    async def book(self, account: UUID) -> dict[str, list[str]]:
        async with self.database.connection() as connection:
            return {name: [row[0] for row in await connection.fetch(BOOK % name, account)] for name in TABLES}

    async def of_everybody(self) -> dict[str, int]:
        """Sum the figures of everybody, which may be of two minutes."""
        sums = ", ".join(f"sum({name})::bigint AS {name}" for name in ("calls", "unpriced", *SUMMED))
        async with self.database.connection() as connection:
            return dict(await connection.fetchrow(f"SELECT {sums} FROM jangbu.project_recent"))


@pytest.fixture
async def ledger(database: Database) -> Ledger:
    return Ledger(database, await open_accounts(database, 10_000))


async def open_accounts(database: Database, granted: int) -> tuple[int, int]:
    """Open the accounts with so many tokens each; give the numbers of the service and the model."""
    await usage.make_partitions(database, [SystemClock().now()])
    for account, user in ((ALONE, "alone"), (IN_COMPANY, "in company"), (NEIGHBOUR, "neighbour")):
        await accounts.create(database, account, "p", user)
        async with database.connection() as connection:
            await connection.execute("UPDATE jangbu.balances SET granted = $2 WHERE account_id = $1", account, granted)
    services, models = Names(database, "service"), Names(database, "model")
    await services.learn(["text"])
    await models.learn(["model"])
    return services["text"], models["model"]


Story = Callable[[Ledger, UsageRow], Awaitable[None]]


async def nothing(_ledger: Ledger, _row: UsageRow) -> None:
    """Nothing went before."""


def a_hold_of(amount: int) -> Story:
    async def take(ledger: Ledger, row: UsageRow) -> None:
        await ledger.hold(row, amount)

    return take


async def an_unknown_outcome(ledger: Ledger, row: UsageRow) -> None:
    await ledger.hold(row, 1_000)
    await holds.mark_unknown(ledger.database, row.account_id, row.id, "nobody knows")


async def a_money_balance(ledger: Ledger, row: UsageRow) -> None:
    async with ledger.database.connection() as connection:
        await accounts.open_balance(connection, row.account_id, Asset.MONEY)


async def the_same_record(ledger: Ledger, row: UsageRow) -> None:
    await ledger.write(row)


async def the_same_answer(ledger: Ledger, row: UsageRow) -> None:
    await ledger.write(ledger.row(row.account_id, row))


async def another_answer_of_that_name(ledger: Ledger, row: UsageRow) -> None:
    await ledger.write(ledger.row(row.account_id, row._replace(digest=b"other", was_held=False)))


HELD = PLAIN._replace(was_held=True)
NAMELESS = PLAIN._replace(key=None, digest=None, response_id=None, metadata=None)
OLDER = PLAIN._replace(key="answer:older", response_id="older")
SUMMED = (
    "prompt", "candidates", "thoughts", "tool", "cached", "total", "cost_nano", "input_cost_nano", "charge_nano",
)  # fmt: skip


@pytest.mark.parametrize(
    ("like", "before"),
    [
        pytest.param(PLAIN, nothing, id="plain"),
        pytest.param(NAMELESS, nothing, id="nameless"),
        pytest.param(HELD, a_hold_of(1_000), id="held"),
        pytest.param(HELD, a_hold_of(450), id="held exactly"),
        pytest.param(HELD, a_hold_of(449), id="overrun"),
        pytest.param(HELD, nothing, id="late"),
        pytest.param(HELD, an_unknown_outcome, id="unknown"),
        pytest.param(PLAIN, a_money_balance, id="money"),
        pytest.param(PLAIN._replace(cost_nano=None, input_cost_nano=None, charge_nano=None), nothing, id="unpriced"),
        pytest.param(PLAIN._replace(charge_nano=None), nothing, id="too dear to be charged"),
        pytest.param(PLAIN._replace(source="partial"), nothing, id="partial"),
        pytest.param(PLAIN._replace(anomalies="blocked,total_mismatch"), nothing, id="anomalies"),
        pytest.param(PLAIN._replace(prompt=0, candidates=0, thoughts=0, tool=0, cached=0, total=0), nothing, id="zero"),
        pytest.param(PLAIN, the_same_record, id="replay"),
        pytest.param(PLAIN, the_same_answer, id="answer again"),
        pytest.param(PLAIN, another_answer_of_that_name, id="answer with other counts"),
        pytest.param(HELD, the_same_answer, id="held answer again"),
        pytest.param(HELD, another_answer_of_that_name, id="held answer with other counts"),
    ],
)
async def test_a_record_alone_is_a_record_in_company(ledger: Ledger, like: UsageRow, before: Story) -> None:
    """Each account has a history, so that what is added to is tested as well as what is begun."""
    for account in (ALONE, IN_COMPANY):
        await ledger.write(ledger.row(account, OLDER), ledger.row(NEIGHBOUR))
    alone, in_company = ledger.row(ALONE, like), ledger.row(IN_COMPANY, like)
    await before(ledger, alone)
    await before(ledger, in_company)
    by_itself = await ledger.write(alone)
    together = await ledger.write(in_company, ledger.row(NEIGHBOUR))
    assert by_itself[alone.id] == together[in_company.id]
    assert await ledger.book(ALONE) == await ledger.book(IN_COMPANY)


@pytest.mark.parametrize(("like", "before"), [(PLAIN, nothing), (HELD, a_hold_of(450)), (NAMELESS, nothing)])
async def test_plain_records_are_written_by_the_short_statement(ledger: Ledger, like: UsageRow, before: Story) -> None:
    for number in range(3):
        row = ledger.row(ALONE, like._replace(key=like.key and f"{like.key} {number}"))
        await before(ledger, row)
        async with ledger.database.connection() as connection:
            recorded = await usage.record_plain(connection, row, "p", 1)
        used = 450 * (number + 1)
        held = 450 if like.was_held else 0
        assert recorded == Flushed(is_new=True, has_account=True, hold_amount=held, available=10_000 - used)
    book = await ledger.book(ALONE)
    assert [json.loads(entry)["balance_after"] for entry in book["entries"]] == [9_550, 9_100, 8_650]
    for figures in [*map(json.loads, book["usage_recent"]), await ledger.of_everybody()]:
        assert {name: figures[name] for name in SUMMED} == {name: 3 * getattr(like, name) for name in SUMMED}
        assert (figures["calls"], figures["unpriced"]) == (3, 0)


@pytest.mark.parametrize(
    "before", [the_same_record, the_same_answer, a_money_balance], ids=lambda story: story.__name__
)
async def test_the_short_statement_leaves_the_rest_alone(ledger: Ledger, before: Story) -> None:
    row = ledger.row(ALONE)
    await before(ledger, row)
    book = await ledger.book(ALONE)
    async with ledger.database.connection() as connection:
        assert await usage.record_plain(connection, row, "p", 1) is None
    assert await ledger.book(ALONE) == book


async def test_one_record_that_many_bring_at_once_is_recorded_once(ledger: Ledger) -> None:
    for number in range(20):
        row = ledger.row(ALONE, PLAIN._replace(key=f"answer:{number}"))
        again = ledger.row(ALONE, row)
        found = await asyncio.gather(*(ledger.write(each) for each in (row, again, row, again)))
        assert sum(result.is_new for each in found for result in each.values()) == 1
    assert (await accounts.balances(ledger.database, ALONE))[Asset.TOKENS].used == 20 * 450


async def test_nobody_is_known_without_an_account(ledger: Ledger) -> None:
    row = ledger.row(account_id("p", "nobody"))
    assert (await ledger.write(row))[row.id] == Flushed(is_new=False, has_account=False, hold_amount=0, available=0)


async def at_once(ledger: Ledger, *rows: UsageRow) -> list[Flushed]:
    """Write rows that see nothing of each other: each begins while another keeps all of them from their balance."""
    async with ledger.database.connection() as connection, ledger.database.connection() as watching:
        async with connection.transaction():
            await connection.execute("SELECT FROM jangbu.balances FOR NO KEY UPDATE")
            writing = [asyncio.create_task(ledger.write(row)) for row in rows]

            async def all_wait() -> bool:
                return bool(await watching.fetchval(WAITING) == len(rows))

            await become(all_wait)
        return [(await each)[row.id] for each, row in zip(writing, rows, strict=True)]


async def test_answers_whose_name_is_taken_in_the_same_moment_are_recorded_all_the_same(ledger: Ledger) -> None:
    rows = [ledger.row(ALONE, HELD), ledger.row(ALONE, HELD._replace(digest=b"other", total=500))]
    for row in rows:
        await ledger.hold(row, 100)
    assert [each.is_new for each in await at_once(ledger, *rows)] == [True, True]
    balance = (await accounts.balances(ledger.database, ALONE))[Asset.TOKENS]
    assert (balance.used, balance.held) == (950, 0)


async def test_one_answer_of_two_calls_in_the_same_moment_is_recorded_once_and_holds_nothing(ledger: Ledger) -> None:
    rows = [ledger.row(ALONE, HELD) for _ in range(2)]
    for row in rows:
        await ledger.hold(row, 100)
    assert sorted(each.is_new for each in await at_once(ledger, *rows)) == [False, True]
    balance = (await accounts.balances(ledger.database, ALONE))[Asset.TOKENS]
    assert (balance.used, balance.held) == (450, 0)


@pytest.mark.parametrize("like", [PLAIN, HELD])
@pytest.mark.parametrize("is_moment", [False, True], ids=["afterwards", "in the same moment"])
async def test_an_answer_claims_its_name_for_its_own_record_and_for_no_other(
    ledger: Ledger, like: UsageRow, is_moment: bool
) -> None:
    """Two answers of one call: the one that is not recorded under it is recorded wherever else it comes."""
    first = ledger.row(ALONE, like)
    other = first._replace(response_id="another", key="answer:another", digest=b"another", total=500)
    if is_moment:
        assert sorted(each.is_new for each in await at_once(ledger, first, other)) == [False, True]
    else:
        assert [(await ledger.write(row))[row.id].is_new for row in (first, other)] == [True, False]
    async with ledger.database.connection() as connection:
        [recorded] = await connection.fetch("SELECT response_id FROM jangbu.usage WHERE id = $1", first.id)
        claimed = await connection.fetch("SELECT key FROM jangbu.idempotency_keys")
    assert [row["key"] for row in claimed] == [f"answer:{recorded['response_id']}"]
    for each in (first, other):
        again = each._replace(id=new_id(SystemClock()), was_held=False)
        assert (await ledger.write(again))[again.id].is_new == (each.response_id != recorded["response_id"])
    assert (await accounts.balances(ledger.database, ALONE))[Asset.TOKENS].used == 950
