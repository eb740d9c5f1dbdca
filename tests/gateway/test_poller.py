"""Work that nobody asks for: the gateways ask for it by themselves, and it is charged once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from jangbu.gateway import poller as polling
from jangbu.gateway.poller import Poller
from jangbu.gateway.upstream import Upstream
from jangbu.gateway.upstream_keys import read_keys
from jangbu.testing import FakeGemini
from tests.gateway.book import asked as asked_database
from tests.gateway.book import came, findings, holds, records, require_sound
from tests.gateway.live import eventually, is_used
from tests.gateway.stage import UPSTREAM_KEY, Stage, stage
from tests.gateway.test_interactions import USAGE, made, shows
from tests.gateway.test_later import filed, finished, started, total


@pytest.fixture(autouse=True)
async def clean_book(served: Stage) -> AsyncIterator[None]:
    """Whatever a test did, the book adds up afterwards."""
    yield
    await require_sound(served)


@pytest.fixture
async def upstream(served: Stage) -> AsyncIterator[Upstream]:
    """Give a way to the provider."""
    async with Upstream(served.gemini.url, read_keys(UPSTREAM_KEY), idle_seconds=5) as upstream:
        yield upstream


async def let_wait(served: Stage, minutes: int = 11) -> None:
    """Have everything been begun so many minutes earlier."""
    await asked_database(
        served, "UPDATE jangbu.resources SET created_at = created_at - $1 * interval '1 minute'", minutes
    )


async def test_a_run_that_nobody_asks_for_is_settled_once_by_many_gateways(served: Stage, upstream: Upstream) -> None:
    answer, headers = await made(served, background=True)
    shows(served, answer["id"], status="completed", usage=USAGE)
    await let_wait(served)
    await asyncio.gather(*(Poller(served.ledger, upstream).poll() for _ in range(8)))
    [record] = await records(served)
    assert (record.id, record.tokens) == (headers["x-jangbu-call-id"], 150)
    assert await served.used() == (150, 0)
    assert (await holds(served), await findings(served)) == ([], [])
    before = len(served.gemini.requests())
    await Poller(served.ledger, upstream).poll()
    assert came(served, since=before) == []


async def test_what_began_a_moment_ago_is_left_to_its_owner(served: Stage, upstream: Upstream) -> None:
    await made(served, background=True)
    await let_wait(served, minutes=9)
    before = len(served.gemini.requests())
    await Poller(served.ledger, upstream).poll()
    assert came(served, since=before) == []


async def test_a_batch_is_settled_when_it_has_ended(served: Stage, upstream: Upstream) -> None:
    name, _ = await started(served)
    await let_wait(served)
    await Poller(served.ledger, upstream).poll()
    assert (await records(served), await holds(served)) == ([], ["open"]), "it still runs"
    await Poller(served.ledger, upstream).poll()
    assert came(served)[-1] == f"GET /v1beta/{name}"
    assert await served.used() == (total(served), 0)


async def test_results_that_stand_in_a_file_are_settled_too(served: Stage, upstream: Upstream) -> None:
    await filed(served)
    await let_wait(served)
    await Poller(served.ledger, upstream).poll()
    [record] = await records(served)
    assert await served.used() == (record.tokens, 0)
    assert await holds(served) == []


async def test_one_that_cannot_be_asked_for_keeps_no_other_from_it(served: Stage, upstream: Upstream) -> None:
    broken, _ = await made(served, background=True)
    await finished(served)
    served.gemini.when("503", path=broken["id"])
    await let_wait(served)
    await Poller(served.ledger, upstream).poll()
    assert len(await records(served)) == 1
    assert await holds(served) == ["open"]


async def test_all_have_their_turn_however_few_a_round_asks_for(
    served: Stage, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "ROUND_MAX", 2)
    names = [(await made(served, background=True))[0]["id"] for _ in range(5)]
    for name in names:
        shows(served, name, status="in_progress")
    await let_wait(served)
    before, poller = len(served.gemini.requests()), Poller(served.ledger, upstream)
    for _ in range(4):
        await poller.poll()
    asked_for = [line.rpartition("/")[2] for line in came(served, since=before)]
    assert asked_for == [*names, *names[:2]]


async def test_a_gateway_asks_by_itself_until_it_stops(
    database_url: str, served: Stage, gemini: FakeGemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, _ = await made(served, background=True)
    shows(served, answer["id"], status="completed", usage=USAGE)
    await let_wait(served)
    monkeypatch.setattr(polling, "SECONDS_BETWEEN", 0.1)
    async with stage(database_url, gemini):
        await eventually(lambda: is_used(served, (150, 0)))
    await made(served, background=True)
    await let_wait(served)
    before = len(gemini.requests())
    await asyncio.sleep(0.5)
    assert came(served, since=before) == []
