"""What caches cost: Google takes money by the token and hour, so each is priced when it has ended."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from jangbu.domain.ledger import Asset
from jangbu.errors import DatabaseUnreachable
from jangbu.metering import cache_storage
from jangbu.metering.cache_storage import CacheStorage
from jangbu.metering.evidence import restated
from jangbu.storage import caches, usage
from jangbu.storage.usage import UsageRecord
from tests.gateway.book import asked as asked_of
from tests.gateway.book import findings, records, require_sound
from tests.gateway.stage import FLASH, UPSTREAM_KEY, Stage, asked

UNPRICED_MODEL = "gemini-2.5-flash-lite"
"""One of which the shipped book does not say what storage costs."""


@pytest.fixture
async def kim(served: Stage) -> Stage:
    """Give a gateway where kim has money, too."""
    await served.ledger.accounts.grant("kim", 1_000_000_000, key="money", asset=Asset.MONEY)
    return served


async def made(served: Stage, *, seconds: int = 3600, model: str = FLASH, user: str = "kim") -> str:
    """Have a user's content kept; give the name of the cache."""
    body = {"model": f"models/{model}", "contents": asked("word " * 800)["contents"], "ttl": f"{seconds}s"}
    status, answer, _ = await served.post("/v1beta/cachedContents", body, user=user)
    assert status == 200
    return str(answer["name"])


async def deleted(served: Stage, name: str, *, user: str = "kim") -> int:
    """Have a user delete a cache."""
    return (await served.get(f"/v1beta/{name}", user=user, method="DELETE"))[0]


async def price_ended(served: Stage) -> int:
    """Do what the sweeper does for caches."""
    return await CacheStorage(served.ledger.database, served.ledger.pricing).price_ended()


async def let_pass(served: Stage, seconds: int) -> None:
    """Let so much time pass for all that is kept."""
    await asked_of(
        served,
        "UPDATE jangbu.resources SET created_at = created_at - $1::integer * interval '1 second',"
        " expires_at = expires_at - $1::integer * interval '1 second'",
        seconds,
    )


async def recorded(served: Stage, user: str = "kim") -> UsageRecord:
    """Give the one record that a user has."""
    [record] = await records(served, user)
    found = await usage.find(served.ledger.database, served.ledger.accounts.id_of(user), UUID(record.id))
    assert found is not None
    return found


async def money_used(served: Stage) -> int:
    """Give what kim has been debited, in nano-USD."""
    return (await served.ledger.accounts.balance("kim", Asset.MONEY)).used


