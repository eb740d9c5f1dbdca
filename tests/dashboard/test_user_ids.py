"""A user's id is taken as it stands: what is done on a user's page is never done to one of nearly the same id."""

import asyncio

import pytest

from jangbu.metering.meter import Metering
from tests.dashboard.raw import signed_in
from tests.dashboard.site import OWNER, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAIRS = [("minji ", "minji"), (" jiwoo", "jiwoo"), ("do  yun", "do yun")]


async def opened(ledger: Metering, *users: str) -> None:
    for user in users:
        await ledger.accounts.create(user)


async def act(site: Site, user: str, action: str, **fields: str) -> int:
    owner = await asyncio.to_thread(signed_in, site, OWNER)
    key = f"{action}-{user!r}"
    answer = await asyncio.to_thread(owner.send, f"/user/{action}", {"user": user, "key": key, **fields})
    return answer.status


@pytest.mark.parametrize(("user", "other"), PAIRS)
async def test_tokens_are_granted_to_whose_page_it_is(own_site: Site, ledger: Metering, user: str, other: str) -> None:
    await opened(ledger, user, other)
    assert await act(own_site, user, "grant", amount="1,000") == 303
    assert (await ledger.accounts.balance(user)).available == 1_000
    assert (await ledger.accounts.balance(other)).available == 0


@pytest.mark.parametrize(("user", "other"), PAIRS)
async def test_whose_page_it_is_is_blocked_and_erased(own_site: Site, ledger: Metering, user: str, other: str) -> None:
    await opened(ledger, user, other)
    assert await act(own_site, user, "block") == 303
    assert (await ledger.accounts.find(user)).state == "blocked"
    assert (await ledger.accounts.find(other)).state == "active"
    assert await act(own_site, user, "erase", again=user) == 303
    assert (await ledger.accounts.find(other)).state == "active"


async def test_tokens_are_not_granted_to_somebody_who_is_not_there(own_site: Site, ledger: Metering) -> None:
    await opened(ledger, "seo-jun")
    assert await act(own_site, "seo-jun ", "grant", amount="1,000") == 404
    assert (await ledger.accounts.balance("seo-jun")).available == 0
