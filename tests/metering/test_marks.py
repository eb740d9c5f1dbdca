"""A hold that is given back where it was never taken leaves a mark, which is no hold: none lists, counts or ends it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Held, Release, TakeHold
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.domain.windows import Window
from jangbu.errors import JangbuError, NotFound
from jangbu.metering.meter import Metering
from jangbu.metering.resolving import charge_hold, release_hold
from jangbu.metering.snapshots import Filters, snapshot
from jangbu.metering.undeducted import undeducted
from jangbu.storage.holds import Which
from jangbu.wiring import open_metering

PROJECT = "default"
FLASH = "gemini-2.5-flash"
NOBODY_SAID = "the database did not say in time that it was taken"
ANSWER = Usage(
    Surface.GENERATE_CONTENT,
    Counts(prompt=7, total=7),
    Source.REPORTED,
    FLASH,
    "an-answer",
    raw=({"promptTokenCount": 7, "totalTokenCount": 7},),
)


@pytest.fixture
async def metering(database_url: str) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        await metering.accounts.create("kim")
        await metering.accounts.grant("kim", 1_000, key="first")
        yield metering


@pytest.fixture
async def mark(metering: Metering) -> UUID:
    """Leave the mark of a hold that was never taken, beside a hold that was taken and given back."""
    call = new_call()
    assert await metering.execute(TakeHold(call, 10, 50, 50)) == Held(50)
    await metering.execute(Release(call, "the provider answered 503"))
    never_taken = new_id(SystemClock())
    assert not await metering.holds.release(metering.accounts.id_of("kim"), never_taken, NOBODY_SAID)
    return never_taken


def new_call() -> Call:
    return Call(new_id(SystemClock()), "kim", "chat", FLASH, Bounds(10, 40, output_chosen=True))


@pytest.mark.parametrize("filters", [Filters(), Filters(user="kim")])
async def test_it_is_no_call_that_failed(metering: Metering, mark: UUID, filters: Filters) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    async with snapshot(metering.database, PROJECT) as look:
        window = Window.custom(now - timedelta(days=1), now + timedelta(days=1), ZoneInfo("UTC"))
        assert await undeducted(look, window, filters) == {FLASH: 1}


@pytest.mark.parametrize("user", [None, "kim"])
@pytest.mark.parametrize("states", [None, ["released", "expired"]])
async def test_it_is_in_no_list(metering: Metering, mark: UUID, user: str | None, states: list[str] | None) -> None:
    account = None if user is None else metering.accounts.id_of(user)
    for which in (Which(), Which(since=datetime.now(UTC) - timedelta(days=1))):
        listed = await metering.holds.page(account, states, 1, None, which)
        assert [(hold.service, hold.model, hold.amount) for hold in listed] == [("chat", FLASH, 50)]
        assert await metering.holds.page(account, states, 1, (listed[-1].taken_at, listed[-1].id), which) == []


async def test_nobody_shows_or_ends_it_by_hand(metering: Metering, mark: UUID) -> None:
    assert await metering.holds.show(mark) is None
    with pytest.raises(NotFound, match="there is no hold"):
        await release_hold(metering, mark, "it never came")
    with pytest.raises(NotFound, match="there is no hold"):
        await charge_hold(metering, PROJECT, mark, ANSWER)
    balance = await metering.accounts.balance("kim")
    assert (balance.used, balance.held) == (0, 0)


async def test_it_still_keeps_the_hold_from_being_taken(metering: Metering, mark: UUID) -> None:
    late = Call(mark, "kim", "chat", FLASH, Bounds(10, 40, output_chosen=True))
    with pytest.raises(JangbuError, match="is released already"):
        await metering.execute(TakeHold(late, 10, 50, 50))
    assert (await metering.accounts.balance("kim")).held == 0
