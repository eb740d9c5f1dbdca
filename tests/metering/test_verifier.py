"""Verification by itself: one process at a time, when it is due, with a warning of what differs."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from jangbu import telemetry
from jangbu.metering.verifier import Verifier
from jangbu.storage import verifications
from jangbu.storage.database import Database
from tests.metering.damage import OF_KIM
from tests.metering.traffic import KIM, PROJECT, Shop, open_shop, recompute, restate


@pytest.fixture
def template(traded: str) -> str:
    return traded


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


@pytest.fixture
def heard() -> Iterator[list[tuple[str, Mapping[str, Any]]]]:
    events: list[tuple[str, Mapping[str, Any]]] = []
    end = telemetry.subscribe(
        lambda event, facts: events.append((event, facts)), "verify.mismatch", "verify.mismatched"
    )
    yield events
    end()


def verifier(shop: Shop, seconds: int = 900) -> Verifier:
    return Verifier(shop.database, PROJECT, recompute=recompute, restate=restate, seconds=seconds)


async def test_it_verifies_when_that_is_due_and_not_before(shop: Shop) -> None:
    report = await verifier(shop).verify()
    assert report is not None
    assert report.is_clean
    assert await verifier(shop).verify() is None
    await shop.execute("UPDATE jangbu.verifications SET ended_at = ended_at - interval '1 hour'")
    assert await verifier(shop).verify() is not None
    noted = await verifications.find(shop.database, PROJECT)
    assert noted is not None
    assert noted.age_seconds < 900


async def test_a_verification_that_took_long_is_followed_by_a_longer_pause(shop: Shop) -> None:
    await verifier(shop).verify()
    long = "UPDATE jangbu.verifications SET started_at = now() - interval '3 hours', ended_at = now() - interval '%s'"
    await shop.execute(long % "2 hours")
    assert await verifier(shop).verify() is None
    await shop.execute(long % "162 minutes 1 second")
    assert await verifier(shop).verify() is not None


async def test_of_many_processes_one_verifies(shop: Shop) -> None:
    reports = await asyncio.gather(*(verifier(shop).verify() for _ in range(8)))
    assert len([report for report in reports if report is not None]) == 1


async def test_a_process_that_died_at_it_keeps_nobody_else_from_it(shop: Shop) -> None:
    dead = uuid4()
    assert await verifications.claim(shop.database, PROJECT, dead, every_seconds=900, seconds=600)
    assert await verifier(shop).verify() is None
    await shop.execute("UPDATE jangbu.verifications SET runs_until = now() - interval '1 second'")
    assert await verifier(shop).verify() is not None
    assert not await verifications.keep(shop.database, PROJECT, dead, seconds=600)
    assert await shop.rows("SELECT runner FROM jangbu.verifications") == [(None,)]


async def test_a_mismatch_is_warned_of_at_once(shop: Shop, heard: list[tuple[str, Mapping[str, Any]]]) -> None:
    await shop.execute(f"UPDATE jangbu.balances SET held = held + 5 WHERE {OF_KIM} AND asset = 1")
    report = await verifier(shop).verify()
    assert report is not None
    [(event, facts), (last, in_all)] = heard
    assert (last, in_all["mismatches"]) == ("verify.mismatched", 1)
    assert (event, facts["invariant"], facts["user"]) == ("verify.mismatch", "held", KIM)
    assert facts["message"].startswith("tokens held of kim should be ")


async def test_many_mismatches_are_warned_of_in_few_words(
    shop: Shop, heard: list[tuple[str, Mapping[str, Any]]]
) -> None:
    await shop.execute("UPDATE jangbu.entries SET hash = sha256(hash)")
    report = await verifier(shop).verify()
    assert report is not None
    assert [event for event, _ in heard] == ["verify.mismatch"] * 10 + ["verify.mismatched"]
    assert f"add up: {len(report.mismatches):,};" in heard[-1][1]["message"]


async def test_it_runs_by_itself_until_it_is_left(shop: Shop) -> None:
    ended = asyncio.Event()
    end = telemetry.subscribe(lambda _event, _facts: ended.set(), "verify.ended")
    try:
        async with verifier(shop, seconds=1):
            await asyncio.wait_for(ended.wait(), 60)
    finally:
        end()
    assert await verifications.find(shop.database, PROJECT) is not None
    assert await shop.rows("SELECT runner FROM jangbu.verifications") == [(None,)]


async def test_it_never_runs_where_it_is_turned_off(shop: Shop) -> None:
    async with verifier(shop, seconds=0) as off:
        assert off._task is None
