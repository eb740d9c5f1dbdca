"""Series: buckets that are, call by call, what was recorded in them, in any zone, and totals that are their sums."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jangbu.domain.amounts import NOTHING, Amounts
from jangbu.domain.windows import Bucket, Preset, Window
from jangbu.errors import NotFound
from jangbu.metering import series
from jangbu.metering.series import Series
from jangbu.metering.snapshots import EVERYTHING, Filters, snapshot
from jangbu.storage.database import Database
from tests.metering.charted import DAY, HOUR, MINUTE, MOVED, NEW_YORK, SEOUL, ZONES, expected, recorded
from tests.metering.traffic import FLASH, IMAGE, KIM, LEE, PRO, PROJECT, Shop, open_shop


@pytest.fixture
def template(charted: str) -> str:
    return charted


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def read(shop: Shop, window: Window, filters: Filters = EVERYTHING, by: Any = None) -> Series:
    async with snapshot(shop.database, shop.project) as look:
        return await series.of(look, window, filters, by)


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
