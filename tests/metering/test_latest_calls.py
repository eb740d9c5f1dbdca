"""Everybody's calls page by page: each once, newest first, wherever a page ends, and none that was not recorded yet."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from jangbu.domain.windows import Window
from jangbu.errors import NotFound
from jangbu.metering import latest_calls as listing
from jangbu.metering import stretches
from jangbu.metering.latest_calls import CallPage, latest_calls
from jangbu.metering.snapshots import EVERYTHING, Filters, snapshot
from jangbu.storage.database import Database
from tests.metering.charted import DAY, HOUR, KATHMANDU, KOLKATA, MINUTE, MOVED, SEOUL
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
STORED = """
    SELECT u.id, a.user_id, s.name, m.name, u.total, u.cost_nano, u.charge_nano
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a ON a.account_id = u.account_id
    JOIN jangbu.services AS s ON s.service_id = u.service_id
    JOIN jangbu.models AS m ON m.model_id = u.model_id
    WHERE a.project = $1 AND jangbu.uuid7_time(u.id) >= $2 AND jangbu.uuid7_time(u.id) < $3
        AND ($4::text IS NULL OR a.user_id = $4)
        AND (cardinality($5::text[]) = 0 OR m.name = ANY ($5))
        AND (cardinality($6::text[]) = 0 OR s.name = ANY ($6))
    ORDER BY u.id DESC
"""


@pytest.fixture
def template(charted: str) -> str:
    return charted


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def paged(
    shop: Shop, window: Window, filters: Filters, limit: int, as_of: datetime | None = None
) -> list[CallPage]:
    """Give all pages, up to the last one."""
    found, before = list[CallPage](), None
    while True:
        async with snapshot(shop.database, shop.project) as look:
            seen = replace(look, as_of=as_of or look.as_of)
            page = await latest_calls(seen, window, filters, before, limit=limit)
        found.append(page)
        assert len(page.calls) <= limit
        assert before is None or page.next is None or page.next < before, "each page goes on"
        before = page.next
        if before is None:
            return found


async def stored(shop: Shop, window: Window, filters: Filters) -> list[tuple[object, ...]]:
    asked = (filters.user, list(filters.models), list(filters.services))
    return [tuple(row) for row in await shop.rows(STORED, shop.project, window.start, window.end, *asked)]


def lines_of(pages: list[CallPage]) -> list[tuple[object, ...]]:
    return [
        (each.id, each.user, each.service, each.model, each.total_tokens, each.cost_nano, each.charge_nano)
        for page in pages
        for each in page.calls
    ]


@pytest.mark.parametrize("window", WINDOWS, ids=range(len(WINDOWS)))
@pytest.mark.parametrize("size", [3, 100])
async def test_every_call_that_is_meant_is_listed_once_and_newest_first(
    shop: Shop, window: Window, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_SIZE", size)
    whole = [(filters, await stored(shop, window, filters)) for filters in FILTERS]
    assert window is WINDOWS[-1] or all(wanted for _, wanted in whole[:3])
    for (filters, wanted), limit in itertools.product(whole, (7, 50)):
        assert lines_of(await paged(shop, window, filters, limit)) == wanted


async def test_a_page_looks_at_so_much_and_goes_on_where_it_found_none(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All calls of a busy quarter of an hour came at its beginning, so most of its parts have none."""
    monkeypatch.setattr(stretches, "_ASKED_MAX", 2)
    monkeypatch.setattr(listing, "_SIZE", 4)
    start = MOVED + 60 * DAY
    shop.clock.set(start)
    await shop.record([shop.row(user) for user in (KIM, LEE, PARK) for _ in range(20)])
    window = Window.custom(start - HOUR, start + HOUR, SEOUL)

    pages = await paged(shop, window, EVERYTHING, 10)

    assert any(not page.calls and page.next is not None for page in pages)
    assert lines_of(pages) == await stored(shop, window, EVERYTHING)
    assert len(lines_of(pages)) == 60


async def test_calls_of_one_millisecond_are_told_apart_where_a_page_ends_between_them(shop: Shop) -> None:
    start = MOVED + 60 * DAY
    shop.clock.set(start + 7 * MINUTE)
    await shop.record([shop.row(user) for user in (KIM, LEE, PARK) for _ in range(5)])
    window = Window.custom(start, start + HOUR, SEOUL)
    for limit in (1, 4):
        pages = await paged(shop, window, EVERYTHING, limit)
        assert lines_of(pages) == await stored(shop, window, EVERYTHING)


async def test_what_was_recorded_after_the_look_is_in_none_of_its_pages(shop: Shop) -> None:
    [(before,)] = await shop.rows("SELECT clock_timestamp()")
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    shop.clock.set(now - MINUTE)
    await shop.record([shop.row(KIM)])
    window = Window.custom(now - HOUR, now + HOUR, SEOUL)
    assert lines_of(await paged(shop, window, EVERYTHING, 50, before)) == []
    assert len(lines_of(await paged(shop, window, EVERYTHING, 50))) == 1


async def test_each_project_lists_its_own_calls(shop: Shop, database: Database) -> None:
    async with open_shop(database, "another") as other:
        other.clock.set(MOVED + MINUTE)
        await other.record([other.row(KIM)])
        own = lines_of(await paged(other, WINDOWS[0], EVERYTHING, 50))
        assert len(own) == 1
        assert own[0] not in lines_of(await paged(shop, WINDOWS[0], EVERYTHING, 50))


async def test_whom_nobody_knows_has_no_list(shop: Shop) -> None:
    async with snapshot(shop.database, shop.project) as look:
        with pytest.raises(NotFound):
            await latest_calls(look, WINDOWS[0], Filters("nobody"))


async def test_a_list_may_begin_at_any_id_that_somebody_writes(shop: Shop) -> None:
    async with snapshot(shop.database, shop.project) as look:
        assert await latest_calls(look, WINDOWS[0], EVERYTHING, UUID(int=0)) == CallPage([], None)
        whole = await latest_calls(look, WINDOWS[0], EVERYTHING)
        assert await latest_calls(look, WINDOWS[0], EVERYTHING, UUID(int=2**128 - 1)) == whole
