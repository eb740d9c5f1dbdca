"""A hold means the same whether it was taken alone, by its own statement, or in a batch."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.domain.ledger import account_id
from jangbu.storage import accounts, holds, usage
from jangbu.storage.database import Connection, Database
from jangbu.storage.holds import HoldAnswer, HoldRequest
from jangbu.storage.statements import statement
from tests.storage.test_holds import until_somebody_waits
from tests.storage.test_usage import ALONE, IN_COMPANY, NEIGHBOUR, PLAIN, open_accounts

GRANTED = 1_000
LEFT = "SELECT granted, used, held FROM jangbu.balances WHERE account_id = $1"
HELD = """
    SELECT
        amount, state, may_have_left, service, model, owner,
        round(extract(epoch FROM expires_at - taken_at))::bigint AS seconds
    FROM jangbu.holds WHERE account_id = $1 ORDER BY amount
"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Accounts with a grant each, and the ways of holding of it."""

    database: Database
    numbers: tuple[int, int]

    async def take(self, *requests: HoldRequest) -> list[HoldAnswer]:
        async with self.database.connection() as connection:
            return await holds.take(connection, requests, owner="a test", seconds=60, may_have_left=True)

    async def settle(self, request: HoldRequest, connection: Connection) -> None:
        service, model = self.numbers
        row = PLAIN._replace(
            account_id=request.account, id=request.id, service_id=service, model_id=model, was_held=True
        )
        await usage.flush(connection, [row], "p", 1)

    async def book(self, account: UUID) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            return [dict(row) for query in (LEFT, HELD) for row in await connection.fetch(query, account)]


@pytest.fixture
async def ledger(database: Database) -> Ledger:
    return Ledger(database, await open_accounts(database, GRANTED))


def asked(account: UUID, base: int = 0, least: int = 100, most: int = 300, *, take_all: bool = False) -> HoldRequest:
    return HoldRequest(account, new_id(SystemClock()), base, least, most, take_all, "text", "model")


Story = Callable[[Ledger, HoldRequest], Awaitable[None]]


async def nothing(_ledger: Ledger, _request: HoldRequest) -> None:
    """Nothing went before."""


async def another_hold(ledger: Ledger, request: HoldRequest) -> None:
    await ledger.take(asked(request.account, least=820, most=820))


async def the_same_hold(ledger: Ledger, request: HoldRequest) -> None:
    await ledger.take(request)


async def its_settlement(ledger: Ledger, request: HoldRequest) -> None:
    async with ledger.database.connection() as connection:
        await ledger.settle(request, connection)


async def its_unknown_outcome(ledger: Ledger, request: HoldRequest) -> None:
    await ledger.take(request)
    await holds.mark_unknown(ledger.database, request.account, request.id, "nobody knows")


async def its_release(ledger: Ledger, request: HoldRequest) -> None:
    async with ledger.database.connection() as connection:
        await holds.release(connection, [(request.account, request.id, "it never left")])


async def a_block(ledger: Ledger, request: HoldRequest) -> None:
    async with ledger.database.connection() as connection:
        await accounts.block(connection, request.account, blocked=True)


async def no_grant(ledger: Ledger, request: HoldRequest) -> None:
    async with ledger.database.connection() as connection:
        await connection.execute("UPDATE jangbu.balances SET granted = 0 WHERE account_id = $1", request.account)


SIZES: dict[str, dict[str, Any]] = {
    "a range": {},
    "half of what is left": {"least": 10, "most": 5_000},
    "half beyond a base": {"base": 400, "least": 400, "most": 5_000},
    "all": {"least": 10, "most": 5_000, "take_all": True},
    "all of a little": {"least": 10, "most": 20, "take_all": True},
    "exactly what is left": {"least": GRANTED, "most": GRANTED},
    "nothing": {"least": 0, "most": 0},
    "more than there is": {"least": GRANTED + 1, "most": 5_000},
    "more than all": {"least": GRANTED + 1, "most": 5_000, "take_all": True},
}
AGAINST = (another_hold, the_same_hold, its_settlement, its_unknown_outcome, its_release, a_block, no_grant)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("before", [nothing, *AGAINST], ids=lambda story: story.__name__)
async def test_a_hold_alone_is_a_hold_in_company(ledger: Ledger, size: str, before: Story) -> None:
    alone, in_company = asked(ALONE, **SIZES[size]), asked(IN_COMPANY, **SIZES[size])
    await before(ledger, alone)
    await before(ledger, in_company)
    (by_itself,) = await ledger.take(alone)
    together, _ = await ledger.take(in_company, asked(NEIGHBOUR))
    assert by_itself == together
    assert await ledger.book(ALONE) == await ledger.book(IN_COMPANY)


