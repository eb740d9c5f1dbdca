"""Holds as the database takes them, from several processes at once."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Settle
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.metering.meter import Metering
from jangbu.storage import holds
from jangbu.storage.database import Connection, Database
from jangbu.storage.holds import HoldRequest
from jangbu.storage.statements import statement
from jangbu.wiring import open_metering

PROCESSES = 3
HOLDS = 40
OTHERS = 200
SWEPT_AT_ONCE = 20
ANSWER = Usage(
    Surface.GENERATE_CONTENT,
    Counts(prompt=7, total=7),
    Source.REPORTED,
    "gemini-2.5-flash",
    "an-answer",
    raw=({"promptTokenCount": 7, "totalTokenCount": 7},),
)
AGAIN = """
    INSERT INTO jangbu.holds (account_id, id, amount, may_have_left, service, model, owner, expires_at)
    VALUES ($1, $2, 10, true, 'a', 'm', 'a test', clock_timestamp())
"""
WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"


@pytest.mark.parametrize("prepared_statements", [True, False])
async def test_processes_that_hold_for_one_account_at_once_wait_for_each_other(
    database_url: str, prepared_statements: bool
) -> None:
    """Between processes an account's row decides, also when the statements are planned anew with the tables' figures,
    as they are a minute after a ledger has begun.
    """
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        for number in range(OTHERS):
            await metering.accounts.create(f"user-{number}")
        await metering.accounts.create("kim")
        await metering.accounts.grant("kim", 10 * PROCESSES * HOLDS, key="first")
        account = metering.accounts.id_of("kim")
        async with metering.database.connection() as connection:
            await connection.execute("ANALYZE jangbu.balances; ANALYZE jangbu.accounts; ANALYZE jangbu.holds")
            # What plans a hold by bitmaps, where nobody says otherwise.
            for way in ("enable_seqscan = off", "plan_cache_mode = force_generic_plan"):
                name = await connection.fetchval("SELECT current_database()")
                await connection.execute(f"ALTER DATABASE {name} SET {way}")
        connecting = [Database.connect(database_url, prepared_statements=prepared_statements) for _ in range(PROCESSES)]
        processes = await asyncio.gather(*connecting)

        async def take(process: Database) -> int:
            taken = 0
            for _ in range(HOLDS):
                wanted = HoldRequest(account, uuid4(), 0, 10, 10, False, "text_generation", "a-model")
                async with process.connection() as connection:
                    [answer] = await holds.take(connection, [wanted], owner="a test", seconds=60, may_have_left=True)
                taken += answer.amount or 0
            return taken

        assert await asyncio.gather(*(take(process) for process in processes)) == [10 * HOLDS] * PROCESSES
        assert (await metering.accounts.balance("kim")).held == 10 * PROCESSES * HOLDS
        for process in processes:
            await process.close()


async def test_a_hold_that_is_given_back_while_its_time_runs_out_is_no_finding_for_long(
    database_url: str, database: Database
) -> None:
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        wanted = await wanted_by_kim(metering)
        async with database.connection() as sweeping, database.connection() as watching:
            await holds.take(sweeping, [wanted], owner="a test", seconds=0, may_have_left=True)
            async with sweeping.transaction():
                await sweeping.fetch(statement("hold_expire"), 100)
                releasing = asyncio.create_task(metering.holds.release(wanted.account, wanted.id, "it never left"))
                await until_somebody_waits(watching, releasing)
            assert await releasing
            assert (await metering.accounts.balance("kim")).held == 0
            await metering.holds.close_findings()
            assert not await watching.fetchval(
                "SELECT EXISTS (SELECT FROM jangbu.findings WHERE resolved_at IS NULL AND usage_id = $1)", wanted.id
            )


async def test_a_hold_whose_time_is_made_longer_while_it_runs_out_stays_open(
    database_url: str, database: Database
) -> None:
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        wanted = await wanted_by_kim(metering)
        async with database.connection() as extending, database.connection() as watching:
            await holds.take(extending, [wanted], owner="a test", seconds=0, may_have_left=True)
            async with extending.transaction():
                await extending.fetch(statement("hold_extend"), wanted.account, wanted.id, 600)
                sweeping = asyncio.create_task(holds.expire(database, SWEPT_AT_ONCE))
                await until_somebody_waits(watching, sweeping)
            assert await sweeping == []
        assert [hold.id for hold in await metering.holds.page(wanted.account, ["open"], 10)] == [wanted.id]


async def test_a_locked_user_s_holds_keep_nobody_else_s_from_ending(database_url: str, database: Database) -> None:
    """However many of them are due: they take no places in a batch, and are ended once the lock is gone."""
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        ids = {user: metering.accounts.id_of(user) for user in ("kim", "lee")}
        async with database.connection() as sweeping, database.connection() as locking:
            for user, number in (("kim", SWEPT_AT_ONCE + 1), ("lee", 1)):
                await metering.accounts.create(user)
                await metering.accounts.grant(user, number, key="first")
                wanted = [HoldRequest(ids[user], uuid4(), 0, 1, 1, False, "chat", "a-model") for _ in range(number)]
                await holds.take(sweeping, wanted, owner="a test", seconds=0, may_have_left=False)
            async with locking.transaction():
                await locking.fetch(statement("balance_lock"), ids["kim"], 1)
                ended = await holds.expire(database, SWEPT_AT_ONCE)
                assert [(account, state) for account, _, _, state in ended] == [(ids["lee"], "expired")]
            assert await metering.holds.expire() == SWEPT_AT_ONCE + 1
        assert [(await metering.accounts.balance(user)).held for user in ids] == [0, 0]


async def test_a_hold_that_is_given_back_before_it_is_taken_is_never_taken(
    database_url: str, database: Database
) -> None:
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        wanted = await wanted_by_kim(metering)
        twice = [(wanted.account, wanted.id, "it never left")] * 2
        async with database.connection() as connection:
            assert await holds.release(connection, twice) == [False, False]
            [answer] = await holds.take(connection, [wanted], owner="a test", seconds=60, may_have_left=True)
            assert (answer.amount, answer.known_state, answer.known_amount) == (None, "released", 0)
        assert (await metering.accounts.balance("kim")).held == 0


async def test_a_hold_that_is_taken_while_it_is_given_back_does_not_stay(database_url: str, database: Database) -> None:
    """Whoever gives it back began before it was there, and waits for the balance until it is."""
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        wanted = await wanted_by_kim(metering)
        async with database.connection() as taking, database.connection() as watching:
            async with taking.transaction():
                await holds.take(taking, [wanted], owner="a test", seconds=60, may_have_left=True)
                releasing = asyncio.create_task(metering.holds.release(wanted.account, wanted.id, "it never left"))
                await until_somebody_waits(watching, releasing)
            assert await releasing
        assert (await metering.accounts.balance("kim")).held == 0
        (left,) = await metering.holds.page(wanted.account, None, 10)
        assert (left.state, left.amount, left.reason) == ("released", 10, "it never left")


async def test_a_hold_that_comes_again_after_its_settlement_ends_and_is_shown_until_it_has(
    database_url: str, database: Database
) -> None:
    """A statement whose sender gave it up may be carried out at any time, and so may the one that marks its hold."""
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        await metering.accounts.create("kim")
        await metering.accounts.grant("kim", 100, key="first")
        account = metering.accounts.id_of("kim")

        async def take(hold: UUID) -> None:
            await database.rows(
                "hold_take", [account], [hold], [0], [10], [10], [False], ["a"], ["m"], True, "a test", 0
            )

        recorded, elsewhere = new_id(SystemClock()), new_id(SystemClock())
        for call in (recorded, elsewhere):
            await take(call)
            await holds.mark_unknown(database, account, call, "it never came back")
            bounds = Bounds(0, 0, output_chosen=True)
            await metering.execute(Settle(Call(call, "kim", "chat", "m", bounds), ANSWER))
        assert await shown(database) == []
        # Neither takes anything by itself; only one that began before the settlement does.
        async with database.connection() as connection:
            for call in (recorded, elsewhere):
                await connection.execute(AGAIN, account, call)
            await connection.execute("UPDATE jangbu.balances SET held = held + 20 WHERE account_id = $1", account)
        for call in (recorded, elsewhere):
            await holds.mark_unknown(database, account, call, "it never came back")
        assert await shown(database) == [elsewhere], "the answer is recorded for the other call, and nobody else knows"
        await metering.holds.expire()
        assert await metering.holds.release(account, elsewhere, "its answer is recorded")
        assert await shown(database) == []
        balance = await metering.accounts.balance("kim")
        assert (balance.used, balance.held) == (7, 0)


async def wanted_by_kim(metering: Metering) -> HoldRequest:
    """Open an account that can pay for it, and give what is to be held."""
    await metering.accounts.create("kim")
    await metering.accounts.grant("kim", 100, key="first")
    return HoldRequest(metering.accounts.id_of("kim"), uuid4(), 0, 10, 10, False, "text_generation", "a-model")


async def shown(database: Database) -> list[UUID]:
    """Give the calls that are shown as of unknown outcome."""
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT usage_id FROM jangbu.findings WHERE resolved_at IS NULL")
    return [row["usage_id"] for row in rows]


async def until_somebody_waits(watching: Connection, waiting: "asyncio.Task[Any]") -> None:
    """Wait until a statement has begun and waits for a lock, or has ended all the same."""
    while not waiting.done():
        if await watching.fetchval(WAITS):
            return
        await asyncio.sleep(0.01)


async def test_what_was_not_deducted_is_found_by_an_index_that_has_nothing_else(database: Database) -> None:
    async with database.connection() as connection:
        asked = ("default", *(datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2)), None, None, None)
        plan = await connection.fetch(f"EXPLAIN {statement('hold_undeducted')}", *asked)
    said = "\n".join(row[0] for row in plan)
    assert "Index Only Scan using holds_undeducted on holds" in said, said
    assert "Seq Scan" not in said, said
