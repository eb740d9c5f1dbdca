"""Calls that are given back whole: the money of those too whose tokens were given back before, or which have none."""

from collections.abc import AsyncIterator

import pytest

from jangbu.config import Settings
from jangbu.domain.ledger import Asset
from jangbu.errors import InvalidInput
from jangbu.metering.meter import Metering
from jangbu.metering.verify import Verification
from jangbu.wiring import open_metering
from tests.metering.telling import open_account, use

MONEY = 1_000_000_000


@pytest.fixture
async def metering(database_url: str) -> AsyncIterator[Metering]:
    """Open a ledger whose user has tokens and money; whatever a test did, the book adds up afterwards."""
    async with open_metering(Settings.load(database_url=database_url)) as opened:
        await open_account(opened, 100_000)
        await opened.accounts.grant("kim", MONEY, key="money", asset=Asset.MONEY)
        yield opened
        assert (await Verification(opened.database, "default").run()).mismatches == ()


async def test_money_is_given_back_where_no_tokens_are_left_to_give_back(metering: Metering) -> None:
    call = await use(metering, 150)
    await metering.accounts.refund("kim", call, 150, reason="sorry", key="tokens first")
    tokens = await metering.accounts.balance("kim")

    voided = await metering.accounts.void("kim", call, reason="and the money")
    again = await metering.accounts.void("kim", call, reason="and the money")

    assert (await metering.accounts.balance("kim", Asset.MONEY)).posted == MONEY
    assert voided.balance == again.balance == tokens
    assert (voided.id, voided.replayed, again.replayed) == (again.id, False, True)
    async with metering.database.connection() as connection:
        told = await connection.fetch("SELECT after ->> 'asset' FROM jangbu.audit WHERE action = 'account.void'")
    assert [asset for (asset,) in told] == ["money"]


async def test_what_has_nothing_left_is_given_back_no_more(metering: Metering) -> None:
    call = await use(metering, 150)
    await metering.accounts.void("kim", call, reason="all of it")
    with pytest.raises(InvalidInput, match="given back already"):
        await metering.accounts.refund("kim", call, 1, reason="more", key="more")

    free = await use(metering, 150, "gemini-0-nobody-prices")
    await metering.accounts.refund("kim", free, 150, reason="sorry", key="all of it")
    with pytest.raises(InvalidInput, match="given back already"):
        await metering.accounts.void("kim", free, reason="once more")


@pytest.mark.parametrize("reason", ["", " ", "x" * 501])
async def test_nothing_is_given_back_without_a_reason(metering: Metering, reason: str) -> None:
    call = await use(metering, 150)
    with pytest.raises(InvalidInput, match="reason"):
        await metering.accounts.void("kim", call, reason=reason)
    assert (await metering.accounts.balance("kim", Asset.MONEY)).posted < MONEY
