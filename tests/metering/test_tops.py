"""The users who used most, and what was used by service and model: what the records say, whatever the window."""

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from jangbu.domain.amounts import NOTHING, Amounts
from jangbu.domain.windows import Window
from jangbu.errors import InvalidInput, NotFound
from jangbu.metering import tops
from jangbu.metering.rollups import Rollups
from jangbu.metering.snapshots import Filters, snapshot
from jangbu.metering.tops import By
from jangbu.storage.database import Database
from tests.metering.charted import DAY, HOUR, KOLKATA, MINUTE, MOVED, NEW_YORK, SEOUL, Recorded, expected, recorded
from tests.metering.traffic import FLASH, IMAGE, KIM, LEE, PRO, TEXT, Shop, open_shop

ALL = Window.days(MOVED.date() - 40 * DAY, MOVED.date() + 40 * DAY, SEOUL)
WINDOWS = (
    ALL,
    Window.days(MOVED.date() - 29 * DAY, MOVED.date(), NEW_YORK),
    Window.days(MOVED.date(), MOVED.date(), KOLKATA),
    Window.custom(MOVED - 7 * DAY + 7 * MINUTE, MOVED + HOUR + MINUTE, KOLKATA),
    Window.custom(MOVED - HOUR + MINUTE, MOVED + MINUTE, KOLKATA),
    Window.custom(MOVED, MOVED + 3 * HOUR, SEOUL),
    Window.custom(MOVED + 3 * MINUTE, MOVED + 4 * MINUTE, SEOUL),
)
FILTERS = (Filters(), Filters(user=KIM), Filters(models=(FLASH,), services=(IMAGE,)))
SIZES = {"tokens": "total_tokens", "cost": "cost_nano", "calls": "calls"}


@pytest.fixture
def template(charted: str) -> str:
    return charted


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def top(shop: Shop, window: Window, by: By = "tokens", limit: int = 10) -> list[tuple[str, Amounts]]:
    async with snapshot(shop.database, shop.project) as look:
        return [(each.user, each.amounts) for each in await tops.users(look, window, by, limit)]


def first(records: Sequence[Recorded], window: Window, by: str, limit: int) -> list[tuple[str, Amounts]]:
    sums: dict[str, Amounts] = defaultdict(lambda: NOTHING)
    for each in records:
        if window.start <= each.at < window.end:
            sums[each.user] += each.amounts
    used = [(user, amounts) for user, amounts in sums.items() if getattr(amounts, SIZES[by]) > 0]
    return sorted(used, key=lambda each: (-getattr(each[1], SIZES[by]), each[0]))[:limit]


@pytest.mark.parametrize("window", WINDOWS, ids=range(len(WINDOWS)))
@pytest.mark.parametrize("by", get_args(By))
async def test_the_first_users_are_those_whose_records_sum_to_most(shop: Shop, window: Window, by: By) -> None:
    records = await recorded(shop)
    for limit in (1, 2, 10):
        assert await top(shop, window, by, limit) == first(records, window, by, limit)


PARTS = (
    Filters(models=(FLASH,)),
    Filters(services=(IMAGE,)),
    Filters(models=(PRO,), services=(TEXT,)),
    Filters(models=(FLASH, PRO), services=(TEXT, IMAGE)),
    Filters(models=("gemini-99",)),
    Filters(models=("gemini-none",)),
)


async def top_of_part(
    shop: Shop, window: Window, filters: Filters, by: By = "tokens", limit: int = 10
) -> list[tuple[str, Amounts]]:
    async with snapshot(shop.database, shop.project) as look:
        found = await tops.users_of_part(look, window, filters, by, limit)
    assert found is not None, "there was time"
    return [(each.user, each.amounts) for each in found]


def first_of_part(
    records: Sequence[Recorded], filters: Filters, window: Window, by: str, limit: int
) -> list[tuple[str, Amounts]]:
    sums: dict[str, Amounts] = defaultdict(lambda: NOTHING)
    for each in of_part(records, filters):
        if window.start <= each.at < window.end:
            sums[each.user] += each.amounts
    order = {user: (-getattr(sums[user], SIZES[by]), -sums[user].total_tokens, user) for user in sums}
    return [(user, sums[user]) for user in sorted(sums, key=lambda user: order[user])[:limit]]


def of_part(records: Sequence[Recorded], filters: Filters) -> list[Recorded]:
    return [
        each
        for each in records
        if (not filters.models or each.model in filters.models)
        and (not filters.services or each.service in filters.services)
    ]


@pytest.mark.parametrize(
    "window",
    [*WINDOWS, Window.custom(MOVED - 4 * HOUR - 8 * MINUTE, MOVED + 2 * HOUR + 20 * MINUTE, NEW_YORK)],
    ids=range(len(WINDOWS) + 1),
)
@pytest.mark.parametrize("filters", PARTS, ids=str)
async def test_the_first_users_of_a_part_are_those_whose_records_of_it_sum_to_most(
    shop: Shop, window: Window, filters: Filters
) -> None:
    records = await recorded(shop)
    for by in get_args(By):
        for limit in (1, 2, 10):
            found = await top_of_part(shop, window, filters, by, limit)
            assert found == first_of_part(records, filters, window, by, limit)


