"""Work that nobody asks for: the gateways ask for it by themselves, and it is charged once."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from uuid import UUID

import pytest

from jangbu.gateway import poller as polling
from jangbu.gateway.poller import Poller
from jangbu.gateway.upstream import Upstream
from jangbu.gateway.upstream_keys import read_keys
from jangbu.metering.resolving import release_hold
from jangbu.testing import FakeGemini
from tests.gateway.book import asked as asked_database
from tests.gateway.book import came, findings, holds, records, require_sound
from tests.gateway.live import eventually, is_used
from tests.gateway.stage import UPSTREAM_KEY, Stage, stage
from tests.gateway.test_interactions import PATH, USAGE, made, shows
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


GONE = "the provider has the work no more"
believed = pytest.mark.usefixtures("believed_at_once")


@pytest.fixture
def believed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a poller believe the provider at once that it has no such work."""
    monkeypatch.setattr(polling, "MISSED_SECONDS", 0)


async def test_what_the_provider_does_not_know_for_a_while_is_asked_for_again(
    served: Stage, upstream: Upstream
) -> None:
    """A key of another project does not know it either."""
    answer, _ = await made(served, background=True)
    served.gemini.when("404", path=answer["id"])
    await let_wait(served)
    poller = Poller(served.ledger, upstream)
    for _ in range(3):
        await poller.poll()
    assert (await holds(served), await findings(served)) == (["open"], [])
    served.gemini.forget_behaviours()
    shows(served, answer["id"], status="completed", usage=USAGE)
    await poller.poll()
    assert (await served.used(), await holds(served)) == ((150, 0), [])


async def test_it_is_believed_after_an_hour_that_counts_anew_whenever_the_work_is_shown(
    served: Stage, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, _ = await made(served, background=True)
    await let_wait(served)
    now = 0
    monkeypatch.setattr(polling, "time", SimpleNamespace(monotonic=lambda: now))
    poller = Poller(served.ledger, upstream)
    for now, is_known, state in (
        (0, False, "open"),
        (3599, True, "open"),
        (3600, False, "open"),
        (7199, False, "open"),
        (7200, False, "unknown"),
    ):
        served.gemini.forget_behaviours()
        if is_known:
            shows(served, answer["id"], status="in_progress")
        else:
            served.gemini.when("404", path=answer["id"])
        await poller.poll()
        assert await holds(served) == [state], now


@believed
async def test_what_the_provider_has_no_more_is_told_and_asked_for_no_more(served: Stage, upstream: Upstream) -> None:
    answer, _ = await made(served, background=True)
    served.gemini.when("404", path=answer["id"])
    await let_wait(served)
    _, held = await served.used()
    await Poller(served.ledger, upstream).poll()
    assert (await records(served), await holds(served), await findings(served)) == (
        [],
        ["unknown"],
        ["unknown_outcome"],
    )
    [hold] = await asked_database(served, "SELECT reason FROM jangbu.holds")
    assert hold["reason"] == GONE
    assert await served.used() == (0, held), "nobody knows what it used, so its tokens stay held"
    before = len(served.gemini.requests())
    await Poller(served.ledger, upstream).poll()
    assert came(served, since=before) == []


@believed
async def test_what_is_gone_takes_nobody_s_turn(
    served: Stage, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, and whatever became of their holds."""
    monkeypatch.setattr(polling, "ROUND_MAX", 2)
    gone = [(await made(served, background=True))[0]["id"] for _ in range(2)]
    living, _ = await made(served, background=True)
    served.gemini.when("404", path=gone[0])
    served.gemini.when("404", path=gone[1])
    shows(served, living["id"], status="in_progress")
    await let_wait(served)
    await Poller(served.ledger, upstream).poll()
    before = len(served.gemini.requests())
    await Poller(served.ledger, upstream).poll()
    assert [line.rpartition("/")[2] for line in came(served, since=before)] == [living["id"]]


@believed
@pytest.mark.parametrize("is_released", [True, False])
async def test_work_whose_outcome_was_given_up_before_it_was_gone_is_asked_for_once_more(
    served: Stage, upstream: Upstream, is_released: bool
) -> None:
    """A hold that was unknown, or closed by hand, stays as it is."""
    answer, headers = await made(served, background=True)
    call = UUID(headers["x-jangbu-call-id"])
    await asked_database(served, "UPDATE jangbu.holds SET expires_at = clock_timestamp() WHERE id = $1", call)
    await served.ledger.holds.expire()
    if is_released:
        assert await release_hold(served.ledger, call, "nothing came") == (True, False)
    served.gemini.when("404", path=answer["id"])
    await let_wait(served)
    before = len(served.gemini.requests())
    for _ in range(2):
        await Poller(served.ledger, upstream).poll()
    assert len(came(served, since=before)) == 1
    [hold] = await asked_database(served, "SELECT state::text, reason FROM jangbu.holds")
    assert tuple(hold) == (("released", "nothing came") if is_released else ("unknown", "its time was up"))


@believed
@pytest.mark.parametrize("is_released", [True, False])
async def test_a_result_that_its_owner_sees_after_all_is_recorded(
    served: Stage, upstream: Upstream, is_released: bool
) -> None:
    answer, headers = await made(served, background=True)
    served.gemini.when("404", path=answer["id"])
    await let_wait(served)
    await Poller(served.ledger, upstream).poll()
    if is_released:
        await release_hold(served.ledger, UUID(headers["x-jangbu-call-id"]), "Google has it no more")
    served.gemini.forget_behaviours()
    shows(served, answer["id"], status="completed", usage=USAGE)
    assert (await served.get(f"{PATH}/{answer['id']}"))[0] == 200
    [record] = await asked_database(served, "SELECT total, late FROM jangbu.usage")
    assert tuple(record) == (150, is_released)
    assert (await served.used(), await findings(served)) == ((150, 0), ["late"] if is_released else [])


@believed
async def test_a_batch_that_is_gone_leaves_its_file_to_be_asked_for(served: Stage, upstream: Upstream) -> None:
    name, _ = await filed(served)
    served.gemini.when("404", path=name)
    await let_wait(served)
    await Poller(served.ledger, upstream).poll()
    [record] = await records(served)
    assert await served.used() == (record.tokens, 0)
    assert await asked_database(served, "SELECT FROM jangbu.findings") == [], "the file told what it used"


@believed
async def test_a_batch_whose_file_is_gone_has_nothing_more_to_show(served: Stage, upstream: Upstream) -> None:
    _, file = await filed(served)
    served.gemini.when("404", path=file)
    await let_wait(served)
    await Poller(served.ledger, upstream).poll()
    assert (await records(served), await holds(served), await findings(served)) == (
        [],
        ["unknown"],
        ["unknown_outcome"],
    )
    before = len(served.gemini.requests())
    await Poller(served.ledger, upstream).poll()
    assert came(served, since=before) == []


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
