"""Rollups are carried from where they are recent to where they last, and no figure changes by it at any moment."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from jangbu.domain.sizes import class_of_size
from jangbu.metering.rollups import Rollups
from jangbu.metering.verify import Verification
from jangbu.storage import rollups
from jangbu.storage.database import Database
from tests.metering.damage import COLUMNS
from tests.metering.traffic import FLASH, KIM, LEE, PARK, PRO, PROJECT, Shop, open_shop, recompute, restate

FOREVER = datetime(2100, 1, 1, tzinfo=UTC)
RECENT = ("usage_recent", "project_recent")
LASTING = (
    "usage_lifetime", "usage_quarters", "usage_hours", "usage_six_hours", "usage_days",
    "project_minutes", "project_quarters", "project_hours", "project_six_hours", "project_days",
)  # fmt: skip


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def sums(shop: Shop, table: str) -> tuple[int, ...]:
    columns = ", ".join(f"coalesce(sum({column}), 0)::bigint" for column in COLUMNS)
    [row] = await shop.rows(f"SELECT {columns} FROM jangbu.{table}")
    return row


async def some_calls(shop: Shop, number: int = 60) -> None:
    chance = random.Random(number)
    shop.clock.set(datetime.now(UTC) - timedelta(days=2))
    rows = []
    for _ in range(number):
        shop.clock.advance(timedelta(minutes=chance.randint(0, 60)))
        user, model = chance.choice((KIM, LEE)), chance.choice((FLASH, PRO, "gemini-99"))
        rows.append(shop.row(user, model=model, prompt=chance.randint(1, 99), cached=1, tool=2, thoughts=3))
    await shop.record(rows)


async def is_sound(shop: Shop) -> bool:
    return (await Verification(shop.database, PROJECT).run(recompute=recompute, restate=restate)).is_clean


async def test_what_is_carried_is_gone_from_where_it_was_and_is_everywhere_it_lasts(shop: Shop) -> None:
    await some_calls(shop)
    before = await sums(shop, "usage_recent")

    await Rollups(shop.database).carry_before(FOREVER, FOREVER)

    assert [await sums(shop, table) for table in LASTING] == [before] * len(LASTING)
    assert [await sums(shop, table) for table in RECENT] == [(0,) * len(COLUMNS)] * 2
    assert await is_sound(shop)


async def test_only_what_is_over_is_carried(shop: Shop) -> None:
    shop.clock.set(datetime.now(UTC) - timedelta(seconds=1))
    await shop.record([shop.row(KIM)])
    shop.clock.set(datetime.now(UTC) - timedelta(days=1))
    await shop.record([shop.row(KIM), shop.row(LEE)])

    await Rollups(shop.database).carry()

    for recent, lasting in (("usage_recent", "usage_lifetime"), ("project_recent", "project_hours")):
        assert ((await sums(shop, recent))[0], (await sums(shop, lasting))[0]) == (1, 2)
    assert await is_sound(shop)


async def test_records_that_come_late_are_added_to_what_lasts(shop: Shop) -> None:
    for round_ in range(3):
        await some_calls(shop, 20)
        await Rollups(shop.database).carry_before(FOREVER, FOREVER)
        assert await is_sound(shop)
        assert (await sums(shop, "usage_days"))[0] == 20 * (round_ + 1)


async def test_so_many_rows_are_carried_at_a_time(shop: Shop) -> None:
    await some_calls(shop)
    [(rows,)] = await shop.rows("SELECT count(*) FROM jangbu.usage_recent")

    assert await rollups.carry_users(shop.database, FOREVER, 7) == 7
    assert await is_sound(shop)
    assert await rollups.carry_users(shop.database, FOREVER, 1_000) == rows - 7
    assert await rollups.carry_users(shop.database, FOREVER, 1_000) == 0
    assert await is_sound(shop)


async def test_one_carries_at_a_time_and_nobody_waits(shop: Shop) -> None:
    await some_calls(shop)
    async with shop.database.connection() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('jangbu.rollup_users', 0))")
        assert await rollups.carry_users(shop.database, FOREVER, 1_000) == 0
    assert await rollups.carry_users(shop.database, FOREVER, 1_000) > 0


async def test_rows_that_somebody_is_adding_to_are_left_for_later(shop: Shop) -> None:
    await some_calls(shop)
    [(rows,)] = await shop.rows("SELECT count(*) FROM jangbu.usage_recent")
    async with shop.database.connection() as connection, connection.transaction():
        await connection.execute(
            "UPDATE jangbu.usage_recent SET calls = calls WHERE ctid = (SELECT min(ctid) FROM jangbu.usage_recent)"
        )
        assert await rollups.carry_users(shop.database, FOREVER, 1_000) == rows - 1
    assert await rollups.carry_users(shop.database, FOREVER, 1_000) == 1
    assert await is_sound(shop)


async def test_everything_is_counted_once_while_it_is_carried_under_the_hands_of_those_who_record(shop: Shop) -> None:
    done = asyncio.Event()
    seen = []

    async def write(number: int) -> None:
        for _ in range(30):
            await shop.record([shop.row(user, model=model) for user in (KIM, LEE, PARK) for model in (FLASH, PRO)])
            await asyncio.sleep(0.001 * number)

    async def carry() -> None:
        while not done.is_set():
            await Rollups(shop.database).carry_before(FOREVER, FOREVER)
            await rollups.refresh_directory(shop.database, 2)

    async def look() -> None:
        while not done.is_set():
            seen.append(await shop.rows(
                "SELECT (SELECT count(*) FROM jangbu.usage), (SELECT sum(calls) FROM jangbu.usage_by_quarter),"
                " (SELECT sum(calls) FROM jangbu.project_by_quarter)"
            ))  # fmt: skip

    others = [asyncio.create_task(work()) for work in (carry, carry, look)]
    await asyncio.gather(*(write(number) for number in range(4)))
    done.set()
    await asyncio.gather(*others)

    assert {(of_users or 0, of_all or 0) for [(records, of_users, of_all)] in seen} == {
        (records, records) for [(records, _, _)] in seen
    }
    assert (await sums(shop, "usage_by_quarter"))[0] == 4 * 30 * 6
    assert await is_sound(shop)


async def test_prices_that_come_later_change_what_was_carried(shop: Shop) -> None:
    from jangbu.storage import usage

    unpriced = shop.row(KIM, model="gemini-99")
    await shop.record([unpriced, shop.row(KIM)])
    await Rollups(shop.database).carry_before(FOREVER, FOREVER)
    await usage.write_prices(shop.database, [(unpriced.account_id, unpriced.id, 700, 100, 900, 1)], PROJECT, 0)
    await Rollups(shop.database).carry_before(FOREVER, FOREVER)

    assert {(await sums(shop, table))[-1] for table in LASTING} == {0}
    assert (await Verification(shop.database, PROJECT).run()).is_clean


async def test_the_database_and_the_program_classify_sizes_alike(shop: Shop) -> None:
    sizes = [*range(-3, 300), *(2**power + more for power in range(9, 53) for more in (-1, 0, 1))]
    [(classes,)] = await shop.rows(
        "SELECT array_agg(jangbu.class_of_size(size) ORDER BY place) FROM unnest($1::bigint[]) WITH ORDINALITY"
        " AS t (size, place)", sizes
    )  # fmt: skip

    assert classes == [class_of_size(size) for size in sizes]


async def test_the_database_gives_the_largest_sizes_a_class_too_high_at_most(shop: Shop) -> None:
    sizes = [2**power + more for power in range(53, 63) for more in (-1, 0, 1)] + [2**63 - 1]
    [(classes,)] = await shop.rows(
        "SELECT array_agg(jangbu.class_of_size(size) ORDER BY place) FROM unnest($1::bigint[]) WITH ORDINALITY"
        " AS t (size, place)", sizes
    )  # fmt: skip

    assert {found - class_of_size(size) for found, size in zip(classes, sizes, strict=True)} == {0, 1}
