"""Series: buckets that are, call by call, what was recorded in them, in any zone, and totals that are their sums."""

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jangbu.domain.amounts import NOTHING, Amounts
from jangbu.domain.windows import Bucket, Preset, Window
from jangbu.errors import NotFound
from jangbu.metering import series
from jangbu.metering.series import Series
from jangbu.metering.snapshots import EVERYTHING, Filters, snapshot
from jangbu.storage import usage
from jangbu.storage.database import Database
from tests.metering.traffic import FLASH, IMAGE, KIM, LEE, PARK, PRO, PROJECT, TEXT, Shop, open_shop

NEW_YORK, SEOUL, KOLKATA, KATHMANDU, LORD_HOWE = (
    ZoneInfo(name)
    for name in ("America/New_York", "Asia/Seoul", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe")
)
ZONES = (ZoneInfo("UTC"), NEW_YORK, SEOUL, KOLKATA, KATHMANDU, LORD_HOWE)
MOVED = datetime(2026, 3, 8, 7, tzinfo=UTC)
"""When clocks in New York were put forward."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MODELS, SERVICES, USERS = (FLASH, PRO, "gemini-99"), (TEXT, IMAGE), (KIM, LEE, PARK)


@dataclass(frozen=True)
class Recorded:
    """A record as it stands in the book."""

    at: datetime
    user: str
    model: str
    service: str
    amounts: Amounts


@pytest.fixture(scope="module")
def calls() -> Sequence[tuple[datetime, str, str, str]]:
    """Give when who called what: over some weeks around the change of a clock, and densely on three days."""
    chance = random.Random(5)
    spread = [MOVED + chance.randint(-40 * 1440, 40 * 1440) * MINUTE for _ in range(400)]
    dense = [MOVED + chance.randint(-1440, 2880) * MINUTE for _ in range(300)]
    edges = [MOVED + number * 15 * MINUTE - timedelta(milliseconds=number % 2) for number in range(-100, 100)]
    return [
        (at + timedelta(seconds=chance.choice((0, 0, 17, 59))), chance.choice(USERS), chance.choice(MODELS),
         chance.choice(SERVICES))
        for at in spread + dense + edges
    ]  # fmt: skip


@pytest.fixture
async def shop(database: Database, calls: Sequence[tuple[datetime, str, str, str]]) -> AsyncIterator[Shop]:
    chance = random.Random(7)
    async with open_shop(database) as opened:
        await usage.make_partitions(database, [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 6)])
        rows = []
        for at, user, model, service in calls:
            opened.clock.set(at - timedelta(milliseconds=1))
            bounds = {"prompt": 90, "candidates": 90, "tool": 9, "thoughts": 9, "cached": 5}
            parts: dict[str, Any] = {name: chance.randint(0, most) for name, most in bounds.items()}
            rows.append(opened.row(user, model=model, service=service, **parts))
        await opened.record(rows)
        yield opened


async def recorded(shop: Shop) -> Sequence[Recorded]:
    """Give all records as they stand."""
    rows = await shop.rows(
        "SELECT jangbu.uuid7_time(u.id), a.user_id, m.name, s.name, 1::bigint, u.prompt + u.tool, u.candidates,"
        " u.thoughts, u.cached, u.total, coalesce(u.cost_nano, 0), coalesce(u.input_cost_nano, 0),"
        " coalesce(u.charge_nano, 0), (u.cost_nano IS NULL)::integer"
        " FROM jangbu.usage AS u JOIN jangbu.accounts AS a USING (account_id)"
        " JOIN jangbu.services AS s USING (service_id) JOIN jangbu.models AS m USING (model_id) WHERE a.project = $1",
        shop.project,
    )
    return [Recorded(row[0], row[1], row[2], row[3], Amounts(*row[4:])) for row in rows]


async def read(shop: Shop, window: Window, filters: Filters = EVERYTHING, by: Any = None) -> Series:
    async with snapshot(shop.database, shop.project) as look:
        return await series.of(look, window, filters, by)


def expected(records: Sequence[Recorded], edges: Sequence[datetime], filters: Filters) -> list[Amounts]:
    meant = [
        each
        for each in records
        if filters.user in (None, each.user)
        and (not filters.models or each.model in filters.models)
        and (not filters.services or each.service in filters.services)
    ]
    return [Amounts.sum(each.amounts for each in meant if start <= each.at < end) for start, end in pairwise(edges)]


FILTERS = (
    Filters(),
    Filters(user=KIM),
    Filters(models=(FLASH,)),
    Filters(user=LEE, models=(PRO, "gemini-99"), services=(IMAGE,)),
)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("filters", FILTERS, ids=range(len(FILTERS)))
async def test_each_bar_is_what_was_recorded_in_it(shop: Shop, zone: ZoneInfo, filters: Filters) -> None:
    records = await recorded(shop)
    day = MOVED.astimezone(zone).date()
    windows = [
        Window.days(day - 30 * DAY, day + 30 * DAY, zone),
        Window.days(day - 40 * DAY, day + 40 * DAY, zone, Bucket.WEEK),
        Window.days(day - 40 * DAY, day + 40 * DAY, zone, Bucket.MONTH),
        Window.days(day - 2 * DAY, day + 3 * DAY, zone),
        Window.custom(MOVED - HOUR, MOVED + 2 * HOUR, zone),
        Window.custom(MOVED - 4 * DAY + 7 * MINUTE, MOVED + 3 * DAY + 8 * HOUR + MINUTE, zone, Bucket.HOUR),
        Window.custom(MOVED - 20 * DAY + 37 * MINUTE, MOVED + 30 * DAY + 59 * MINUTE, zone),
        Window.custom(MOVED + 3 * MINUTE, MOVED + 19 * MINUTE, zone, Bucket.DAY),
    ]
    for window in windows:
        found = await read(shop, window, filters)

        assert [bar.amounts for bar in found.bars] == expected(records, window.edges(), filters)
        assert [bar.start for bar in found.bars] + [found.bars[-1].end] == list(window.edges())
        assert found.total == Amounts.sum(bar.amounts for bar in found.bars)
        assert {bar.start.tzinfo for bar in found.bars} == {zone}


@pytest.mark.parametrize("filters", FILTERS, ids=range(len(FILTERS)))
@pytest.mark.parametrize("by", ["model", "service"])
async def test_lines_are_what_was_recorded_of_each_part_and_add_up_to_the_bars(
    shop: Shop, filters: Filters, by: Any
) -> None:
    records = await recorded(shop)
    window = Window.custom(MOVED - 20 * DAY + 37 * MINUTE, MOVED + 3 * DAY, NEW_YORK)

    found = await read(shop, window, filters, by)

    for line in found.lines:
        of_part = [each for each in records if getattr(each, by) == line.name]
        assert list(line.amounts) == expected(of_part, window.edges(), filters)
        assert line.total == Amounts.sum(line.amounts)
    assert [Amounts.sum(parts) for parts in zip(*(line.amounts for line in found.lines), strict=True)] == [
        bar.amounts for bar in found.bars
    ]
    used = [line.total.total_tokens for line in found.lines]
    assert used == sorted(used, reverse=True)
    assert len(used) > 1 or filters.models or filters.services


async def test_a_window_without_calls_is_bars_of_zeros(shop: Shop) -> None:
    window = Window.preset(Preset.QUARTER, datetime(2030, 1, 1, tzinfo=UTC), SEOUL)

    found = await read(shop, window, by="model")

    assert [bar.amounts for bar in found.bars] == [NOTHING] * 90
    assert (found.lines, found.total) == ((), NOTHING)


async def test_a_user_without_an_account_is_not_found(shop: Shop) -> None:
    with pytest.raises(NotFound):
        await read(shop, Window.preset(Preset.LAST_HOUR, MOVED, SEOUL), Filters(user="nobody"))


async def test_names_that_nobody_called_match_nothing(shop: Shop) -> None:
    window = Window.days(MOVED.date() - 30 * DAY, MOVED.date(), NEW_YORK)

    assert (await read(shop, window, Filters(models=("gemini-0",)))).total == NOTHING
    assert (await read(shop, window, Filters(user=KIM, services=("singing",)))).total == NOTHING


async def test_other_projects_are_left_out(shop: Shop, database: Database) -> None:
    window = Window.custom(MOVED - DAY + 7 * MINUTE, MOVED + DAY, SEOUL)
    before = await read(shop, window)
    async with open_shop(database, "another") as other:
        other.clock.set(MOVED)
        await other.record([other.row(KIM)])

        assert (await read(shop, window)).total == before.total
        assert (await read(other, window)).total.calls == 1


async def test_what_is_read_through_one_snapshot_is_of_one_moment(shop: Shop) -> None:
    window = Window.days(MOVED.date(), MOVED.date(), SEOUL)
    async with snapshot(shop.database, PROJECT) as look:
        before = await series.of(look, window)
        shop.clock.set(MOVED)
        await shop.record([shop.row(KIM)])

        again = await series.of(look, window, by="model")

    assert (again.total, again.as_of) == (before.total, before.as_of)
    assert (await read(shop, window)).total.calls == before.total.calls + 1
