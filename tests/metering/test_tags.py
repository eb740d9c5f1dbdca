"""What was used by the values of a tag: of each call once, whatever its metadata is, and told where not of all."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from itertools import pairwise
from typing import Any

import pytest

from jangbu.domain.amounts import Amounts
from jangbu.domain.windows import Bucket, Window
from jangbu.errors import InvalidInput
from jangbu.metering import exports, tags
from jangbu.metering.snapshots import EVERYTHING, Filters, snapshot
from jangbu.metering.stretches import Meant
from jangbu.metering.tags import BY_KEY, by_tag, by_tag_whole, keys_by_id, tag_names, tagged
from jangbu.storage.database import Database
from jangbu.storage.usage import UsageRow, first_id, moment_of
from tests.metering.charted import DAY, HOUR, MOVED, SEOUL
from tests.metering.traffic import FLASH, IMAGE, KIM, LEE, PRO, TEXT, Shop, open_shop

KEY, GONE = (f"0192f3a0-0000-7000-8000-00000000000{number}" for number in (1, 2))
METADATA: Sequence[Any] = (
    {"tags": {"feature": "chat", "page": "1"}},
    {"tags": {"feature": "chat"}, "feature": "no tag"},
    {"tags": {"feature": "장부", "page": 2}, "jangbu_key": KEY},
    {"tags": {"feature": ""}},
    {"tags": {"feature": None}},
    {"tags": {"feature": ["a", "b"]}},
    {"tags": ["feature"]},
    {"tags": "feature"},
    {"feature": "chat", "tags": {"jangbu_key": GONE}, "jangbu_key": KEY},
    {"jangbu_key": GONE},
)
KEYS = (None, None, KEY, None, None, None, None, None, KEY, GONE)
VALUES = ("chat", "chat", "장부", "", None, '["a", "b"]', None, None, None, None)


@pytest.fixture
def template(charted: str) -> str:
    """Begin with calls without any metadata."""
    return charted


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def recorded(shop: Shop) -> list[tuple[str | None, UsageRow]]:
    """Record calls with metadata of all kinds in two hours after all others; give each with its value of the tag."""
    found = []
    shop.clock.set(MOVED + 60 * DAY)
    for number in range(60):
        shop.clock.advance(timedelta(minutes=2))
        place = number % len(METADATA)
        row = shop.row(
            (KIM, LEE)[number % 2], service=(TEXT, IMAGE)[number % 3 == 0], model=(FLASH, PRO, "gemini-99")[number % 3],
            prompt=number, cached=number % 3, thoughts=number % 5,
        )  # fmt: skip
        text = None if METADATA[place] is None else json.dumps(METADATA[place])
        found.append((VALUES[place], row._replace(metadata=text)))
    await shop.record([row for _, row in found])
    return found


def meant(shop: Shop, filters: Filters = EVERYTHING) -> Meant:
    window = Window.custom(MOVED + 60 * DAY, MOVED + 60 * DAY + 3 * HOUR, SEOUL)
    return Meant(shop.database, shop.project, window, filters, window.end.astimezone(UTC) + 3650 * DAY)


def amounts(row: UsageRow) -> Amounts:
    return Amounts(
        1, row.prompt + row.tool, row.candidates, row.thoughts, row.cached, row.total, row.cost_nano or 0,
        row.input_cost_nano or 0, row.charge_nano or 0, int(row.cost_nano is None),
    )  # fmt: skip


async def test_every_call_counts_for_one_value_whatever_its_metadata_is(shop: Shop) -> None:
    calls = await recorded(shop)
    for filters, kept in (
        (EVERYTHING, calls),
        (Filters(LEE), calls[1::2]),
        (Filters(models=(PRO,)), calls[1::3]),
        (Filters(services=("nothing",)), []),
    ):
        found = await by_tag(meant(shop, filters), "feature")
        assert dict(found.lines) == {
            value: Amounts.sum(amounts(row) for each, row in kept if each == value) for value, _ in kept
        }
        assert (found.total, found.is_whole) == (Amounts.sum(amounts(row) for _, row in kept), True)
        for value, sums in found.lines:
            assert Amounts.sum(found.in_buckets(value)) == sums
        costs = [sums.cost_nano for _, sums in found.lines]
        assert costs == sorted(costs, reverse=True)
    numbers = await by_tag(meant(shop), "page")
    assert {value: sums.calls for value, sums in numbers.lines} == {"1": 6, "2": 6, None: 48}
    unheard = await by_tag(meant(shop), "'; DROP")
    assert [(value, sums.calls) for value, sums in unheard.lines] == [(None, 60)]


async def test_what_was_used_is_told_apart_by_buckets_which_begin_with_their_edge(shop: Shop) -> None:
    whole = meant(shop)
    edges = whole.window.edges()
    assert len(edges) > 3
    at_edge = [
        (None, shop.row(KIM)._replace(id=first_id(at))) for at in (edges[2], edges[2] - timedelta(milliseconds=1))
    ]
    calls = [*await recorded(shop), *at_edge]
    await shop.record([row for _, row in at_edge])
    found = await by_tag(whole, "feature")
    for value in (*VALUES, None):
        assert found.in_buckets(value) == tuple(
            Amounts.sum(amounts(row) for each, row in calls if each == value and start <= moment_of(row.id) < end)
            for start, end in pairwise(edges)
        )
    assert found.in_buckets(*found.cuts) == tuple(
        map(Amounts.sum, zip(*map(found.in_buckets, found.cuts), strict=True))
    )


async def test_the_latest_calls_of_a_value_lead_back_to_it(shop: Shop) -> None:
    calls = [row for value, row in await recorded(shop) if value == "chat"]
    found = await tagged(meant(shop), "feature", "chat", limit=7)
    assert [each.id for each in found.calls] == [row.id for row in reversed(calls)][:7]
    assert [(each.total_tokens, each.cost_nano) for each in found.calls] == [
        (row.total, row.cost_nano) for row in reversed(calls)
    ][:7]
    mine = await tagged(meant(shop, Filters(KIM)), "feature", "chat", limit=100)
    assert {each.user for each in mine.calls} == {KIM}
    assert (await tagged(meant(shop), "feature", "nobody", limit=7)).calls == ()


async def test_every_call_counts_for_the_key_that_it_came_by_whatever_tags_are_named(shop: Shop) -> None:
    calls = [(KEYS[number % len(KEYS)], row) for number, (_, row) in enumerate(await recorded(shop))]
    found = await by_tag(meant(shop), BY_KEY)
    assert dict(found.lines) == {
        key: Amounts.sum(amounts(row) for each, row in calls if each == key) for key in (KEY, GONE, None)
    }
    listed = await tagged(meant(shop), BY_KEY, KEY, limit=5)
    assert [each.id for each in listed.calls] == [row.id for key, row in reversed(calls) if key == KEY][:5]
    alike = await by_tag(meant(shop), "jangbu_key")
    assert {value: sums.calls for value, sums in alike.lines} == {GONE: 6, None: 54}
    whole = await by_tag_whole(meant(shop), BY_KEY)
    assert whole.lines == found.lines
    assert await keys_by_id(shop.database, shop.project, (KEY, "no id", None)) == {}


async def test_names_to_choose_from_are_those_of_the_latest_calls(shop: Shop) -> None:
    everything = Window.days(MOVED.date() - 40 * DAY, MOVED.date() + 70 * DAY, SEOUL)

    async def names(window: Window, user: str | None = None) -> Sequence[str]:
        async with snapshot(shop.database, shop.project) as look:
            return await tag_names(look, window, user)

    assert await names(everything) == [], "there are calls, and none of them bears a tag"
    assert await names(meant(shop).window) == []
    await recorded(shop)
    assert await names(everything) == ["feature", "jangbu_key", "page"]
    assert await names(everything, LEE) == ["feature"]


async def test_names_are_those_of_about_so_many_calls_also_where_the_latest_of_them_bear_none(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "_SIZE_OF_NAMES", 10)
    window = Window.custom(MOVED + 60 * DAY, MOVED + 62 * DAY, SEOUL)
    for quarter, (calls, metadata) in enumerate(
        ((10, '{"tags": {"old": 1}}'), (7, '{"tags": {"team": 1}}'), (2, '{"tags": {"new": 1}}'), (1, None))
    ):
        shop.clock.set(MOVED + 60 * DAY + quarter * HOUR)
        await shop.record([shop.row(KIM)._replace(metadata=metadata) for _ in range(calls)])
    async with snapshot(shop.database, shop.project) as look:
        assert await tag_names(look, window) == ["new", "team"]


@pytest.mark.parametrize(("early", "late"), [(15, 1), (100, 0), (50, 0)])
async def test_names_are_found_where_most_calls_of_a_quarter_of_an_hour_came_early_in_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, early: int, late: int
) -> None:
    monkeypatch.setattr(tags, "_SIZE_OF_NAMES", 10)
    window = Window.custom(MOVED + 60 * DAY, MOVED + 61 * DAY, SEOUL)
    shop.clock.set(MOVED + 60 * DAY)
    await shop.record([shop.row(KIM)._replace(metadata='{"tags": {"team": 1, "of": 2}}') for _ in range(early)])
    shop.clock.set(MOVED + 60 * DAY + timedelta(minutes=14))
    await shop.record([shop.row(LEE) for _ in range(late)])
    async with snapshot(shop.database, shop.project) as look:
        assert await tag_names(look, window) == ["of", "team"]


async def test_what_is_not_of_all_calls_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await recorded(shop)
    none = await by_tag(meant(shop), "feature", seconds=0)
    assert (none.total.calls, none.is_whole, none.has_too_many) == (0, False, False)
    monkeypatch.setattr(tags, "SIZE", 5)
    some = await by_tag(meant(shop), "feature", values_max=2)
    assert (some.is_whole, some.has_too_many) == (False, True)
    assert 0 < some.total.calls < 60
    assert not (await tagged(meant(shop), "feature", "chat", limit=9, seconds=0)).is_whole
    monkeypatch.setattr(tags, "_VALUES_MAX_WHOLE", 2)
    with pytest.raises(InvalidInput, match="more than 2 values"):
        await by_tag_whole(meant(shop), "feature")


async def test_a_file_has_every_value_of_every_bucket_and_tells_an_empty_one_from_none(shop: Shop) -> None:
    calls = await recorded(shop)
    table = await exports.tags(replace(meant(shop), window=replace(meant(shop).window, bucket=Bucket.HOUR)), "feature")
    names = [column.name for column in table.columns]
    lines = [dict(zip(names, row, strict=True)) for page in [page async for page in table.pages] for row in page]
    hours = [moment_of(row.id).replace(minute=0, second=0, microsecond=0) for _, row in calls]
    assert {(line["start"], line["value"], line["has_tag"]): line["calls"] for line in lines} == Counter(
        (hour, value, int(value is not None)) for hour, (value, _) in zip(hours, calls, strict=True)
    )
    assert [line["start"] for line in lines] == sorted(line["start"] for line in lines)