@pytest.mark.parametrize(
    ("size", "amount"),
    [("a range", 300), ("half of what is left", 500), ("half beyond a base", 700), ("all", 1_000), ("nothing", 0)],
)
async def test_plain_holds_are_taken_by_the_short_statement(ledger: Ledger, size: str, amount: int) -> None:
    request = asked(ALONE, **SIZES[size])
    async with ledger.database.connection() as connection:
        rows = await connection.fetch(statement("hold_take_one"), *request, True, "a test", 60)
    assert [tuple(row) for row in rows] == [(amount, GRANTED)]
    assert await ledger.book(ALONE) == [
        {"granted": GRANTED, "used": 0, "held": amount},
        {
            "amount": amount,
            "state": "open",
            "may_have_left": True,
            "service": "text",
            "model": "model",
            "owner": "a test",
            "seconds": 60,
        },
    ]


@pytest.mark.parametrize("before", AGAINST, ids=lambda story: story.__name__)
async def test_the_short_statement_leaves_the_rest_alone(ledger: Ledger, before: Story) -> None:
    request = asked(ALONE, least=300)
    await before(ledger, request)
    book = await ledger.book(ALONE)
    async with ledger.database.connection() as connection:
        assert await connection.fetch(statement("hold_take_one"), *request, True, "a test", 60) == []
    assert await ledger.book(ALONE) == book


Meanwhile = Callable[[Ledger, Connection, HoldRequest], Awaitable[None]]


async def nearly_all_is_used(_ledger: Ledger, connection: Connection, request: HoldRequest) -> None:
    await connection.execute("UPDATE jangbu.balances SET used = 950 WHERE account_id = $1", request.account)


async def more_is_granted(_ledger: Ledger, connection: Connection, request: HoldRequest) -> None:
    await connection.execute("UPDATE jangbu.balances SET granted = 9000 WHERE account_id = $1", request.account)


async def it_is_given_back(_ledger: Ledger, connection: Connection, request: HoldRequest) -> None:
    await holds.release(connection, [(request.account, request.id, "it never left")])


async def it_is_taken(_ledger: Ledger, connection: Connection, request: HoldRequest) -> None:
    await holds.take(connection, [request], owner="another", seconds=60, may_have_left=True)


async def it_is_settled(ledger: Ledger, connection: Connection, request: HoldRequest) -> None:
    await ledger.settle(request, connection)


@pytest.mark.parametrize(
    ("before", "meanwhile", "amount"),
    [
        (nothing, nearly_all_is_used, None),
        (nothing, more_is_granted, 4_500),
        (nothing, it_is_given_back, None),
        (nothing, it_is_taken, None),
        (the_same_hold, it_is_given_back, None),
        (the_same_hold, it_is_settled, None),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
async def test_who_waits_for_a_balance_holds_of_what_it_has_become(
    ledger: Ledger, before: Story, meanwhile: Meanwhile, amount: int | None
) -> None:
    for account, neighbours in ((ALONE, []), (IN_COMPANY, [asked(NEIGHBOUR)])):
        request = asked(account, most=5_000)
        await before(ledger, request)
        async with (
            ledger.database.connection() as watching,
            ledger.database.connection() as first,
            first.transaction(),
        ):
            await first.execute("SELECT FROM jangbu.balances WHERE account_id = $1 FOR NO KEY UPDATE", account)
            taking = asyncio.create_task(ledger.take(request, *neighbours))
            await until_somebody_waits(watching, taking)
            assert not taking.done()
            await meanwhile(ledger, first, request)
        assert (await taking)[0].amount == amount
    assert await ledger.book(ALONE) == await ledger.book(IN_COMPANY)


async def test_who_has_no_account_is_told_so(ledger: Ledger) -> None:
    nobody = account_id("p", "nobody opened this")
    (alone,) = await ledger.take(asked(nobody))
    in_company, _ = await ledger.take(asked(nobody), asked(NEIGHBOUR))
    assert alone == in_company
    assert (alone.amount, alone.account_state) == (None, None)
