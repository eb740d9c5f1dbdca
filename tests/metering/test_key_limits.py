"""The limits of keys: exact for all gateways together, whatever happens at the same time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock
from jangbu.domain.keys import Key
from jangbu.errors import DatabaseUnreachable, LimitReached
from jangbu.metering.key_limits import Admission, KeyLimits
from jangbu.metering.keys import Keys
from jangbu.storage.database import Database

PROJECT = "shop"


@asynccontextmanager
async def gateway(dsn: str, **given: Any) -> AsyncIterator[KeyLimits]:
    """Give the limits as one gateway counts them, with connections of its own."""
    database = await Database.connect(dsn)
    limits = KeyLimits(database, SystemClock(), **given)
    yield limits
    await limits.close()
    await database.close()


@pytest.fixture
async def keys(database: Database) -> AsyncIterator[Keys]:
    opened = Keys(database, SystemClock(), project=PROJECT)
    yield opened
    await opened.close()


@pytest.fixture
async def one(database_url: str) -> AsyncIterator[KeyLimits]:
    async with gateway(database_url) as limits:
        yield limits


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[KeyLimits]:
    async with gateway(database_url) as limits:
        yield limits


async def limited(keys: Keys, name: str = "slow", **limits: Any) -> Key:
    return (await keys.create_for_app(name, **limits))[0]


async def asked(database: Database, query: str, *values: object) -> Sequence[Any]:
    async with database.connection() as connection:
        found: Sequence[Any] = await connection.fetch(query, *values)
        return found


async def uses(database: Database) -> list[tuple[int, int, int]]:
    """Give the requests, tokens and calls of each key that is counted for."""
    return [
        tuple(row) for row in await asked(database, "SELECT requests, tokens, calls FROM jangbu.key_uses ORDER BY 1")
    ]


async def under_way(database: Database) -> int:
    """Count the calls under way, which is one number however it is counted."""
    [(rows, counted)] = await asked(
        database,
        "SELECT (SELECT count(*) FROM jangbu.key_calls), (SELECT coalesce(sum(calls), 0) FROM jangbu.key_uses)",
    )
    assert rows == counted
    return int(rows)


async def moved(database: Database, column: str, by: str) -> None:
    """Let time pass for the minutes that were counted, or the calls under way."""
    table = "key_uses" if column == "minute" else "key_calls"
    await asked(database, f"UPDATE jangbu.{table} SET {column} = {column} + interval '{by}'")


async def in_a_fresh_minute(database: Database, seconds: int = 10) -> None:
    """Wait for the next minute, where this one ends in less: what is counted shall be counted in one."""
    if (left := 60 - (await database.now()).second) < seconds:
        await asyncio.sleep(left)


async def admitted(attempts: Sequence[Awaitable[Admission]]) -> list[Admission]:
    """Make attempts at once; give those that were let in."""
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    assert all(isinstance(answer, Admission | LimitReached) for answer in answers), answers
    return [answer for answer in answers if isinstance(answer, Admission)]


async def test_gateways_let_in_as_many_requests_a_minute_as_one(
    database: Database, keys: Keys, one: KeyLimits, two: KeyLimits
) -> None:
    await in_a_fresh_minute(database)
    key = await limited(keys, requests_per_minute=10)
    assert len(await admitted([each.admit(key) for _ in range(32) for each in (one, two)])) == 10
    assert await uses(database) == [(10, 0, 10)]
    await moved(database, "minute", "-1 minute")
    assert len(await admitted([each.admit(key) for _ in range(32) for each in (one, two)])) == 10


async def test_gateways_let_in_as_many_calls_at_once_as_one(
    database: Database, keys: Keys, one: KeyLimits, two: KeyLimits
) -> None:
    key = await limited(keys, concurrent_calls=3)
    first = await admitted([each.admit(key) for _ in range(20) for each in (one, two)])
    assert len(first) == 3
    await first[0].end()
    await first[0].end()
    assert await under_way(database) == 2
    assert len(await admitted([each.admit(key) for _ in range(20) for each in (one, two)])) == 1


async def test_tokens_a_minute_are_those_of_all_gateways(
    database: Database, keys: Keys, one: KeyLimits, two: KeyLimits
) -> None:
    await in_a_fresh_minute(database)
    key = await limited(keys, tokens_per_minute=100)
    for limits, tokens in ((one, 60), (two, 39)):
        admission = await limits.admit(key)
        admission.spend(tokens)
        await admission.end()
    await one.spend(key.id, 1)
    for limits in (one, two):
        with pytest.raises(LimitReached, match="100 tokens a minute"):
            await limits.admit(key)
    await moved(database, "minute", "-1 minute")
    assert len(await admitted([two.admit(key)])) == 1
    assert await uses(database) == [(1, 0, 1)]


async def test_who_is_refused_is_told_which_limit_and_how_long(database: Database, keys: Keys, one: KeyLimits) -> None:
    await in_a_fresh_minute(database)
    pace = await limited(keys, "pace", requests_per_minute=1, concurrent_calls=1)
    width = await limited(keys, "width", requests_per_minute=2, concurrent_calls=1)
    for key, limit in ((pace, "1 requests a minute"), (width, "1 calls at once")):
        await one.admit(key)
        before = await database.now()
        with pytest.raises(LimitReached, match=limit) as refused:
            await one.admit(key)
        if key is pace:
            after = await database.now()
            assert 1 <= refused.value.seconds <= 60
            assert 59 - after.second <= refused.value.seconds <= 61 - before.second
        else:
            assert refused.value.seconds == 1


async def test_a_key_counts_for_itself(keys: Keys, one: KeyLimits) -> None:
    several = [await limited(keys, str(number), concurrent_calls=number) for number in range(1, 6)]
    let_in = await admitted([one.admit(key) for _ in range(9) for key in several])
    assert len(let_in) == 1 + 2 + 3 + 4 + 5


async def test_a_clock_that_goes_back_lets_nobody_in(database: Database, keys: Keys, one: KeyLimits) -> None:
    key = await limited(keys, requests_per_minute=1)
    await one.admit(key)
    await moved(database, "minute", "2 minutes")
    with pytest.raises(LimitReached) as refused:
        await one.admit(key)
    assert 120 <= refused.value.seconds <= 180


async def test_a_call_is_kept_alive_while_its_process_lives(database: Database, keys: Keys, database_url: str) -> None:
    key = await limited(keys, concurrent_calls=1)
    async with gateway(database_url, alive_seconds=3) as living:
        await living.admit(key)
        await asyncio.sleep(4)
        assert await living.expire() == 0
        with pytest.raises(LimitReached):
            await living.admit(key)
    await asyncio.sleep(3.1)
    async with gateway(database_url) as another:
        assert await another.expire() == 1
        assert await another.expire() == 0
        assert await under_way(database) == 0
        await another.admit(key)


async def test_what_a_killed_process_left_keeps_nobody_out_once_its_time_is_up(
    database: Database, keys: Keys, one: KeyLimits, two: KeyLimits
) -> None:
    key, other = await limited(keys, concurrent_calls=2), await limited(keys, "other", concurrent_calls=1)
    for _ in range(2):
        await one.admit(key)
    await moved(database, "expires_at", "-15 seconds")
    let_in = await admitted([two.admit(each) for each in (key, key, key, other, other)])
    assert len(let_in) == 3
    assert await under_way(database) == 3


async def test_a_call_that_expired_while_its_process_could_not_renew_it_counts_again(
    database: Database, keys: Keys, two: KeyLimits, database_url: str
) -> None:
    await in_a_fresh_minute(database)
    key = await limited(keys, concurrent_calls=1, tokens_per_minute=10_000)
    async with gateway(database_url, alive_seconds=3) as paused:
        late = await paused.admit(key)
        await moved(database, "expires_at", "-3 seconds")
        other = await two.admit(key)
        await until(lambda: is_under_way(database, 2))
        await other.end()
        with pytest.raises(LimitReached):
            await two.admit(key)
        late.spend(70)
        await late.end()
        assert await uses(database) == [(2, 70, 0)]
        # It is not counted again after its end.
        await asyncio.sleep(1.5)
        assert await under_way(database) == 0


async def test_a_renewal_that_the_database_does_not_take_is_tried_again(
    database: Database, keys: Keys, database_url: str
) -> None:
    key = await limited(keys, concurrent_calls=1)
    told: list[str] = []
    stop = telemetry.subscribe(lambda event, _: told.append(event))
    async with gateway(database_url, alive_seconds=3) as cut_off:
        call = await cut_off.admit(key)
        async with database.connection() as other, other.transaction():
            await other.execute("LOCK TABLE jangbu.key_calls")
            await until(lambda: is_told(told, "key_limits.not_renewed"))
        await until(lambda: is_renewed(database))
        assert await under_way(database) == 1
        await call.end()
    stop()
    assert await under_way(database) == 0


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not await true():  # noqa: ASYNC110 - the database makes it so
            await asyncio.sleep(0.05)


async def is_told(told: Sequence[str], event: str) -> bool:
    """Tell whether an event was told."""
    return event in told


async def is_renewed(database: Database) -> bool:
    """Tell whether a call will be under way for a while."""
    return len(await asked(database, "SELECT FROM jangbu.key_calls WHERE expires_at > now()")) > 0


async def is_under_way(database: Database, calls: int) -> bool:
    """Tell whether so many calls count as under way."""
    return await under_way(database) == calls


async def test_a_call_that_expired_ends_without_a_trace(database: Database, keys: Keys, one: KeyLimits) -> None:
    key = await limited(keys, concurrent_calls=1, tokens_per_minute=100)
    late = await one.admit(key)
    await moved(database, "expires_at", "-60 seconds")
    assert await one.expire() == 1
    await one.admit(key)
    late.spend(1_000)
    await late.end()
    assert await under_way(database) == 1
    assert [row[1:] for row in await uses(database)] == [(0, 1)]


async def test_what_idle_keys_used_is_forgotten(database: Database, keys: Keys, one: KeyLimits) -> None:
    idle, busy = await limited(keys, "idle", concurrent_calls=1), await limited(keys, "busy", concurrent_calls=1)
    await (await one.admit(idle)).end()
    await one.admit(busy)
    await one.purge()
    assert len(await uses(database)) == 2, "both were used in this hour"
    await moved(database, "minute", "-61 minutes")
    await one.purge()
    assert await uses(database) == [(1, 0, 1)]
    assert len(await admitted([one.admit(idle), one.admit(busy)])) == 1


@pytest.mark.parametrize("steps", range(8))
async def test_a_call_that_is_let_in_for_nobody_is_ended(
    database: Database, keys: Keys, one: KeyLimits, steps: int
) -> None:
    key = await limited(keys, concurrent_calls=1)
    asking = asyncio.create_task(one.admit(key))
    for _ in range(steps):
        await asyncio.sleep(0.0003)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await (await asking).end()
    assert await under_way(database) == 0
    await one.admit(key)


async def test_an_end_outlives_whoever_asked_for_it(database: Database, keys: Keys, one: KeyLimits) -> None:
    key = await limited(keys, concurrent_calls=1)
    ending = asyncio.create_task((await one.admit(key)).end())
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    await one.close()
    assert await under_way(database) == 0


async def test_a_database_that_is_away_lets_nobody_in_and_keeps_nobody(database_url: str, keys: Keys) -> None:
    key = await limited(keys, concurrent_calls=1)
    told: list[str] = []
    stop = telemetry.subscribe(lambda event, _: told.append(event))
    away = await Database.connect(database_url)
    limits = KeyLimits(away, SystemClock())
    admission = await limits.admit(key)
    await away.close()
    refused, *_ = await asyncio.gather(
        limits.admit(key), admission.end(), limits.spend(key.id, 1), return_exceptions=True
    )
    await limits.close()
    stop()
    assert isinstance(refused, DatabaseUnreachable)
    assert {"key_limits.not_ended", "key_limits.not_spent"} <= set(told)


async def test_nothing_is_lost_or_counted_twice_in_a_crowd(database: Database, keys: Keys, database_url: str) -> None:
    """Everything at once, by three gateways, through a pooler as it were: no statement is prepared."""
    await in_a_fresh_minute(database, seconds=50)
    width, pace = 3, 10_000
    several = [
        await limited(keys, str(number), concurrent_calls=width, requests_per_minute=pace, tokens_per_minute=10**9)
        for number in range(4)
    ]
    inside, most, made = dict.fromkeys(several, 0), 0, 0
    waits: set[int] = set()
    retried: list[str] = []
    stop = telemetry.subscribe(lambda event, _: retried.append(event) if event == "key_limits.retried" else None)

    async def call(limits: KeyLimits, key: Key, number: int) -> None:
        nonlocal most, made
        for _ in range(60):
            try:
                async with limits.admitted(key) as admission:
                    inside[key] += 1
                    most, made = max(most, inside[key]), made + 1
                    await asyncio.sleep(0.001 * (number % 3))
                    admission.spend(7)
                    inside[key] -= 1
            except LimitReached as refused:
                waits.add(refused.seconds)
                await asyncio.sleep(0.002)

    async def forever(duty: Callable[[], Awaitable[object]]) -> None:
        while True:
            await duty()
            await asyncio.sleep(0.005)

    pools = [await Database.connect(database_url, prepared_statements=False) for _ in range(3)]
    gateways = [KeyLimits(pool, SystemClock(), alive_seconds=15) for pool in pools]
    duties = [asyncio.create_task(forever(duty)) for each in gateways for duty in (each.expire, each.purge)]
    await asyncio.gather(*(call(each, key, number) for number in range(6) for each in gateways for key in several))
    for duty in duties:
        duty.cancel()
    for each, pool in zip(gateways, pools, strict=True):
        await each.close()
        await pool.close()
    stop()
    assert retried == [], "nobody waits for who waits for them"
    assert waits == {1}, "only calls at once kept anybody out"
    assert 0 < most <= width
    assert await under_way(database) == 0
    minutes = await asked(database, "SELECT DISTINCT minute FROM jangbu.key_uses")
    assert len(minutes) == 1, "all was counted in one minute"
    counted = await uses(database)
    assert sum(requests for requests, _, _ in counted) == made
    assert sum(tokens for _, tokens, _ in counted) == made * 7
