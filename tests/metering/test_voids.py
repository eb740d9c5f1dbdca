"""Voids: what a call was charged goes back once, its tokens and its money, whenever it got its price."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from jangbu.config import Settings
from jangbu.domain.ledger import Asset
from jangbu.domain.price_book import Meter, Price
from jangbu.errors import BalanceLocked, InvalidInput
from jangbu.metering.evidence import restated
from jangbu.metering.meter import Metering
from jangbu.metering.price_changes import with_own
from jangbu.metering.verify import Verification
from jangbu.providers.gemini import parse_object
from jangbu.wiring import open_metering
from tests.metering.telling import UNPRICED, answer

GIVEN, TOTAL = 1_000_000_000, 150


@pytest.fixture
async def metering(database_url: str) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url, unit_priced_models=True)) as opened:
        await opened.accounts.create("kim")
        await opened.accounts.grant("kim", GIVEN, key="order-1")
        await opened.accounts.grant("kim", GIVEN, key="money-1", asset=Asset.MONEY)
        yield opened
        report = await Verification(opened.database, "default").run(recompute=opened.pricing.reprice, restate=restated)
        assert report.mismatches == ()


async def unpriced(metering: Metering) -> UUID:
    """Record a call without a price, and have its price known since."""
    call = (await metering.record("kim", "chat", answer(TOTAL, UNPRICED))).id
    for meter in (Meter.INPUT, Meter.OUTPUT):
        await metering.pricing.change(with_own(Price(UNPRICED, meter, 1_000_000_000, "contract")), "known by now")
    return call


async def money_left(metering: Metering) -> int:
    return (await metering.accounts.balance("kim", Asset.MONEY)).available


async def test_a_call_that_was_voided_is_priced_later_and_not_debited(metering: Metering) -> None:
    call = await unpriced(metering)
    await metering.accounts.void("kim", call, reason="sent twice")
    assert await metering.pricing.backfill() == 1
    assert await money_left(metering) == GIVEN
    assert (await metering.accounts.void("kim", call, reason="sent twice")).replayed
    assert await money_left(metering) == GIVEN


@pytest.mark.parametrize("void_first", [True, False])
async def test_a_void_and_a_price_that_meet_leave_no_debit(
    metering: Metering, database_url: str, void_first: bool
) -> None:
    call = await unpriced(metering)
    other: asyncpg.Connection[Any] = await asyncpg.connect(database_url)
    works: list[Awaitable[object]] = [metering.accounts.void("kim", call, reason="twice"), priced(metering)]
    async with other.transaction():
        await other.execute("SELECT 1 FROM jangbu.balances FOR UPDATE")
        waiting = []
        for number, work in enumerate(works if void_first else reversed(works), start=1):
            waiting.append(asyncio.ensure_future(work))
            await until_waiting(metering, number)
    await asyncio.gather(*waiting)
    await other.close()
    assert await money_left(metering) == GIVEN
    assert (await metering.accounts.balance("kim")).available == GIVEN


async def priced(metering: Metering) -> None:
    """Price what has no price, however long a busy machine keeps its balance locked."""
    while True:
        with suppress(BalanceLocked):
            await metering.pricing.backfill()
            return


async def until_waiting(metering: Metering, number: int) -> None:
    """Wait until so many statements wait for a lock."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while True:
        async with metering.database.connection() as connection:
            if await connection.fetchval(count) >= number:
                return
        await asyncio.sleep(0.02)


async def test_the_money_of_a_call_goes_back_where_no_tokens_are_left_to(metering: Metering) -> None:
    image = {"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": ""}]}
    picture = (await metering.record("kim", "image", parse_object(image, model="imagen-4.0-generate-001"))).id
    refunded = (await metering.record("kim", "chat", answer(TOTAL))).id
    await metering.accounts.refund("kim", refunded, TOTAL, reason="never shown", key="refund-1")
    before = await money_left(metering)
    for call in (picture, refunded):
        first = await metering.accounts.void("kim", call, reason="never shown")
        again = await metering.accounts.void("kim", call, reason="never shown")
        assert (first.replayed, again.replayed, again.id) == (False, True, first.id)
        assert first.balance == await metering.accounts.balance("kim"), "what is left is told in tokens"
    assert before < await money_left(metering) == GIVEN
    lines = [line for line in await metering.audit.page() if line.action == "account.void"]
    assert sorted(str((line.after or {})["call"]) for line in lines) == sorted(map(str, (picture, refunded)))
    with pytest.raises(InvalidInput, match="given back already"):
        await metering.accounts.refund("kim", refunded, 1, reason="more", key="more")