async def test_users_who_used_as_much_of_a_part_stand_in_the_order_of_their_names(shop: Shop) -> None:
    users = ["나", "b", "가", "B", "a-1", "a"]
    later = MOVED + 60 * DAY
    shop.clock.set(later)
    for user in users:
        await shop.accounts.create(user)
    await shop.record([shop.row(user, prompt=5, model=FLASH) for user in users])

    found = await top_of_part(shop, Window.custom(later - DAY, later + DAY, SEOUL), PARTS[0], limit=5)

    assert [user for user, _ in found] == sorted(users)[:5]


async def test_the_users_of_another_project_are_no_users_of_a_part(shop: Shop, database: Database) -> None:
    before = [await top_of_part(shop, window, PARTS[0]) for window in WINDOWS]
    async with open_shop(database, "another") as other:
        for _ in range(2):
            other.clock.set(MOVED + HOUR)
            await other.record([other.row(KIM, prompt=10**9, model=FLASH, service=IMAGE)])
            await Rollups(database).carry_before(MOVED + DAY, MOVED + DAY)

        assert [await top_of_part(shop, window, PARTS[0]) for window in WINDOWS] == before
        assert [user for user, _ in await top_of_part(other, ALL, PARTS[0])] == [KIM]


async def test_where_there_is_no_time_to_find_them_no_user_of_a_part_is_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement is ended on the server, too, and its connection goes on to serve."""
    monkeypatch.setattr(tops, "PART_SECONDS", 1)
    async with shop.database.connection() as other, other.transaction():
        await other.execute("LOCK TABLE jangbu.usage_six_hours IN ACCESS EXCLUSIVE MODE")
        async with snapshot(shop.database, shop.project) as look:
            assert await tops.users_of_part(look, ALL, PARTS[0]) is None
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        assert await other.fetchval(waiting) == 0
    assert len(await top_of_part(shop, ALL, PARTS[0])) == 3


@pytest.mark.parametrize(("filters", "limit"), [(PARTS[0], 0), (PARTS[0], 101), (Filters(KIM, (FLASH,)), 10)])
async def test_so_many_or_one_alone_are_no_users_of_a_part(shop: Shop, filters: Filters, limit: int) -> None:
    with pytest.raises(InvalidInput):
        await top_of_part(shop, ALL, filters, limit=limit)


@pytest.mark.parametrize("seed", range(6))
async def test_of_many_users_the_first_are_found_however_alike_they_are(shop: Shop, seed: int) -> None:
    """Some crowds are alike and some are not; a third of what they used is recent, and nobody else's is."""
    chance = random.Random(seed)
    users = [f"user-{number}" for number in range(60)]
    for user in users:
        await shop.accounts.create(user)
    steepness = chance.choice((0.0, 0.5, 1.0, 2.0))
    rows = []
    for _ in range(900):
        shop.clock.set(MOVED + chance.randint(-5 * 1440, 2 * 1440) * MINUTE)
        [user] = chance.choices(users, [1 / (rank + 1) ** steepness for rank in range(len(users))])
        rows.append(shop.row(user, prompt=int(chance.paretovariate(1)), model=chance.choice((FLASH, PRO))))
    await shop.record(rows[:600])
    carried = MOVED + chance.randint(-2, 2) * DAY
    await Rollups(shop.database).carry_before(carried, carried)
    await shop.record(rows[600:])
    records = await recorded(shop)

    for window in (
        Window.days(MOVED.date() - 4 * DAY, MOVED.date() + DAY, SEOUL),
        Window.custom(MOVED - 3 * DAY, MOVED - 2 * DAY + 17 * MINUTE, SEOUL),
        Window.custom(MOVED - 2 * HOUR - 7 * MINUTE, MOVED, SEOUL),
        Window.custom(MOVED + HOUR, MOVED + 5 * HOUR, SEOUL),
    ):
        for by in get_args(By):
            for limit in (3, 10):
                assert await top(shop, window, by, limit) == first(records, window, by, limit)
            assert await top_of_part(shop, window, PARTS[0], by) == first_of_part(records, PARTS[0], window, by, 10)


@pytest.mark.parametrize("length", [HOUR, 30 * DAY])
async def test_nobody_is_first_where_nothing_was_used(shop: Shop, length: timedelta) -> None:
    later = datetime(2030, 1, 1, tzinfo=UTC)

    assert await top(shop, Window.custom(later, later + length, SEOUL)) == []


@pytest.mark.parametrize("project", ["another", "the last"])
async def test_the_users_of_another_project_are_left_out(shop: Shop, database: Database, project: str) -> None:
    before = [await top(shop, window, limit=limit) for window in WINDOWS for limit in (1, 10)]
    async with open_shop(database, project) as other:
        other.clock.set(MOVED + HOUR)
        await other.record([other.row(KIM, prompt=10**9)])
        await Rollups(database).carry_before(MOVED + DAY, MOVED + DAY)
        other.clock.set(MOVED + HOUR)
        await other.record([other.row(LEE, prompt=10**9)])

        assert [await top(shop, window, limit=limit) for window in WINDOWS for limit in (1, 10)] == before
        assert [user for user, _ in await top(other, ALL)] == [KIM, LEE]


