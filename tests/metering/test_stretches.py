"""The calls of a window from the latest back: each once, whoever made it, and as far as they had been recorded."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jangbu.domain.windows import Window
from jangbu.errors import NotFound
from jangbu.metering.snapshots import EVERYTHING, Filters
from jangbu.metering.stretches import Meant, walk
from jangbu.storage.database import Database
from jangbu.storage.stretches import records
from jangbu.storage.usage import UsageRecord
from tests.metering.charted import DAY, HOUR, KATHMANDU, KOLKATA, MINUTE, MOVED, SEOUL, Recorded, recorded
from tests.metering.traffic import FLASH, IMAGE, KIM, LEE, PRO, TEXT, Shop, open_shop

WINDOWS = (
    Window.days(MOVED.date() - 40 * DAY, MOVED.date() + 40 * DAY, SEOUL),
    Window.custom(MOVED - 7 * DAY + 7 * MINUTE, MOVED + HOUR + MINUTE, KATHMANDU),
    Window.custom(MOVED + 3 * MINUTE, MOVED + 34 * MINUTE, KOLKATA),
    Window.days(MOVED.date().replace(year=2001), MOVED.date().replace(year=2002), SEOUL),
)
FILTERS = (
    EVERYTHING,
    Filters(LEE),
    Filters(models=(PRO, "gemini-99")),
    Filters(KIM, services=(IMAGE,)),
    Filters(models=(FLASH,), services=(TEXT,)),
    Filters(models=("gemini-unheard-of",)),
)


@pytest.fixture
def template(charted: str) -> str:
    return charted


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def walked(
    shop: Shop, window: Window, filters: Filters, size: int, as_of: datetime | None = None
) -> list[Sequence[UsageRecord]]:
    meant = Meant(shop.database, shop.project, window, filters, as_of or datetime.now(UTC) + DAY)
    async with aclosing(walk(meant, records, size)) as found:
        return [stretch async for stretch in found]


@pytest.mark.parametrize("window", WINDOWS, ids=range(len(WINDOWS)))
async def test_every_call_that_is_meant_is_met_once_and_no_stretch_is_older_than_the_one_after_it(
    shop: Shop, window: Window
) -> None:
    everything = await recorded(shop)
    for filters, size in itertools.product(FILTERS, (1, 7, 1_000)):
        met_once(everything, window, filters, await walked(shop, window, filters, size))


def met_once(
    everything: Sequence[Recorded], window: Window, filters: Filters, found: list[Sequence[UsageRecord]]
) -> None:
    meant = [
        (each.at, each.user, each.service, each.model, each.amounts.total_tokens)
        for each in everything
        if window.start <= each.at < window.end
        and filters.user in (None, each.user)
        and (not filters.models or each.model in filters.models)
        and (not filters.services or each.service in filters.services)
    ]
    calls = [each for stretch in found for each in stretch]
    assert len({each.id for each in calls}) == len(calls)
    assert sorted((each.created_at, each.user, each.service, each.model, each.total) for each in calls) == sorted(meant)
    times = [sorted(each.created_at for each in stretch) for stretch in found if stretch]
    assert all(later[0] > earlier[-1] for later, earlier in itertools.pairwise(times))


async def test_a_stretch_is_about_as_many_calls_as_are_asked_for(shop: Shop) -> None:
    found = await walked(shop, WINDOWS[0], EVERYTHING, 50)
    calls = sum(map(len, found))
    assert max(map(len, found)) <= 50
    assert len(found) <= 2 * calls // 50 + 1


async def test_calls_that_come_in_meanwhile_and_those_of_other_projects_are_no_part_of_it(shop: Shop) -> None:
    window = Window.custom(MOVED - DAY, MOVED + DAY, SEOUL)
    before = sum(map(len, await walked(shop, window, EVERYTHING, 100)))
    as_of = await shop.database.now()
    shop.clock.set(MOVED + timedelta(minutes=5))
    await shop.record([shop.row(KIM), shop.row(LEE)])

    assert sum(map(len, await walked(shop, window, EVERYTHING, 100, as_of))) == before
    assert sum(map(len, await walked(shop, window, EVERYTHING, 100))) == before + 2
    assert await walked(replace(shop, project="another"), window, EVERYTHING, 100) == []


async def test_who_has_no_account_is_not_found(shop: Shop) -> None:
    with pytest.raises(NotFound):
        await walked(shop, WINDOWS[0], Filters("nobody"), 10)
