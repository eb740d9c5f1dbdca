"""The calls of a window from the latest back: each once, whoever made it, and as far as they had been recorded."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from jangbu.domain.windows import Window
from jangbu.errors import NotFound
from jangbu.metering.snapshots import EVERYTHING, Filters, snapshot
from jangbu.metering.stretches import Meant, latest, walk
from jangbu.storage.database import Database, Reader, Row
from jangbu.storage.stretches import Stretch, records
from jangbu.storage.usage import UsageRecord
from tests.metering.charted import DAY, HOUR, KATHMANDU, KOLKATA, MINUTE, MOVED, SEOUL, Recorded, recorded
from tests.metering.traffic import FLASH, IMAGE, KIM, LEE, PARK, PRO, TEXT, Shop, open_shop

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


SELDOM = "gemini-seldom"
"""Of one in a hundred calls."""
SELDOM_CALLS = [(KIM, 0), (KIM, 1), (KIM, 15), (LEE, 16), (KIM, 31), (LEE, 800), (KIM, 1_500), (KIM, 1_501)]
"""By whom, and how many minutes after clocks were put forward."""


async def test_calls_of_a_seldom_kind_are_met_once_and_looked_for_where_there_are_such_alone(shop: Shop) -> None:
    await shop.models.learn([SELDOM])
    for user, after in SELDOM_CALLS:
        shop.clock.set(MOVED + after * MINUTE)
        await shop.record([shop.row(user, model=SELDOM, service=TEXT)])
    everything, window = await recorded(shop), Window.custom(MOVED - DAY, MOVED + 2 * DAY, SEOUL)
    for who, size in itertools.product((None, KIM, LEE), (1, 3, 1_000)):
        seldom = Filters(who, models=(SELDOM,), services=(TEXT,))
        met_once(everything, window, seldom, await walked(shop, window, seldom, size))
    assert await spans(shop, window, Filters(models=(SELDOM,))) == [
        (KIM, 0, 45), (KIM, 1_500, 1_515), (LEE, 15, 30), (LEE, 795, 810)
    ]  # fmt: skip
    assert await spans(shop, window, Filters(models=(FLASH, PRO))) == [
        (user, -1_440, 2_820) for user in sorted((KIM, LEE, PARK))
    ]


async def spans(shop: Shop, window: Window, filters: Filters) -> list[tuple[str, int, int]]:
    """Give where calls are looked for in the only stretch: of whom, from which to which minute after clocks were put
    forward.
    """
    meant = Meant(shop.database, shop.project, window, filters, datetime.now(UTC))
    async with aclosing(walk(meant, keep, 1_000)) as found:
        [stretch] = [each async for each in found]
    users = {shop.accounts.id_of(user): user for user in (KIM, LEE, PARK)}
    return sorted((users[span.account], minutes(span.first), minutes(span.after)) for span in stretch.spans)


async def keep(_: Reader, stretch: Stretch) -> Stretch:
    return stretch


def minutes(edge: UUID) -> int:
    return (datetime.fromtimestamp((edge.int >> 80) / 1_000, UTC) - MOVED) // MINUTE


async def test_a_stretch_is_about_as_many_calls_as_are_asked_for(shop: Shop) -> None:
    found = await walked(shop, WINDOWS[0], EVERYTHING, 50)
    calls = sum(map(len, found))
    assert max(map(len, found)) <= 50
    assert len(found) <= 2 * calls // 50 + 1


async def test_the_latest_calls_are_found_also_early_in_a_quarter_of_an_hour_with_many(shop: Shop) -> None:
    under_way = datetime.now(UTC).timestamp() % (15 * 60)
    if under_way < 10:
        await asyncio.sleep(10 - under_way)
    shop.clock.set(datetime.now(UTC))
    await shop.record([shop.row(KIM) for _ in range(40)])
    today = datetime.now(SEOUL).date()
    async with snapshot(shop.database, shop.project) as look:
        found = await latest(look, Window.days(today - DAY, today + DAY, SEOUL), EVERYTHING, counted, 10)
    assert sum(map(len, found)) == 40


async def test_the_latest_calls_are_found_also_where_all_came_early_in_a_quarter_of_an_hour(shop: Shop) -> None:
    shop.clock.set(MOVED + 200 * DAY + MINUTE // 2)
    await shop.record([shop.row(KIM) for _ in range(40)])
    window = Window.custom(MOVED + 200 * DAY, MOVED + 201 * DAY, SEOUL)
    async with snapshot(shop.database, shop.project) as look:
        assert sum(map(len, await latest(look, window, EVERYTHING, counted, 10))) == 40
        assert await latest(look, window, Filters(LEE), counted, 10) == []


async def test_no_further_stretch_is_asked_than_those_that_have_about_so_many_calls(shop: Shop) -> None:
    shop.clock.set(MOVED + 200 * DAY)
    for _ in range(29):
        shop.clock.advance(MINUTE // 2)
        await shop.record([shop.row(KIM)])
    window = Window.custom(MOVED, MOVED + 201 * DAY, SEOUL)
    async with snapshot(shop.database, shop.project) as look:
        assert [len(found) for found in await latest(look, window, EVERYTHING, counted, 10)] in ([9], [10])
        assert sum(map(len, await latest(look, window, EVERYTHING, counted, 29))) == 29


async def test_who_called_in_a_quarter_of_an_hour_is_asked_once_for_all_parts_of_it(shop: Shop) -> None:
    shop.clock.set(MOVED + 200 * DAY + MINUTE // 2)
    await shop.record([shop.row(user) for user in (KIM, LEE) for _ in range(20)])
    window = Window.custom(MOVED + 200 * DAY, MOVED + 201 * DAY, SEOUL)
    async with snapshot(shop.database, shop.project) as look:
        listening = Listening(look.reader)
        found = await latest(replace(look, reader=listening), window, EVERYTHING, counted, 10)
    assert [len(each) for each in found] == [0, 0, 0, 40]
    assert listening.asked.count("stretch_accounts") == 1


class Listening:
    """A reader that remembers which statements were asked for."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.asked = reader, list[str]()

    async def rows(self, name: str, *arguments: Any) -> Sequence[Row]:
        self.asked.append(name)
        return await self.reader.rows(name, *arguments)

    async def row(self, name: str, *arguments: Any) -> Row | None:
        self.asked.append(name)
        return await self.reader.row(name, *arguments)

    async def value(self, name: str, *arguments: Any) -> Any:
        self.asked.append(name)
        return await self.reader.value(name, *arguments)


