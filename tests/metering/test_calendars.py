"""A user's year by days is what the records say, in every zone and over every change of a clock."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jangbu.errors import NotFound
from jangbu.metering import calendars, directory
from jangbu.metering.calendars import CalendarDay
from jangbu.metering.snapshots import snapshot
from jangbu.storage.database import Database
from tests.metering.charted import DAY, HOUR, MOVED, USERS, ZONES, recorded
from tests.metering.traffic import KIM, Shop, open_shop

FAR_WEST, FAR_EAST = ZoneInfo("Pacific/Pago_Pago"), ZoneInfo("Pacific/Apia")
"""Nearly half a day from UTC, and more than that: the nearest midnight is that of another day."""


@pytest.fixture
def template(charted: str) -> str:
    return charted


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def year_of(shop: Shop, user: str, zone: ZoneInfo, at: datetime) -> tuple[CalendarDay, ...]:
    async with snapshot(shop.database, shop.project) as look:
        return await calendars.year_of(replace(look, as_of=at), user, zone)


@pytest.mark.parametrize("zone", [*ZONES, FAR_WEST, FAR_EAST], ids=str)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("at", [MOVED + 60 * DAY, MOVED + 5 * HOUR], ids=["whole", "cut"])
async def test_each_day_has_what_its_records_add_up_to(shop: Shop, zone: ZoneInfo, user: str, at: datetime) -> None:
    tokens, calls = Counter[date](), Counter[date]()
    for each in await recorded(shop):
        if each.user == user:
            day = each.at.astimezone(zone).date()
            tokens[day] += each.amounts.total_tokens
            calls[day] += 1

    found = await year_of(shop, user, zone, at)

    assert len(found) > 360
    assert found == tuple(CalendarDay(each.day, calls[each.day], tokens[each.day]) for each in found)
    assert sum(each.calls for each in found) > 0


async def test_a_year_is_whole_weeks_until_today(shop: Shop) -> None:
    today = (MOVED + 9 * HOUR).date()
    days = [each.day for each in await year_of(shop, KIM, ZoneInfo("UTC"), MOVED + 9 * HOUR)]
    assert (days[0].weekday(), days[-1]) == (0, today)
    assert days == [days[0] + number * DAY for number in range(len(days))]
    assert (today - days[0]).days == (calendars.WEEKS - 1) * 7 + today.weekday()


async def test_days_that_a_zone_left_out_are_left_out(shop: Shop) -> None:
    """Samoa had no 30 December 2011: the day before it and the one after it follow each other."""
    at = datetime.fromisoformat("2012-03-01T00:00:00+00:00")
    days = [each.day for each in await year_of(shop, KIM, FAR_EAST, at)]
    assert date(2011, 12, 30) not in days
    assert {date(2011, 12, 29), date(2011, 12, 31)} <= set(days)


async def test_nobody_has_no_year(shop: Shop) -> None:
    with pytest.raises(NotFound):
        await year_of(shop, "nobody", ZoneInfo("UTC"), MOVED)


async def test_sparks_are_what_the_records_of_days_of_utc_add_up_to(shop: Shop) -> None:
    at = MOVED + 3 * DAY
    records = await recorded(shop)
    accounts = {user: shop.accounts.id_of(user) for user in USERS}

    async with snapshot(shop.database, shop.project) as look:
        found = await directory.sparks(replace(look, as_of=at), list(accounts.values()))
        assert await directory.sparks(look, []) == {}

    first = at.date() - timedelta(days=29)
    for user, account in accounts.items():
        used = Counter[date]()
        for each in records:
            if each.user == user:
                used[each.at.date()] += each.amounts.total_tokens
        assert found[account].first == first
        assert found[account].tokens == tuple(used[first + number * DAY] for number in range(30))
        assert sum(found[account].tokens) > 0
