"""Several steps of one task are one transaction: all of it is done, or nothing."""

import asyncio

import asyncpg
import pytest

from jangbu.clock import SystemClock
from jangbu.errors import DatabaseUnreachable, InvalidInput
from jangbu.metering.accounts import Accounts
from jangbu.storage.database import Database
from jangbu.storage.failures import translated


def accounts_of(database: Database) -> Accounts:
    return Accounts(database, SystemClock(), project="shop", retry_seconds=2)


async def users(accounts: Accounts) -> set[str]:
    return {each.user for each in await accounts.page()}


async def refused_after_a_grant(database: Database) -> None:
    accounts = accounts_of(database)
    async with database.together():
        await accounts.create("park")
        await accounts.grant("lee", 500, key="a")
        await accounts.grant("lee", 0, key="b")


async def test_what_fails_at_last_takes_all_of_it_back(database: Database) -> None:
    accounts = accounts_of(database)
    await accounts.create("lee")
    with pytest.raises(InvalidInput):
        await refused_after_a_grant(database)
    assert await users(accounts) == {"lee"}
    assert (await accounts.balance("lee")).granted == 0
    assert not (await accounts.grant("lee", 500, key="a")).replayed


async def test_what_fails_within_and_is_mended_does_not_spoil_the_rest(database: Database) -> None:
    accounts = accounts_of(database)
    async with database.together():
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with database.connection() as connection:
                await connection.execute("SELECT 1 / 0")
        await accounts.create("park")
    assert await users(accounts) == {"park"}


async def test_a_connection_that_is_lost_within_changes_nothing_and_is_told_soon(database: Database) -> None:
    accounts = accounts_of(database)
    await accounts.create("lee")

    async def act() -> None:
        with translated():
            async with database.together():
                await accounts.grant("lee", 500, key="a")
                async with database.connection() as connection:
                    connection.terminate()
                await accounts.grant("lee", 500, key="b")

    async with asyncio.timeout(60):
        with pytest.raises(DatabaseUnreachable):
            await act()
    assert (await accounts.balance("lee")).granted == 0


async def test_behind_a_pooler_it_is_one_transaction_too(database_url: str) -> None:
    pooled = await Database.connect(database_url, prepared_statements=False)
    accounts = accounts_of(pooled)
    async with pooled.together():
        await accounts.create("lee")
    with pytest.raises(InvalidInput):
        await refused_after_a_grant(pooled)
    assert await users(accounts) == {"lee"}
    assert (await accounts.balance("lee")).granted == 0
    await pooled.close()


async def test_other_tasks_are_no_part_of_it(database: Database) -> None:
    accounts = accounts_of(database)
    async with database.together():
        await accounts.create("park")
        assert await asyncio.create_task(users(accounts)) == set()
    assert await users(accounts) == {"park"}
