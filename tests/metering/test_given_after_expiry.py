"""What is given to an account stands apart from the grants whose time is up, whoever looked at the account before."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from jangbu.config import Settings
from jangbu.domain.ledger import TOKENS_MAX, Asset
from jangbu.errors import JangbuError
from jangbu.metering import accounts
from jangbu.metering.meter import Metering
from jangbu.metering.verify import Verification
from jangbu.wiring import open_metering
from tests.metering.later import end_grants
from tests.metering.telling import use

BOUGHT = 150
Give = Callable[[Metering, UUID], Awaitable[object]]


async def refund(metering: Metering, call: UUID) -> None:
    await metering.accounts.refund("kim", call, 50, reason="sorry", key="back")


async def void(metering: Metering, call: UUID) -> None:
    await metering.accounts.void("kim", call, reason="sorry")


async def adjust(metering: Metering, call: UUID) -> None:
    await metering.accounts.adjust("kim", 50, reason="sorry", key="more")


async def grant(metering: Metering, call: UUID) -> None:
    await metering.accounts.grant("kim", 50, key="gift")


@pytest.fixture
async def metering(database_url: str) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url)) as opened:
        await opened.accounts.create("kim")
        yield opened
        assert (await Verification(opened.database, "default").run()).mismatches == ()


@pytest.mark.parametrize("is_over", [False, True], ids=["before its time is up", "after"])
@pytest.mark.parametrize(("give", "given"), [(refund, 50), (void, BOUGHT), (adjust, 50), (grant, 50)])
async def test_what_is_given_does_not_expire_with_a_grant_that_was_used_up(
    metering: Metering, give: Give, given: int, is_over: bool
) -> None:
    soon = await metering.database.now() + timedelta(seconds=2)
    await metering.accounts.grant("kim", BOUGHT, key="bought", expires_at=soon)
    call = await use(metering, BOUGHT)
    if is_over:
        await asyncio.sleep(2.1)
    await give(metering, call)
    await asyncio.sleep(max(0.0, (soon - await metering.database.now()).total_seconds() + 0.1))
    assert await metering.accounts.expire_grants() == 0
    assert (await metering.accounts.balance("kim")).available == given


@pytest.mark.parametrize(
    ("amount", "key", "refused"), [(10, "taken", "was used"), (TOKENS_MAX, "too-much", "balances_check")]
)
async def test_a_grant_of_money_that_is_refused_opens_no_balance_of_it(
    metering: Metering, amount: int, key: str, refused: str
) -> None:
    await metering.accounts.grant("kim", 10, key="taken")
    async with metering.database.connection() as connection:
        await connection.execute("ALTER TABLE jangbu.balances ADD CHECK (asset = 1 OR granted < 1_000_000)")
    with pytest.raises(JangbuError, match=refused):
        await metering.accounts.grant("kim", amount, key=key, asset=Asset.MONEY)
    assert await metering.accounts.open_balance("kim", Asset.MONEY) is None


async def test_grants_of_both_assets_of_an_account_expire_in_one_sweep_on_whichever_page_they_come(
    metering: Metering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_SWEEP_MAX", 1)
    await metering.accounts.create("lee")
    later = await metering.database.now() + timedelta(minutes=5)
    for user in ("kim", "lee"):
        for asset in Asset:
            await metering.accounts.grant(user, 10, key=f"of {asset.name}", asset=asset, expires_at=later)
    await end_grants(metering.database)
    assert await metering.accounts.expire_grants() == 4
