"""Holds as the database takes them, from several processes at once."""

import asyncio
from uuid import uuid4

import pytest

from jangbu.config import Settings
from jangbu.storage import holds
from jangbu.storage.database import Database
from jangbu.storage.holds import HoldRequest
from jangbu.wiring import open_metering

PROCESSES = 3
HOLDS = 40
OTHERS = 200


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
