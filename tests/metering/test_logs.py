"""A user's log: each call once, newest first, also of a part alone, and how each ended."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from jangbu.domain.windows import Window
from jangbu.errors import NotFound
from jangbu.metering import exports, walks
from jangbu.metering.exports import sources
from jangbu.metering.keyed import with_key
from jangbu.metering.log_search import STEP, Sought, Tag, sought
from jangbu.metering.logs import Ending, Logged, calls_of
from jangbu.metering.rollups import Rollups
from jangbu.metering.snapshots import Span, snapshot
from jangbu.storage.database import Database
from tests.metering.charted import DAY, HOUR, KOLKATA, MINUTE, MOVED, SEOUL, recorded
from tests.metering.traffic import FLASH, IMAGE, KIM, LEE, PRO, TEXT, Shop, open_shop

WINDOWS = (
    None,
    Window.days(MOVED.date() - 40 * DAY, MOVED.date() + 40 * DAY, SEOUL),
    Window.custom(MOVED - 7 * DAY + 7 * MINUTE, MOVED + HOUR + MINUTE, KOLKATA),
    Window.custom(MOVED + 3 * MINUTE, MOVED + 34 * MINUTE, SEOUL),
)
PARTS = ((None, None), (TEXT, None), (None, PRO), (IMAGE, FLASH), (TEXT, "gemini-unheard-of"))


@pytest.fixture
def template(charted: str) -> str:
    return charted


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def listed(
    shop: Shop, user: str, window: Window | None, service: str | None, model: str | None, limit: int
) -> list[Logged]:
    """Give the calls of all pages."""
    found: list[Logged] = []
    before: UUID | None = None
    async with snapshot(shop.database, shop.project) as look:
        while True:
            page = await calls_of(
                look, user, span=Span.of(window), service=service, model=model, before=before, limit=limit
            )
            found += page
            if len(page) < limit:
                return found
            before = page[-1].call.id


@pytest.mark.parametrize("window", WINDOWS, ids=range(len(WINDOWS)))
@pytest.mark.parametrize(("service", "model"), PARTS, ids=str)
@pytest.mark.parametrize("limit", [1, 7, 1_000])
async def test_every_call_that_is_asked_for_is_listed_once_and_newest_first(
    shop: Shop, window: Window | None, service: str | None, model: str | None, limit: int
) -> None:
    meant = [
        (each.at, each.service, each.model, each.amounts.total_tokens)
        for each in await recorded(shop)
        if each.user == LEE
        and service in (None, each.service)
        and model in (None, each.model)
        and (window is None or window.start <= each.at < window.end)
    ]

    found = [each.call for each in await listed(shop, LEE, window, service, model, limit)]

    assert len({each.id for each in found}) == len(found)
    assert [each.id for each in found] == sorted((each.id for each in found), reverse=True)
    shown = [(each.created_at, each.service, each.model, each.total_tokens) for each in found]
    assert sorted(shown) == sorted(meant)


async def test_calls_that_are_carried_and_such_that_came_after_them_are_listed_together(shop: Shop) -> None:
    """A quarter of an hour may have figures of both kinds; its calls are listed once all the same."""
    shop.clock.set(MOVED + HOUR)
    late = shop.row(KIM, service=IMAGE, model=PRO)
    await shop.record([late])
    window = Window.custom(MOVED + HOUR, MOVED + HOUR + MINUTE, SEOUL)
    first = await listed(shop, KIM, window, IMAGE, PRO, 50)
    await Rollups(shop.database).carry_before(MOVED + 3 * HOUR, MOVED + 2 * HOUR)
    shop.clock.set(MOVED + HOUR)
    await shop.record([shop.row(KIM, service=IMAGE, model=PRO)])

    found = await listed(shop, KIM, window, IMAGE, PRO, 50)

    assert late.id in {each.call.id for each in first}
    assert len(found) == len({each.call.id for each in found}) == len(first) + 1


async def test_a_log_tells_how_each_call_ended(shop: Shop) -> None:
    shop.clock.set(datetime.now(UTC) - timedelta(minutes=2))
    for user in (KIM, LEE):
        await shop.accounts.grant(user, 100_000, key=f"purchase-{user}")
    covered, exceeded, late = [await shop.hold(KIM, 100) for _ in range(3)]
    await shop.holds.release(shop.accounts.id_of(KIM), late, "given up too early")
    plain, refunded = shop.row(KIM), shop.row(KIM)
    rows = [
        shop.row(KIM, call=covered, held=True),
        shop.row(KIM, call=exceeded, held=True, candidates=500),
        shop.row(KIM, call=late, held=True),
    ]
    await shop.record([*rows, plain, refunded])
    await shop.accounts.refund(KIM, refunded.id, 4, reason="the answer was useless", key="refund")

    async with snapshot(shop.database, shop.project) as look:
        found = {each.call.id: each for each in await calls_of(look, KIM, limit=5)}

    assert {call: each.ending for call, each in found.items()} == {
        covered: Ending.SETTLED,
        exceeded: Ending.OVERRUN,
        late: Ending.LATE,
        plain.id: Ending.RECORDED,
        refunded.id: Ending.RETURNED,
    }
    for call in (covered, exceeded):
        since = found[call].call.recorded_at - found[call].call.created_at
        assert found[call].took_ms == since // timedelta(milliseconds=1) >= 120_000
    assert (found[plain.id].took_ms, found[refunded.id].took_ms) == (None, None)
    assert found[plain.id].call.response_id == plain.response_id


async def test_calls_are_found_by_how_they_ended_and_by_their_tags_and_keys_whatever_step_they_lie_in(
    shop: Shop,
) -> None:
    """What the statement calls an ending is what a log calls it, and a file has the calls that the pages have."""
    shop.clock.set(datetime.now(UTC) - timedelta(minutes=2))
    await shop.accounts.grant(KIM, 100_000, key="purchase")
    covered, exceeded, late, back = [await shop.hold(KIM, 100) for _ in range(4)]
    await shop.holds.release(shop.accounts.id_of(KIM), late, "given up too early")
    tagged = [
        shop.row(KIM, service=IMAGE)._replace(metadata=f'{{"tags":{{"feature":"{value}"}}}}') for value in ("a", "b=c")
    ]
    app, own = uuid4(), uuid4()
    keyed = [shop.row(KIM)._replace(metadata=json.dumps(with_key({"page": 1}, key))) for key in (app, own, own)]
    held = [shop.row(KIM, call=call, held=True) for call in (covered, late, back)]
    await shop.record([*held, shop.row(KIM, call=exceeded, held=True, candidates=500), *tagged, *keyed])
    await shop.accounts.refund(KIM, back, 4, reason="the answer was useless", key="refund")
    first, second = (each.id for each in tagged)
    every = await listed(shop, KIM, None, None, None, 1_000)
    bare = [each for each in every if each.ending is Ending.RECORDED]

    for what, wanted in (
        *((Sought(ending), {each.call.id for each in every if each.ending is ending}) for ending in Ending),
        (Sought(tag=Tag.of("feature")), {first, second}),
        (Sought(Ending.RECORDED, Tag.of("feature=b=c"), IMAGE), {second}),
        (Sought(tag=Tag.of("feature=a"), service=TEXT), set()),
        (Sought(Ending.SETTLED, Tag.of("feature")), set()),
        (Sought(key=str(app)), {keyed[0].id}),
        (Sought(key=str(own), service=TEXT), {keyed[1].id, keyed[2].id}),
        (Sought(Ending.RECORDED, key=""), {each.call.id for each in bare} - {each.id for each in keyed}),
        (Sought(tag=Tag.of("feature"), key=str(own)), set()),
    ):
        assert wanted or what.tag, "what nothing is to be found of is named"
        for limit, step in ((1, 2), (50, 3), (2, STEP)):
            found, before = list[UUID](), None
            while True:
                async with snapshot(shop.database, shop.project) as look:
                    page = await sought(look, KIM, what, before=before, limit=limit, step=step)
                assert len(page.calls) <= limit
                found += [each.call.id for each in page.calls]
                if page.next is None:
                    break
                before = page.next
            assert found == sorted(wanted, reverse=True)
        table = await exports.calls(shop.database, shop.project, SEOUL, KIM, what=what)
        assert {UUID(row[1]) for page in [each async for each in table.pages] for row in page} == wanted


async def test_a_file_of_which_nothing_is_found_for_long_comes_all_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a file gives up where nothing of it comes, however many calls are still looked through."""
    monkeypatch.setattr(walks, "ROWS", 20)
    monkeypatch.setattr(sources, "_READ_MAX", 40)
    calls = len(await listed(shop, KIM, None, None, None, 1_000))
    table = await exports.calls(shop.database, shop.project, SEOUL, KIM, what=Sought(tag=Tag.of("nothing")))
    pages = [page async for page in table.pages]
    assert [*map(len, pages)] == [0] * len(pages)
    assert 1 < len(pages) <= calls / 40


async def test_nobody_has_no_log(shop: Shop) -> None:
    async with snapshot(shop.database, shop.project) as look:
        for service in (None, TEXT):
            with pytest.raises(NotFound):
                await calls_of(look, "nobody", service=service)