async def test_a_cache_is_priced_for_the_seconds_for_which_it_was_kept_when_its_owner_has_deleted_it(
    kim: Stage,
) -> None:
    name = await made(kim)
    before = await recorded(kim)
    assert (before.total, before.cost_nano, await money_used(kim)) == (0, None, 0)
    await asyncio.sleep(1.1)
    assert (await price_ended(kim), await deleted(kim, name), await deleted(kim, name)) == (0, 200, 404)
    assert await price_ended(kim) == 1
    after = await recorded(kim)
    units = restated(after).units
    assert 2 <= units.cache_storage_seconds <= 60
    assert after.cost_nano == round(units.cache_storage_tokens * units.cache_storage_seconds * 1_000 / 3_600)
    assert await money_used(kim) == after.charge_nano == after.cost_nano
    assert (await kim.used(), await findings(kim)) == ((0, 0), [])
    assert [line.action for line in await kim.ledger.audit.page() if line.target == "prices"] == []
    await require_sound(kim)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_one_that_was_deleted_past_the_gateway_ends_when_google_first_says_so(kim: Stage, method: str) -> None:
    name = await made(kim)
    async with kim.http.delete(f"{kim.gemini.url}/v1beta/{name}", headers={"x-goog-api-key": UPSTREAM_KEY}) as answer:
        assert answer.status == 200
    status, said = await kim.get(f"/v1beta/{name}", method=method)
    assert (status, said["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert (await price_ended(kim), (await kim.get(f"/v1beta/{name}"))[0]) == (1, 404)
    assert 1 <= restated(await recorded(kim)).units.cache_storage_seconds <= 60


async def test_one_that_a_key_may_not_see_goes_on(kim: Stage) -> None:
    name = await made(kim)
    kim.gemini.next("status=403")
    assert await deleted(kim, name) == 403
    assert (await price_ended(kim), await deleted(kim, name)) == (0, 200)


async def test_one_whose_time_is_up_is_priced_once_for_all_of_it_however_many_look_at_it(kim: Stage) -> None:
    await made(kim, seconds=600)
    await let_pass(kim, 601)
    assert sum(await asyncio.gather(*(price_ended(kim) for _ in range(4)))) == 1
    after = await recorded(kim)
    assert restated(after).units.cache_storage_seconds == 600
    assert await money_used(kim) == after.charge_nano
    await require_sound(kim)


async def test_one_that_lives_for_longer_than_it_was_made_for_is_priced_for_all_of_it(kim: Stage) -> None:
    name = await made(kim, seconds=600)
    headers = {"x-goog-api-key": kim.key, "x-jangbu-user": "kim"}
    async with kim.http.patch(f"{kim.url}/v1beta/{name}", json={"ttl": "1200s"}, headers=headers) as answer:
        assert answer.status == 200
    await let_pass(kim, 700)
    assert await price_ended(kim) == 0
    await let_pass(kim, 600)
    assert await price_ended(kim) == 1
    assert 1_200 <= restated(await recorded(kim)).units.cache_storage_seconds <= 1_260


async def test_one_that_lives_for_longer_by_the_time_it_is_looked_at_is_left_alone(
    kim: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await made(kim, seconds=600)
    await let_pass(kim, 601)
    due = caches.due

    async def seen_just_before(*arguments: Any) -> Any:
        seen = await due(*arguments)
        await asked_of(kim, "UPDATE jangbu.resources SET expires_at = clock_timestamp() + interval '1 hour'")
        return seen

    monkeypatch.setattr(caches, "due", seen_just_before)
    assert (await price_ended(kim), (await recorded(kim)).cost_nano) == (0, None)
    assert (await kim.get(f"/v1beta/{name}"))[0] == 200


async def test_one_whose_balance_another_keeps_locked_waits_and_keeps_nobody_elses_from_its_price(
    kim: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_storage, "_SWEEP_MAX", 1)
    await kim.open("lee")
    for user in ("kim", "lee"):
        await deleted(kim, await made(kim, user=user), user=user)
    lock = "SELECT FROM jangbu.balances WHERE account_id = $1 FOR UPDATE"
    async with kim.ledger.database.connection() as connection, connection.transaction():
        await connection.execute(lock, kim.ledger.accounts.id_of("kim"))
        assert await price_ended(kim) == 1
    assert ((await recorded(kim)).cost_nano, await findings(kim)) == (None, [])
    assert (await recorded(kim, "lee")).cost_nano is not None
    assert (await price_ended(kim), await money_used(kim) > 0) == (1, True)
    await require_sound(kim)


async def test_none_is_tried_any_more_while_the_database_is_away(kim: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        await deleted(kim, await made(kim))
    tried = []

    async def away(*arguments: object) -> None:
        tried.append(arguments)
        raise DatabaseUnreachable("the database is away", hint="wait")

    with monkeypatch.context() as patch:
        patch.setattr(caches, "complete", away)
        with pytest.raises(DatabaseUnreachable):
            await price_ended(kim)
    assert (len(tried), await price_ended(kim)) == (1, 2)


async def test_one_whose_model_has_no_price_for_storage_is_found_and_waits_for_it(kim: Stage) -> None:
    name = await made(kim, model=UNPRICED_MODEL)
    assert (await findings(kim), await deleted(kim, name), await price_ended(kim)) == ([], 200, 1)
    assert (await findings(kim), (await recorded(kim)).cost_nano) == (["unpriced"], None)
    assert (await kim.ledger.pricing.backfill(), await findings(kim)) == (0, ["unpriced"])


async def test_one_whose_making_is_not_recorded_is_forgotten(kim: Stage) -> None:
    name = await made(kim)
    await asked_of(kim, "DELETE FROM jangbu.idempotency_keys WHERE key LIKE 'call:%'")
    assert (await deleted(kim, name), await price_ended(kim), (await recorded(kim)).cost_nano) == (200, 1, None)


async def test_what_another_has_kept_is_not_ended_by_who_asks_for_it(kim: Stage) -> None:
    name = await made(kim)
    await kim.open("lee")
    assert (await kim.get(f"/v1beta/{name}", user="lee", method="DELETE"))[0] == 404
    assert await price_ended(kim) == 0
