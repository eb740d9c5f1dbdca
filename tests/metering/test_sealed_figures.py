"""Figures of users of what retention dropped: what was sealed of a quarter of an hour counts whole where it begins."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from jangbu.domain.amounts import NOTHING, Amounts
from jangbu.domain.windows import Bucket, Window
from jangbu.metering import series, tops
from jangbu.metering.retention import month_start
from jangbu.metering.snapshots import Filters, snapshot
from jangbu.storage.database import Database
from tests.metering.charted import DAY, HOUR, KATHMANDU, KOLKATA, MINUTE, MOVED, SEOUL, Recorded, expected, recorded
from tests.metering.traffic import FLASH, IMAGE, KIM, LEE, PARK, Shop, open_shop

WINDOWS = (
    Window.custom(MOVED - 40 * DAY, MOVED + 40 * DAY, SEOUL, Bucket.DAY),
    Window.custom(MOVED - 7 * DAY + 7 * MINUTE, MOVED + HOUR + MINUTE, KATHMANDU, Bucket.DAY),
    Window.custom(MOVED - HOUR + MINUTE, MOVED + MINUTE, KOLKATA),
    Window.custom(MOVED + 14 * MINUTE, MOVED + 46 * MINUTE, SEOUL),
    Window.custom(MOVED + 30 * MINUTE, MOVED + 31 * MINUTE, SEOUL),
    Window.custom(MOVED + 31 * MINUTE, MOVED + 44 * MINUTE, SEOUL),
)
"""Some begin or end where a quarter of an hour does, and some cut one at either end, or at both."""


@pytest.fixture
def template(charted: str) -> str:
    return charted


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def seal_the_month(shop: Shop) -> Sequence[Recorded]:
    """Drop the records of the month in which clocks were moved; give all that there were, these as they are sealed."""
    records = await recorded(shop)
    await shop.execute("UPDATE jangbu.findings SET resolved_at = now()")
    ((dropped,),) = await shop.rows("SELECT jangbu.usage_partition_drop($1)", MOVED)
    month = month_start(MOVED, 0), month_start(MOVED, 1)
    sealed = [each for each in records if month[0] <= each.at < month[1]]
    assert dropped == len(sealed) > 0
    assert len(await recorded(shop)) == len(records) - len(sealed) > 0
    return [replace(each, at=quarter(each.at)) if month[0] <= each.at < month[1] else each for each in records]


def quarter(at: datetime) -> datetime:
    return at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0)


@pytest.mark.parametrize("window", WINDOWS, ids=range(len(WINDOWS)))
async def test_what_was_sealed_counts_where_its_quarter_of_an_hour_begins(shop: Shop, window: Window) -> None:
    records = await seal_the_month(shop)
    edges, part = (window.start, window.end), Filters(models=(FLASH,), services=(IMAGE,))

    async with snapshot(shop.database, shop.project) as look:
        used = {each.user: each.amounts for each in await tops.users(look, window)}
        bars = {user: (await series.of(look, window, Filters(user))).bars for user in (KIM, LEE)}
        cells = (await tops.breakdown(look, window, Filters(KIM))).cells
        of_part = await tops.users_of_part(look, window, part)

    for user in (KIM, LEE, PARK):
        assert [used.get(user, NOTHING)] == expected(records, edges, Filters(user))
    for user, found in bars.items():
        assert [bar.amounts for bar in found] == expected(records, window.edges(), Filters(user))
    for cell in cells:
        assert [cell.amounts] == expected(records, edges, Filters(KIM, models=(cell.model,), services=(cell.service,)))
    assert [Amounts.sum(cell.amounts for cell in cells)] == expected(records, edges, Filters(KIM))
    assert of_part is not None, "there was time"
    for user in (KIM, LEE, PARK):
        amounts = [each.amounts for each in of_part if each.user == user] or [NOTHING]
        assert amounts == expected(records, edges, replace(part, user=user))
