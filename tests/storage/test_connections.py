"""Connections are lent: one that goes back while nobody waits for it is there for the next who asks."""

import asyncio

import pytest

from jangbu.storage.database import Database

SOON_SECONDS = 5


async def one_plus_one(database: Database) -> int:
    async with database.connection(in_passing=True) as connection:
        found: int = await connection.fetchval("SELECT 1 + 1")
        return found


@pytest.fixture
async def single(database_url: str) -> Database:
    return await Database.connect(database_url, size=1)


async def test_the_only_connection_is_there_for_whoever_asks_next(single: Database) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        assert [await one_plus_one(single) for _ in range(20)] == [2] * 20
        assert await asyncio.gather(*(one_plus_one(single) for _ in range(20))) == [2] * 20
        await single.close()


async def test_what_is_closed_waits_for_what_goes_back(single: Database) -> None:
    assert await one_plus_one(single) == 2
    async with asyncio.timeout(SOON_SECONDS):
        await single.close()


async def test_one_that_is_lost_after_its_answer_takes_nothing_back_and_is_replaced(single: Database) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        async with single.connection(in_passing=True) as connection:
            found = await connection.fetchval("SELECT 1 + 1")
            connection.terminate()
        assert found == 2
        assert await one_plus_one(single) == 2
        await single.close()
