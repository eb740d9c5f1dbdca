"""The recorder: every caller's row becomes durable exactly once, whatever happens to its neighbours or the server."""

import asyncio
import os
import random
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock, new_id
from jangbu.domain.ledger import account_id
from jangbu.errors import RecordRefused
from jangbu.metering.recorder import Named, Recorder
from jangbu.storage import accounts, usage
from jangbu.storage.database import Database
from jangbu.storage.names import Names
from jangbu.storage.usage import Flushed, UsageRow
from tests.faults.proxy import lossy_proxy

USERS = tuple(f"user-{number}" for number in range(20))


async def open_accounts(database: Database) -> tuple[int, int]:
    for user in USERS:
        await accounts.create(database, account_id("p", user), "p", user)
    services, models = Names(database, "service"), Names(database, "model")
    await services.learn(["text_generation"])
    await models.learn(["gemini-2.5-flash"])
    return services["text_generation"], models["gemini-2.5-flash"]


@pytest.fixture
async def numbers(database: Database) -> tuple[int, int]:
    await usage.make_partitions(database, [SystemClock().now()])
    return await open_accounts(database)


@pytest.fixture
async def recorder(database: Database) -> AsyncIterator[Recorder]:
    recorder = Recorder(database, project="p", lanes=2, batch_max=64, seconds=20)
    yield recorder
    await recorder.close()


def row(numbers: tuple[int, int], user: str = USERS[0], total: int = 450, at: UUID | None = None) -> UsageRow:
    return UsageRow(
        account_id=account_id("p", user),
        id=at or new_id(SystemClock()),
        service_id=numbers[0],
        model_id=numbers[1],
        surface="generate_content",
        platform="gemini_api",
        tier="standard",
        source="reported",
        prompt=total,
        candidates=0,
        thoughts=0,
        tool=0,
        cached=0,
        total=total,
        cost_nano=total * 3,
        input_cost_nano=total,
        charge_nano=total * 4,
        price_version=None,
        was_held=False,
        response_id=None,
        anomalies=None,
        raw="{}",
        metadata=None,
    )


async def record(recorder: Recorder, item: UsageRow) -> Flushed:
    outcome = await recorder.record(Named(item, "user", "text_generation", "gemini-2.5-flash"))
    assert isinstance(outcome, Flushed)
    return outcome


async def sums(database: Database) -> list[tuple[int, int, int]]:
    """Tokens, cost and number, as the usage, the entries, the balances and each rollup have them."""
    async with database.connection() as connection:
        found = await connection.fetchrow(
            """
            SELECT
                (SELECT array[sum(total), sum(cost_nano), count(*)] FROM jangbu.usage),
                (SELECT array[-sum(delta), null, null] FROM jangbu.entries WHERE asset = 1),
                (SELECT array[sum(used), null, null] FROM jangbu.balances WHERE asset = 1),
                (SELECT array[sum(total), sum(cost_nano), sum(calls)] FROM jangbu.usage_by_quarter),
                (SELECT array[sum(total), sum(cost_nano), sum(calls)] FROM jangbu.project_by_quarter)
            """
        )
    assert found is not None
    first = found[0]
    whole = [[int(first[i] if v is None else v) for i, v in enumerate(values)] for values in found]
    return [(tokens, cost, number) for tokens, cost, number in whole]


async def test_totals_agree_after_any_interleaving_of_16_writers(database: Database, numbers: tuple[int, int]) -> None:
    seed = int(os.environ.get("JANGBU_SEED", random.randrange(2**32)))
    chance = random.Random(seed)
    recorders = [Recorder(database, project="p", lanes=2, batch_max=chance.randint(1, 40)) for _ in range(4)]
    rows = [row(numbers, chance.choice(USERS), chance.randint(0, 5000)) for _ in range(1500)]
    repeated = rows + chance.choices(rows, k=300)
    chance.shuffle(repeated)

    async def write(number: int) -> None:
        for item in repeated[number::16]:
            await record(recorders[chance.randrange(4)], item)

    await asyncio.gather(*(write(number) for number in range(16)))
    await asyncio.gather(*(recorder.close() for recorder in recorders))
    expected = (sum(item.total for item in rows), sum(item.total * 3 for item in rows), len(rows))
    assert await sums(database) == [expected] * 5, f"JANGBU_SEED={seed} replays this"


