"""A file of calls: it has what their list has, whatever an app's clock says, and begins soon."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jangbu.errors import InvalidInput
from jangbu.metering import exports
from jangbu.metering.exports import Column, Format, Kind, Table, written
from jangbu.metering.exports.tables import Page
from jangbu.metering.log_search import Sought, Tag, sought
from jangbu.metering.snapshots import ALL_TIME, Span, snapshot
from jangbu.storage import exports as storage
from jangbu.storage.database import Database
from tests.metering.traffic import KIM, Shop, open_shop

UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def listed(shop: Shop, span: Span) -> list[str]:
    async with snapshot(shop.database, shop.project) as book:
        return [str(each.call.id) for each in (await sought(book, KIM, Sought(), span=span)).calls][::-1]


async def table_of(shop: Shop, user: str | None = KIM, span: Span = ALL_TIME, what: Sought | None = None) -> Table:
    return await exports.calls(shop.database, shop.project, UTC_ZONE, user, span, what or Sought())


async def exported(shop: Shop, span: Span) -> list[str]:
    return [row[1] async for page in (await table_of(shop, span=span)).pages for row in page]


async def test_the_calls_of_an_app_whose_clock_is_ahead_are_in_the_file_as_in_the_list(shop: Shop) -> None:
    await shop.accounts.grant(KIM, 10**9, key="first")
    await shop.record([shop.row(KIM)])
    now = datetime.now(UTC)
    shop.clock.advance(now + timedelta(minutes=2) - shop.clock.now())
    await shop.record([shop.row(KIM), shop.row(KIM)])
    for span, found in (
        (ALL_TIME, 3),
        (Span(since=now + timedelta(minutes=1)), 2),
        (Span(until=now + timedelta(minutes=1)), 1),
        (Span(until=now + timedelta(days=1)), 3),
    ):
        file = await exported(shop, span)
        assert (file, len(file)) == (await listed(shop, span), found)


async def test_what_comes_in_meanwhile_is_left_out(shop: Shop) -> None:
    await shop.accounts.grant(KIM, 10**9, key="first")
    await shop.record([shop.row(KIM)])
    table = await table_of(shop)
    await shop.record([shop.row(KIM)])
    assert sum([len(page) async for page in table.pages]) == 1


async def test_a_file_begins_soon_also_where_no_user_has_calls(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1_200):
        await shop.accounts.create(f"user-{number}")
    looked = list[int]()

    async def calls(database: Database, accounts: Sequence[Any], *given: Any) -> Sequence[Any]:
        looked.append(len(accounts))
        return await real(database, accounts, *given)

    real = storage.calls
    monkeypatch.setattr(storage, "calls", calls)
    table = await table_of(shop, None, what=Sought(service="nope"))
    assert await anext(table.pages) == []
    assert sum(looked) <= 1_000, "nobody waits until all users are looked at"
    assert [page async for page in table.pages] == []


async def test_a_parquet_file_begins_before_any_of_its_rows() -> None:
    read = 0

    async def pages() -> AsyncIterator[Page]:
        nonlocal read
        for number in range(3):
            read += 1
            yield [(f"user-{number}",)]

    table = Table("calls", (Column("user", Kind.TEXT),), UTC_ZONE, datetime.now(UTC), pages())
    pieces = written(table, Format.PARQUET)
    assert (await anext(pieces), read) == (b"PAR1", 0)
    assert b"".join([piece async for piece in pieces]).endswith(b"PAR1")


@pytest.mark.parametrize("text", ["", "\udcff"])
def test_what_no_call_bears_is_refused_wherever_it_is_asked_for(text: str) -> None:
    with pytest.raises(InvalidInput):
        Sought(service=text)
    with pytest.raises(InvalidInput):
        Sought(model=text)
    with pytest.raises(InvalidInput):
        Tag.of(text)
