"""Results that come later: each is charged once, whoever sees it first, in whichever process."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Held, MarkUnknown, Receipt, Release, Settle, TakeHold
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.metering.evidence import restated
from jangbu.metering.later import release_later, settle_later
from jangbu.metering.meter import Metering
from jangbu.metering.resources import LaterCall, Owned, ResourceKind
from jangbu.metering.verify import Verification
from jangbu.providers.gemini import parse
from jangbu.wiring import open_metering

FLASH = "gemini-2.5-flash"
TARGET = "https://upstream.test/upload/v1beta/files?upload_id=u-1"
HELD, BOUGHT = 2_000, 100_000


@pytest.fixture
async def metering(database_url: str) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url)) as opened:
        await opened.accounts.create("kim")
        await opened.accounts.grant("kim", BOUGHT, key="order-1")
        yield opened


@pytest.fixture
async def another(metering: Metering, database_url: str) -> AsyncIterator[Metering]:
    """The ledger as another gateway opened it."""
    async with open_metering(Settings.load(database_url=database_url)) as opened:
        yield opened


@pytest.fixture(autouse=True)
async def clean_book(metering: Metering) -> AsyncIterator[None]:
    """Whatever a test did, the book adds up afterwards."""
    yield
    verification = Verification(metering.database, "default")
    report = await verification.run(recompute=metering.pricing.reprice, restate=restated)
    assert report.mismatches == ()


@pytest.fixture
def kim(metering: Metering) -> UUID:
    return metering.accounts.id_of("kim")


async def test_what_expired_is_swept_and_what_a_call_waits_for_is_not(metering: Metering, kim: UUID) -> None:
    await metering.resources.open_upload(kim, TARGET, 0, key=uuid4())
    await metering.resources.open_upload(kim, TARGET, 3600, key=uuid4())
    waiting = await started(metering, name="batches/waiting", seconds=0)
    await metering.resources.claim(kim, "files/kept", ResourceKind.FILE)
    assert await metering.resources.expire() == 1
    assert await metering.resources.find(kim, waiting.name) is not None
    await release_later(metering, waiting, "cancelled")
    assert await metering.resources.expire() == 1
    assert await metering.resources.find(kim, waiting.name) is None


async def test_a_hold_that_waits_for_a_batch_stays_open(metering: Metering, kim: UUID) -> None:
    waits, does_not, lost, released = [await held(metering) for _ in range(4)]
    await metering.execute(MarkUnknown(lost, "the connection broke"))
    await metering.execute(Release(released, "the provider answered 500"))
    assert [await metering.holds.extend(kim, each.id) for each in (lost, released)] == [False, False]
    assert not await metering.holds.extend(kim, uuid4())
    assert await metering.holds.extend(kim, waits.id)
    assert await metering.holds.extend(kim, waits.id, 0), "never shorter"
    async with metering.database.connection() as connection:
        await connection.execute("UPDATE jangbu.holds SET expires_at = expires_at - interval '47 hours 50 minutes'")
    assert await metering.holds.expire() == 1
    assert await states(metering) == {waits.id: "open", does_not.id: "unknown", lost.id: "unknown"}


async def test_a_batch_that_two_gateways_poll_at_once_is_charged_once(
    metering: Metering, another: Metering, kim: UUID
) -> None:
    batch = await started(metering)
    for gateway in (metering, another):
        assert await settle_later(gateway, await seen(gateway, batch), running_batch(batch.name)) is None
    receipts = await asyncio.gather(*(poll(gateway, batch) for _ in range(20) for gateway in (metering, another)))
    assert [receipt.replayed for receipt in receipts if receipt is not None].count(False) == 1
    assert {receipt.id for receipt in receipts if receipt is not None} == {batch.call and batch.call.id}
    await charged_once(metering, 150 + 70)
    after = await seen(another, batch)
    assert after.settled_at is not None
    assert await settle_later(another, after, finished_batch(batch.name)) is None
    assert (await seen(metering, batch)).settled_at == after.settled_at


async def test_a_record_keeps_who_began_the_work_and_for_what(metering: Metering, another: Metering) -> None:
    batch = await started(metering)
    receipt = await settle_later(another, await seen(another, batch), finished_batch(batch.name))
    assert receipt is not None
    assert (receipt.user, receipt.held_before, receipt.charged_tokens) == ("kim", HELD, 220)
    async with metering.database.connection() as connection:
        row = await connection.fetchrow("SELECT user_id, service_type, metadata->>'page' FROM jangbu.token_usage")
    assert tuple(row) == ("kim", "comic", "3")


async def test_a_process_that_died_before_it_noted_the_result_left_nothing_to_charge_again(
    metering: Metering, another: Metering
) -> None:
    batch = await started(metering)
    assert batch.call is not None
    await metering.execute(Settle(call_of(batch.call), finished_batch(batch.name)))
    receipt = await settle_later(another, await seen(another, batch), finished_batch(batch.name))
    assert receipt is not None
    assert receipt.replayed
    await charged_once(metering, 220)
    assert (await seen(metering, batch)).settled_at is not None


async def test_a_result_with_other_counts_changes_nothing(metering: Metering, another: Metering) -> None:
    batch = await started(metering)
    await settle_later(metering, batch, finished_batch(batch.name))
    assert await settle_later(another, batch, finished_batch(batch.name, prompt=5_000)) is None
    await charged_once(metering, 220)


@pytest.mark.parametrize("end", ["unknown", "expired", "released"])
async def test_a_result_is_charged_however_late_it_comes(metering: Metering, kim: UUID, end: str) -> None:
    batch = await started(metering)
    assert batch.call is not None
    if end == "unknown":
        await metering.execute(MarkUnknown(call_of(batch.call), "the connection broke"))
    elif end == "released":
        await metering.holds.release(kim, batch.call.id, "an operator gave up")
    else:
        async with metering.database.connection() as connection:
            await connection.execute("UPDATE jangbu.holds SET expires_at = now() - interval '1 hour'")
        assert await metering.holds.expire() == 1
    await settle_later(metering, batch, finished_batch(batch.name))
    await charged_once(metering, 220, findings=["late"] if end == "released" else [])


async def test_a_batch_that_was_cancelled_costs_nothing(metering: Metering, another: Metering) -> None:
    batch = await started(metering)
    await asyncio.gather(*(release_later(gateway, batch, "cancelled") for gateway in (metering, another)))
    await charged_once(metering, 0)
    assert (await seen(metering, batch)).settled_at is not None


async def test_a_batch_whose_results_are_in_a_file_is_settled_by_whichever_shows_them(
    metering: Metering, another: Metering, kim: UUID
) -> None:
    batch = await started(metering)
    file = await metering.resources.claim(kim, "files/results", ResourceKind.FILE, call=batch.call)
    lines = b"\n".join(
        json.dumps({"key": "k", "response": answer(*counts)}).encode() for counts in ((100, 50), (40, 30))
    )
    assert await settle_later(another, file, parse(lines, surface=Surface.BATCH, model=FLASH)) is not None
    assert (await seen(metering, batch)).settled_at is not None
    assert await settle_later(metering, batch, finished_batch(batch.name)) is not None, "it was read before"
    await charged_once(metering, 220)


async def test_counts_of_a_run_that_goes_on_are_not_the_last_word(metering: Metering) -> None:
    run = await started(metering, "interactions/i-1", ResourceKind.INTERACTION)
    running = {"id": "i-1", "status": "in_progress", "steps": [{"type": "google_search_call"}]}
    for so_far in (running, {**running, "usage": interaction_usage(10, 5)}):
        assert await settle_later(metering, run, interaction(so_far)) is None
    assert (await metering.accounts.balance("kim")).held == HELD
    done = {"status": "completed", "usage": interaction_usage(100, 50)}
    receipt = await settle_later(metering, run, interaction(done))
    assert receipt is not None
    async with metering.database.connection() as connection:
        assert await connection.fetchval("SELECT response_id FROM jangbu.usage") == "i-1"
    await charged_once(metering, 150)


async def test_work_that_ended_without_a_word_on_usage_is_recorded_as_such(metering: Metering) -> None:
    run = await started(metering, "interactions/i-1", ResourceKind.INTERACTION)
    silent = interaction({"id": "i-1", "status": "completed"})
    assert await settle_later(metering, run, silent) is None
    receipt = await settle_later(metering, run, silent, ended=True)
    assert receipt is not None
    assert receipt.charged_tokens == 0
    await charged_once(metering, 0, records=1, findings=["anomaly"])


async def test_an_answer_that_broke_off_leaves_the_rest_to_the_next(metering: Metering) -> None:
    batch = await started(metering)
    whole = finished_batch(batch.name)
    part = replace(whole, counts=Counts(prompt=100, candidates=50, total=150), source=Source.PARTIAL)
    assert await settle_later(metering, batch, part) is None
    await settle_later(metering, batch, whole)
    await charged_once(metering, 220)


async def test_a_video_costs_money_and_no_tokens(metering: Metering, another: Metering) -> None:
    name = "models/veo-3.0-generate-001/operations/o-1"
    operation = await started(metering, name, ResourceKind.OPERATION)
    shown: dict[str, Any] = {"name": name}
    assert await settle_later(metering, operation, video(shown)) is None
    shown |= {"done": True, "response": {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": "v"}}]}}}
    receipts = [await settle_later(gateway, operation, video(shown)) for gateway in (metering, another)]
    assert [receipt and receipt.replayed for receipt in receipts] == [False, True]
    balance = await metering.accounts.balance("kim")
    assert (balance.used, balance.held) == (0, 0)


async def test_what_no_call_waits_for_is_left_alone(metering: Metering, kim: UUID) -> None:
    file = await metering.resources.claim(kim, "files/a", ResourceKind.FILE)
    assert await settle_later(metering, file, finished_batch("batches/b")) is None
    await release_later(metering, file, "cancelled")
    await charged_once(metering, 0)


async def held(metering: Metering) -> Call:
    bounds = Bounds(1000, 1000, output_chosen=True)
    call = Call(new_id(SystemClock()), "kim", "comic", FLASH, bounds, metadata={"page": 3})
    assert await metering.execute(TakeHold(call, 1000, HELD, HELD)) == Held(HELD)
    return call


async def started(
    metering: Metering,
    name: str = "batches/b-1",
    kind: ResourceKind = ResourceKind.BATCH,
    seconds: int | None = None,
) -> Owned:
    """Begin work whose result comes later."""
    call = await held(metering)
    account = metering.accounts.id_of(call.user)
    later = LaterCall(call.id, call.service, call.model, call.metadata)
    owned = await metering.resources.claim(account, name, kind, call=later, seconds=seconds)
    assert await metering.holds.extend(account, call.id)
    return owned


def call_of(later: LaterCall) -> Call:
    return Call(later.id, "kim", later.service, later.model, Bounds(0, 0, output_chosen=True), metadata=later.metadata)


async def seen(metering: Metering, owned: Owned) -> Owned:
    found = await metering.resources.find(owned.account, owned.name)
    assert found is not None
    return found


async def poll(metering: Metering, batch: Owned) -> Receipt | None:
    return await settle_later(metering, await seen(metering, batch), finished_batch(batch.name))


async def charged_once(
    metering: Metering, tokens: int, records: int | None = None, findings: list[str] | None = None
) -> None:
    """All that was charged stands in one record, by one entry; nothing is held and nothing else is to be looked at."""
    balance = await metering.accounts.balance("kim")
    assert (balance.granted, balance.used, balance.held) == (BOUGHT, tokens, 0)
    assert "open" not in (await states(metering)).values()
    expected = int(tokens > 0) if records is None else records
    async with metering.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM jangbu.usage") == expected
        entries = "SELECT count(*) FROM jangbu.entries WHERE kind IN ('usage', 'overrun')"
        assert await connection.fetchval(entries) == int(tokens > 0)
        found = await connection.fetch("SELECT kind FROM jangbu.findings WHERE resolved_at IS NULL ORDER BY kind::text")
    assert [row["kind"] for row in found] == (findings or [])


async def states(metering: Metering) -> dict[UUID, str]:
    return {hold.id: hold.state for hold in await metering.holds.page(None, ["open", "unknown"], 100)}


def answer(prompt: int, output: int) -> dict[str, Any]:
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": output, "totalTokenCount": prompt + output}
    candidate = {"content": {"role": "model", "parts": [{"text": "네"}]}, "finishReason": "STOP"}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": FLASH, "responseId": f"r-{prompt}"}


def running_batch(name: str) -> Usage:
    shown = {"name": name, "metadata": {"name": name, "model": f"models/{FLASH}", "state": "BATCH_STATE_RUNNING"}}
    return parse(json.dumps(shown).encode(), surface=Surface.BATCH)


def finished_batch(name: str, prompt: int = 100) -> Usage:
    members = [{"response": answer(prompt, 50)}, {"response": answer(40, 30)}]
    output = {"inlinedResponses": {"inlinedResponses": members}}
    about = {"model": f"models/{FLASH}", "state": "BATCH_STATE_SUCCEEDED", "output": output}
    shown = {"name": name, "metadata": about, "done": True, "response": output}
    return parse(json.dumps(shown).encode(), surface=Surface.BATCH)


def interaction(shown: dict[str, Any]) -> Usage:
    return parse(json.dumps({"object": "interaction", **shown}).encode(), surface=Surface.INTERACTIONS, model=FLASH)


def interaction_usage(prompt: int, output: int) -> dict[str, Any]:
    return {"total_input_tokens": prompt, "total_output_tokens": output, "total_tokens": prompt + output}


def video(shown: dict[str, Any]) -> Usage:
    return parse(json.dumps(shown).encode(), surface=Surface.PREDICT_LONG_RUNNING)