async def counted(reader: Reader, stretch: Stretch) -> tuple[int, Sequence[UsageRecord]]:
    found = await records(reader, stretch)
    return len(found), found


async def test_calls_that_come_in_meanwhile_and_those_of_other_projects_are_no_part_of_it(shop: Shop) -> None:
    window = Window.custom(MOVED - DAY, MOVED + DAY, SEOUL)
    before = sum(map(len, await walked(shop, window, EVERYTHING, 100)))
    as_of = await shop.database.now()
    shop.clock.set(MOVED + timedelta(minutes=5))
    await shop.record([shop.row(KIM), shop.row(LEE)])

    assert sum(map(len, await walked(shop, window, EVERYTHING, 100, as_of))) == before
    assert sum(map(len, await walked(shop, window, EVERYTHING, 100))) == before + 2
    assert await walked(replace(shop, project="another"), window, EVERYTHING, 100) == []


@pytest.mark.parametrize("project", ["another", "the last"])
async def test_calls_that_another_project_made_at_the_same_time_are_its_own(shop: Shop, project: str) -> None:
    window = Window.custom(MOVED - DAY, MOVED + DAY, SEOUL)
    before = sum(map(len, await walked(shop, window, EVERYTHING, 100)))
    async with open_shop(shop.database, project) as other:
        other.clock.set(MOVED + timedelta(minutes=5))
        await other.record([other.row(KIM), other.row(PARK)])

        assert sum(map(len, await walked(shop, window, EVERYTHING, 100))) == before
        assert [len(stretch) for stretch in await walked(other, window, EVERYTHING, 100)] == [2]


async def test_who_has_no_account_is_not_found(shop: Shop) -> None:
    with pytest.raises(NotFound):
        await walked(shop, WINDOWS[0], Filters("nobody"), 10)