@pytest.mark.parametrize("limit", [0, 101])
async def test_so_many_users_are_no_list(shop: Shop, limit: int) -> None:
    with pytest.raises(InvalidInput):
        await top(shop, ALL, limit=limit)


@pytest.mark.parametrize("window", WINDOWS, ids=range(len(WINDOWS)))
@pytest.mark.parametrize(
    "filters", [Filters(), Filters(user=KIM), Filters(models=(FLASH,), services=(IMAGE,))], ids=str
)
async def test_a_breakdown_is_what_was_recorded_of_each_service_and_model(
    shop: Shop, window: Window, filters: Filters
) -> None:
    records = await recorded(shop)
    edges = (window.start, window.end)

    async with snapshot(shop.database, shop.project) as look:
        found = await tops.breakdown(look, window, filters)

    for cell in found.cells:
        of_cell = [each for each in records if (each.service, each.model) == (cell.service, cell.model)]
        assert [cell.amounts] == expected(of_cell, edges, filters)
    for parts, name in ((found.models, "model"), (found.services, "service")):
        for part in parts:
            assert [part.amounts] == expected(
                [each for each in records if getattr(each, name) == part.name], edges, filters
            )
        assert Amounts.sum(part.amounts for part in parts) == found.total
    assert [found.total] == expected(records, edges, filters)
    assert len({(cell.service, cell.model) for cell in found.cells}) == len(found.cells)


async def test_an_average_is_over_the_calls(shop: Shop) -> None:
    async with snapshot(shop.database, shop.project) as look:
        [flash] = [part for part in (await tops.breakdown(look, ALL)).models if part.name == FLASH]

    assert flash.average_tokens == round(flash.amounts.total_tokens / flash.amounts.calls)


@pytest.mark.parametrize("user", [KIM, None])
async def test_spreads_of_few_calls_are_those_of_the_records(shop: Shop, user: str | None) -> None:
    records = [each for each in await recorded(shop) if user in (each.user, None) and ALL.start <= each.at < ALL.end]

    async with snapshot(shop.database, shop.project) as look:
        found = await tops.spreads(look, ALL, Filters(user))

    sizes: dict[tuple[str | None, str | None], list[int]] = defaultdict(list)
    for each in records:
        for pair in ((each.service, each.model), (each.service, None), (None, each.model)):
            sizes[pair].append(each.amounts.total_tokens)
    told = [*found.cells.values(), *found.services.values(), *found.models.values()]
    assert {(each.service, each.model): (each.calls, each.p50, each.p95) for each in told} == {
        pair: (len(ordered), ordered[-(-len(ordered) // 2) - 1], ordered[-(-len(ordered) * 95 // 100) - 1])
        for pair, ordered in ((pair, sorted(of_pair)) for pair, of_pair in sizes.items())
    }
    assert all(found.cells[pair].model == pair[1] for pair in found.cells)
    assert not found.is_sample


async def test_of_many_calls_of_a_user_the_latest_are_looked_at(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tops, "SPREAD_CALLS_MAX", 7)
    calls = sorted((each.at, each.model) for each in await recorded(shop) if each.user == KIM and each.at < ALL.end)

    async with snapshot(shop.database, shop.project) as look:
        found = await tops.spreads(look, ALL, Filters(KIM))

    assert found.is_sample
    assert {name: spread.calls for name, spread in found.models.items()} == Counter(model for _, model in calls[-7:])


async def test_of_many_calls_of_everybody_a_sample_is_looked_at_that_stays_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What there are few of in it is not told, because that would say nothing."""
    monkeypatch.setattr(tops, "_SAMPLE_CALLS", 300)
    monkeypatch.setattr(tops, "_SAMPLE_LEAST", 20)
    whole = len([each for each in await recorded(shop) if ALL.start <= each.at < ALL.end])

    async with snapshot(shop.database, shop.project) as look:
        found = await tops.spreads(look, ALL)
        assert await tops.spreads(look, ALL) == found

    assert found.is_sample
    assert sum(spread.calls for spread in found.cells.values()) < whole
    assert all(spread.calls >= 20 for spread in found.cells.values())


async def test_nothing_has_no_spread(shop: Shop) -> None:
    later = datetime(2030, 1, 1, tzinfo=UTC)
    async with snapshot(shop.database, shop.project) as look:
        found = await tops.spreads(look, Window.custom(later, later + HOUR, SEOUL))

    assert (found.cells, found.models, found.is_sample) == ({}, {}, False)


async def test_a_user_without_an_account_is_not_found(shop: Shop) -> None:
    async with snapshot(shop.database, shop.project) as look:
        with pytest.raises(NotFound):
            await tops.breakdown(look, ALL, Filters(user="nobody"))
        with pytest.raises(NotFound):
            await tops.spreads(look, ALL, Filters(user="nobody"))
