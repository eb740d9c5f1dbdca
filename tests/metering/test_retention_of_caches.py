"""A month in which a living cache was made is kept: what its storage costs is written down there when it ends."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jangbu.config import Settings
from jangbu.domain.usage import Surface
from jangbu.errors import JangbuError
from jangbu.metering.cache_storage import CacheStorage, making_of
from jangbu.metering.meter import Metering
from jangbu.metering.retention import Partition, Retention, month_start, refusal
from jangbu.providers.gemini import parse
from jangbu.testing.clock import SettableClock
from jangbu.wiring import open_metering

NAMES = ("cachedContents/a-long-book", "cachedContents/another-book")
MADE = month_start(datetime.now(UTC), -4) + timedelta(days=3)


@pytest.fixture
async def metering(database_url: str) -> AsyncIterator[Metering]:
    """Give a ledger with two caches that were made four months ago, and that live until tomorrow."""
    clock = SettableClock(MADE)
    async with open_metering(Settings.load(database_url=database_url), clock=clock) as metering:
        await metering.accounts.create("kim")
        for name in NAMES:
            answer = {
                "name": name,
                "model": "models/gemini-2.5-flash",
                "createTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                "expireTime": f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
                "usageMetadata": {"totalTokenCount": 100_000},
            }
            usage = parse(json.dumps(answer).encode(), surface=Surface.CACHED_CONTENTS)
            await metering.record("kim", "chat", usage, model="gemini-2.5-flash", call_key=making_of(name))
            await metering.resources.keep_cache(metering.accounts.id_of("kim"), name, answer)
        clock.set(datetime.now(UTC))
        yield metering


async def due(metering: Metering) -> Partition:
    """Give the month in which the caches were made, as it would go."""
    [partition] = await Retention(metering.database, metering.audit).due(1)
    assert partition.month == MADE.date().replace(day=1)
    return partition


async def ended(metering: Metering, name: str) -> None:
    """Have a cache end now, and get its price."""
    await metering.resources.end_cache(metering.accounts.id_of("kim"), name)
    assert await CacheStorage(metering.database, metering.pricing).price_ended() == 1


async def test_the_month_is_kept_until_the_caches_have_ended_and_have_their_price(metering: Metering) -> None:
    retention = Retention(metering.database, metering.audit)
    for living, said in (
        (2, "2 caches that were made then still live, and their storage is priced there when they end; wait"),
        (1, "1 cache that was made then still lives, and its storage is priced there when it ends; wait"),
    ):
        partition = await due(metering)
        assert partition.caches == living
        assert str(refusal(partition)).startswith(said)
        with pytest.raises(JangbuError, match=f"{partition.name} is kept: {said}"):
            await retention.drop(partition)
        await ended(metering, NAMES[living - 1])

    partition = await due(metering)
    assert refusal(partition) is None
    async with metering.database.connection() as connection:
        costs = await connection.fetch("SELECT cost_nano > 0 AS has_cost FROM jangbu.usage")
    assert [row["has_cost"] for row in costs] == [True, True]
    assert await retention.drop(partition) == 2


async def test_a_cache_that_was_made_since_somebody_looked_keeps_the_month_too(metering: Metering) -> None:
    unaware = replace(await due(metering), caches=0)
    with pytest.raises(JangbuError, match="changed meanwhile"):
        await Retention(metering.database, metering.audit).drop(unaware)
    assert (await due(metering)).records == 2