async def test_a_replay_changes_nothing(database: Database, numbers: tuple[int, int], recorder: Recorder) -> None:
    item = row(numbers)
    first, second = await asyncio.gather(record(recorder, item), record(recorder, item))
    again = await record(recorder, item)
    assert [first.is_new or second.is_new, again.is_new] == [True, False]
    assert (await sums(database))[0] == (450, 1350, 1)


async def test_a_poisonous_row_fails_alone(database: Database, numbers: tuple[int, int], recorder: Recorder) -> None:
    halved: list[str] = []
    end = telemetry.subscribe(lambda event, _facts: halved.append(event))
    rows = [row(numbers, user) for user in USERS * 3]
    rows[17] = rows[17]._replace(raw='{"a": "\\u0000"}')
    rows[41] = rows[41]._replace(total=2**70)
    rows[50] = rows[50]._replace(raw="[" * 20_000 + "]" * 20_000)
    results = await asyncio.gather(*(record(recorder, item) for item in rows), return_exceptions=True)
    end()
    failed = [number for number, result in enumerate(results) if isinstance(result, BaseException)]
    assert failed == [17, 41, 50]
    assert all(isinstance(results[number], RecordRefused) for number in failed)
    assert "recorder.halved" in halved
    assert "recorder.failed" in halved
    assert (await sums(database))[0][2] == len(rows) - 3


async def test_what_would_make_a_sum_too_large_is_refused_for_good_and_alone(
    database: Database, numbers: tuple[int, int], recorder: Recorder
) -> None:
    most = row(numbers)._replace(cost_nano=2**63 - 1)
    await record(recorder, most)
    beyond, free = row(numbers), row(numbers)._replace(cost_nano=0)
    refused, recorded = await asyncio.gather(record(recorder, beyond), record(recorder, free), return_exceptions=True)
    assert isinstance(refused, RecordRefused)
    assert "larger than a ledger holds" in str(refused)
    assert isinstance(recorded, Flushed)
    assert (await sums(database))[0][2] == 2


async def test_a_month_without_a_partition_gets_one(
    database: Database, numbers: tuple[int, int], recorder: Recorder
) -> None:
    class Elsewhere:
        def now(self) -> datetime:
            return datetime.now(UTC) - timedelta(days=400)

    flushed = await record(recorder, row(numbers, at=new_id(Elsewhere())))
    assert flushed.is_new


async def test_an_unknown_account_is_told_apart(numbers: tuple[int, int], recorder: Recorder) -> None:
    known, unknown = await asyncio.gather(
        record(recorder, row(numbers)), record(recorder, row(numbers, "nobody opened this"))
    )
    assert known.has_account
    assert not unknown.has_account
    assert not unknown.is_new


async def test_callers_are_held_back_when_the_queue_is_full(database: Database, numbers: tuple[int, int]) -> None:
    narrow = Recorder(database, project="p", lanes=1, batch_max=2, queue_max=3)
    flushed = await asyncio.gather(*(record(narrow, row(numbers, user)) for user in USERS * 4))
    assert all(result.is_new for result in flushed)
    await narrow.close()


async def test_an_ambiguous_commit_is_recorded_once(
    database_url: str, database: Database, numbers: tuple[int, int]
) -> None:
    with tempfile.TemporaryDirectory(prefix="jb") as folder:
        async with lossy_proxy(database_url, Path(folder)) as (address, proxy):
            behind = await Database.connect(address)
            recorder = Recorder(behind, project="p", lanes=2, seconds=20)
            await record(recorder, row(numbers))
            retried: list[str] = []
            end = telemetry.subscribe(lambda event, _facts: retried.append(event))
            for number in range(10):
                wanted = row(numbers, USERS[number])
                proxy.swallow_answers_after = wanted.id.bytes
                await record(recorder, wanted)
            end()
            await recorder.close()
            await behind.close()
    assert proxy.swallowed == 10
    assert retried.count("recorder.retried") >= 10
    assert await sums(database) == [(11 * 450, 11 * 1350, 11)] * 5


async def test_backends_that_are_killed_lose_and_double_nothing(
    database: Database, numbers: tuple[int, int], recorder: Recorder
) -> None:
    rows = [row(numbers, random.choice(USERS)) for _ in range(600)]

    async def kill_backends() -> None:
        async with database.connection() as connection:
            for _ in range(8):
                await asyncio.sleep(0.05)
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
                )

    async def write(number: int) -> None:
        for item in rows[number::30]:
            await record(recorder, item)

    await asyncio.gather(kill_backends(), *(write(number) for number in range(30)))
    assert await sums(database) == [(600 * 450, 600 * 1350, 600)] * 5
