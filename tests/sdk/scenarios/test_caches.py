"""Caches of a wrapped client have their price when they have ended."""

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from google.genai.errors import ClientError

from jangbu.metering.cache_storage import CacheStorage
from jangbu.metering.resources import Resources
from jangbu.sdk import caches
from jangbu.testing import Behaviour, Recorded
from tests.faults.waiting import become
from tests.sdk.scenarios.stage import MODEL, USER, Stage

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

NANO_PER_TOKEN_HOUR = 1_000
"""What the shipped book has for the storage of this model: $1 for a million tokens and an hour."""


def made(stage: Stage, seconds: int) -> str:
    """Have a cache made for the user; give its name."""
    with stage.meter.attribute(user=USER):
        cache = stage.client.caches.create(
            model=MODEL, config={"contents": "a long book " * 2000, "ttl": f"{seconds}s"}
        )
    assert cache.name is not None
    return cache.name


def let_pass(stage: Stage, seconds: int) -> None:
    """Let so much time pass for all that is kept."""
    span = f"interval '{seconds} seconds'"
    stage._fetch(f"UPDATE jangbu.resources SET created_at = created_at - {span}, expires_at = expires_at - {span}")


def price_ended(stage: Stage) -> int:
    """Do what the sweeper does for caches; give how many had ended."""

    async def sweep(metering: "Metering") -> int:
        return await CacheStorage(metering.database, metering.pricing).price_ended()

    return stage.meter._background.wait(sweep)


def cost(stage: Stage) -> tuple[int | None, int, int]:
    """Give what the one record cost, and its tokens and seconds."""
    query = (
        "SELECT cost_nano, raw #>> '{units,cache_storage_tokens}' AS tokens,"
        " coalesce(raw #>> '{units,cache_storage_seconds}', '0') AS seconds FROM jangbu.usage"
    )
    (row,) = stage._fetch(query)
    return row["cost_nano"], int(row["tokens"]), int(row["seconds"])


def test_one_that_the_app_deletes_is_priced_for_the_seconds_until_then_and_no_user_is_named(stage: Stage) -> None:
    name = made(stage, 600)
    assert (price_ended(stage), cost(stage)[0]) == (0, None)
    stage.client.caches.delete(name=name)
    assert price_ended(stage) == 1
    priced, tokens, seconds = cost(stage)
    assert 1 <= seconds < 600
    assert priced == round(tokens * seconds * NANO_PER_TOKEN_HOUR / 3600)


async def test_one_that_the_app_has_live_for_longer_is_priced_for_all_of_it(stage: Stage) -> None:
    name = made(stage, 600)
    await stage.client.aio.caches.update(name=name, config={"ttl": "1200s"})
    let_pass(stage, 700)
    assert price_ended(stage) == 0
    let_pass(stage, 600)
    assert price_ended(stage) == 1
    assert 1_200 <= cost(stage)[2] <= 1_260


def test_one_that_is_gone_when_the_app_deletes_it_has_ended_by_then(stage: Stage) -> None:
    name = made(stage, 600)
    stage.new_client().caches.delete(name=name)
    with pytest.raises(ClientError, match="not found"):
        stage.client.caches.delete(name=name)
    assert price_ended(stage) == 1
    assert 1 <= cost(stage)[2] < 600


async def test_one_that_is_gone_when_the_app_changes_it_has_ended_by_then(stage: Stage) -> None:
    name = made(stage, 600)
    await stage.new_client().aio.caches.delete(name=name)
    with pytest.raises(ClientError, match="not found"):
        await stage.client.aio.caches.update(name=name, config={"ttl": "900s"})
    assert price_ended(stage) == 1
    assert 1 <= cost(stage)[2] < 600


def test_one_that_the_app_may_not_see_goes_on(stage: Stage) -> None:
    name = made(stage, 600)
    stage.gemini.next("status=403")
    with pytest.raises(ClientError, match="permission"):
        stage.client.caches.delete(name=name)
    assert price_ended(stage) == 0


def test_a_change_of_which_the_answer_says_nothing_is_the_apps_all_the_same(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    name = made(stage, 600)
    stage.gemini.when(Behaviour(recorded=Recorded(b"")), path="cachedContents/")
    stage.client.caches.update(name=name, config={"ttl": "1200s"})
    assert "cache.not_noted" in caplog.text


async def test_one_is_deleted_asynchronously_too(stage: Stage) -> None:
    name = made(stage, 600)
    await stage.client.aio.caches.delete(name=name)
    assert (price_ended(stage), cost(stage)[2] < 600) == (1, True)


def test_a_cache_that_the_ledger_does_not_know_is_deleted_like_any_other(stage: Stage) -> None:
    config = {"contents": "a long book " * 2000, "ttl": "600s"}
    cache = stage.new_client().caches.create(model=MODEL, config=config)  # type: ignore[arg-type]
    stage.client.caches.delete(name=str(cache.name))
    assert price_ended(stage) == 0
    assert stage.records() == []


@pytest.mark.parametrize("step", ["keep_cache", "end_cache"])
async def test_the_app_goes_on_while_the_ledger_is_away_and_what_it_did_is_noted_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    is_back, note = threading.Event(), getattr(Resources, step)

    async def when_it_is_back(*arguments: Any) -> None:
        await asyncio.to_thread(is_back.wait)
        await note(*arguments)

    monkeypatch.setattr(Resources, step, when_it_is_back)
    monkeypatch.setattr(caches, "_PATIENCE_SECONDS", 0.1)
    name = made(stage, 600)
    await stage.client.aio.caches.delete(name=name)
    assert price_ended(stage) == 0
    is_back.set()
    await become(lambda: asyncio.to_thread(price_ended, stage))


def test_one_is_deleted_also_where_the_ledger_cannot_be_told(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    name = made(stage, 600)
    stage.meter.close()
    stage.client.caches.delete(name=name)
    assert [request.method for request in stage.gemini.requests()] == ["POST", "DELETE"]
    assert "cache.not_noted" in caplog.text
