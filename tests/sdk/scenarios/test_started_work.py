"""Batches and long operations: held for before they start, and settled by whoever sees the result, once, for whoever
started them.
"""

import asyncio
import io
import json
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from jangbu import Balance, InsufficientBalance
from jangbu.errors import DatabaseUnreachable
from jangbu.sdk.background import PATIENCE_SECONDS
from jangbu.testing import Behaviour, Recorded
from tests.sdk.scenarios.stage import BALANCE, MODEL, USER, Stage

POLLS = 4
RUNNING, DONE = "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"


def requests(pages: int = 3, **config: Any) -> Any:
    return [
        {"contents": [{"role": "user", "parts": [{"text": f"page {page}"}]}], **({"config": config} if config else {})}
        for page in range(pages)
    ]


def start(stage: Stage, source: Any, user: str = USER) -> str:
    """Start a batch; give its name."""
    with stage.meter.attribute(user=user, service="script", tags={"book": "7"}):
        try:
            batch = stage.client.batches.create(model=MODEL, src=source)
        except (ValueError, TypeError, AttributeError) as error:
            pytest.skip(f"this google-genai starts no such batch on the Gemini API: {error}")
    assert batch.name is not None
    return batch.name


def fetch(stage: Stage, name: str, times: int = POLLS) -> Any:
    for _ in range(times):
        batch = stage.client.batches.get(name=name)
    return batch


def total_answered(stage: Stage) -> int:
    (answered, *_) = [answer for answer in stage.gemini.answers() if answer.members]
    return sum(int(member["usage"]["totalTokenCount"]) for member in answered.members)


def poor(stage: Stage, tokens: int = 0) -> str:
    stage.meter.create("poor")
    if tokens:
        stage.meter.grant("poor", tokens, key="bought-by-the-poor")
    return "poor"


def test_a_batch_is_held_for_until_its_result_is_seen(stage: Stage) -> None:
    name = start(stage, requests(max_output_tokens=1000))
    held = stage.balance.held
    assert stage.holds() == ["open"]
    assert 3 * 1000 < held < 3 * 1300
    fetch(stage, name, 1)
    assert (stage.records(), stage.balance.held) == ([], held)
    fetch(stage, name)
    (record,) = stage.records()
    assert (record.user, record.service, record.surface, record.tags) == (USER, "script", "batch", {"book": "7"})
    assert record.total == total_answered(stage)
    assert stage.balance == Balance(BALANCE, record.total, 0)
    assert stage.holds() == []


async def test_an_asynchronous_batch_is_held_for_too(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        try:
            batch = await stage.client.aio.batches.create(model=MODEL, src=requests())
        except (ValueError, TypeError, AttributeError) as error:
            pytest.skip(f"this google-genai starts no inline batch on the Gemini API: {error}")
    assert stage.holds() == ["open"]
    assert batch.name is not None
    await asyncio.gather(*(stage.client.aio.batches.get(name=batch.name) for _ in range(POLLS)))
    await stage.client.aio.batches.get(name=batch.name)
    assert [record.total for record in stage.records()] == [total_answered(stage)]
    assert stage.holds() == []


def test_who_cannot_pay_for_a_batch_starts_none(stage: Stage) -> None:
    user = poor(stage, 1000)
    with pytest.raises(InsufficientBalance) as refused:
        start(stage, requests(max_output_tokens=1000), user)
    assert refused.value.available == 1000
    assert stage.gemini.requests() == []
    assert stage.holds() == []


def test_two_batches_do_not_spend_one_balance(stage: Stage) -> None:
    user = poor(stage, 4000)
    start(stage, requests(max_output_tokens=1000), user)
    with pytest.raises(InsufficientBalance):
        start(stage, requests(max_output_tokens=1000), user)
    assert stage.meter.balance(user).held <= 4000


def test_answers_without_a_limit_of_their_own_get_one_that_is_held_for(stage: Stage) -> None:
    user = poor(stage, 40_000)
    start(stage, requests(2), user)
    (sent,) = [json.loads(each.body) for each in stage.gemini.requests() if each.body]
    limits = [
        single["request"]["generationConfig"]["maxOutputTokens"]
        for single in sent["batch"]["inputConfig"]["requests"]["requests"]
    ]
    held = stage.meter.balance(user).held
    assert 0 < sum(limits) <= held <= 40_000


def test_another_process_settles_it_for_whoever_started_it(stage: Stage, elsewhere: Stage) -> None:
    name = start(stage, requests())
    fetch(elsewhere, name)
    fetch(stage, name, 1)
    (record,) = stage.records()
    assert (record.user, record.service, record.tags) == (USER, "script", {"book": "7"})
    assert stage.balance == Balance(BALANCE, total_answered(stage), 0)
    assert stage.holds() == []


def test_a_batch_that_failed_costs_nothing(stage: Stage, elsewhere: Stage) -> None:
    name = start(stage, requests())
    shown = {"name": name, "metadata": {"state": "BATCH_STATE_FAILED"}, "done": True, "error": {"code": 13}}
    stage.gemini.next(Behaviour(recorded=Recorded(json.dumps(shown).encode())))
    fetch(elsewhere, name, 1)
    assert stage.records() == []
    assert stage.balance == Balance(BALANCE, 0, 0)
    assert stage.holds() == []


@pytest.mark.parametrize("failure", ["503", "429"])
def test_a_batch_that_google_refuses_holds_nothing(stage: Stage, failure: str) -> None:
    stage.gemini.next(failure)
    with pytest.raises(Exception, match=failure):
        start(stage, requests())
    assert stage.balance == Balance(BALANCE, 0, 0)
    assert stage.holds() == []


def test_what_google_does_not_name_is_of_unknown_outcome(stage: Stage) -> None:
    stage.gemini.next(Behaviour(recorded=Recorded(b'{"metadata": {"state": "BATCH_STATE_PENDING"}}')))
    with stage.meter.attribute(user=USER):
        try:
            stage.client.batches.create(model=MODEL, src=requests())
        except (ValueError, TypeError, AttributeError) as error:
            pytest.skip(f"this google-genai starts no inline batch on the Gemini API: {error}")
    assert stage.holds() == ["unknown"]


def test_of_requests_in_a_file_a_token_is_held_and_whoever_downloads_the_results_settles_it(
    stage: Stage, elsewhere: Stage
) -> None:
    lines = b"".join(
        json.dumps({"key": f"page-{page}", "request": single}).encode() + b"\n"
        for page, single in enumerate(requests())
    )
    uploaded = stage.client.files.upload(file=io.BytesIO(lines), config={"mime_type": "application/jsonl"})
    name = start(stage, uploaded.name)
    assert stage.balance == Balance(BALANCE, 0, 1)
    batch = fetch(elsewhere, name)
    assert stage.records() == []
    file = batch.dest.file_name
    elsewhere.client.files.download(file=file)
    stage.client.files.download(file=file)
    (record,) = stage.records()
    assert (record.user, record.service, record.tags) == (USER, "script", {"book": "7"})
    assert stage.balance == Balance(BALANCE, record.total, 0)
    assert record.total > 0
    assert stage.holds() == []


def test_who_has_nothing_starts_no_batch_of_a_file_either(stage: Stage) -> None:
    user = poor(stage)
    with pytest.raises(InsufficientBalance):
        start(stage, "files/some-requests", user)
    assert stage.gemini.requests() == []


def test_a_file_that_a_batch_names_is_held_for_by_its_size(stage: Stage) -> None:
    uploaded = stage.client.files.upload(file=io.BytesIO(b"a page " * 1000), config={"mime_type": "text/plain"})
    named: Any = [{"fileData": {"fileUri": uploaded.uri, "mimeType": "text/plain"}}]
    single = {"contents": [{"role": "user", "parts": named}], "config": {"max_output_tokens": 10}}
    start(stage, [single])
    assert 7000 <= stage.balance.held < 10_000


@pytest.mark.filterwarnings("ignore:.*generate_videos.*:DeprecationWarning")
def test_a_video_is_held_for_and_recorded_for_whoever_started_it(stage: Stage, elsewhere: Stage) -> None:
    with stage.meter.attribute(user=USER, service="trailer"):
        try:
            operation = stage.client.models.generate_videos(model="veo-3.1-generate-preview", prompt="a sunrise")
        except (ValueError, TypeError, AttributeError) as error:
            pytest.skip(f"this google-genai makes no videos on the Gemini API: {error}")
    assert stage.holds() == ["open"]
    for _ in range(POLLS):
        operation = elsewhere.client.operations.get(operation)
    assert operation.done
    assert [(record.user, record.service, record.total) for record in stage.records()] == [(USER, "trailer", 0)]
    assert stage.holds() == []


async def test_no_gateway_asks_for_it_or_lists_it(stage: Stage) -> None:
    name = start(stage, requests())

    async def seen(metering: Any) -> tuple[list[Any], list[Any]]:
        begun = await metering.resources.begun(name)
        return await metering.resources.waiting(0, 100), await metering.resources.page(begun.account, begun.kind)

    assert await stage.meter._background.wait_async(seen) == ([], [])


def test_a_meter_that_is_closed_waits_for_no_result(stage: Stage, elsewhere: Stage) -> None:
    name = start(stage, requests())
    began = time.monotonic()
    stage.meter.close()
    assert time.monotonic() - began < PATIENCE_SECONDS / 2
    fetch(elsewhere, name)
    assert [record.user for record in elsewhere.records()] == [USER]
    assert elsewhere.holds() == []


async def test_a_caller_who_is_gone_leaves_the_batch_to_others(
    stage: Stage, elsewhere: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is cancelled while it is written down whose the batch is."""
    noting = threading.Event()

    async def create() -> None:
        with stage.meter.attribute(user=USER):
            try:
                await stage.client.aio.batches.create(model=MODEL, src=requests())
            except (ValueError, TypeError, AttributeError) as error:
                noting.set()
                pytest.skip(f"this google-genai starts no inline batch on the Gemini API: {error}")

    async def claim(*given: Any, **named: Any) -> Any:
        noting.set()
        await asyncio.sleep(0.2)
        return await claiming(*given, **named)

    ledger = stage.meter._background.opened().result()
    claiming = ledger.resources.claim
    monkeypatch.setattr(ledger.resources, "claim", claim)
    creating = asyncio.create_task(create())
    await asyncio.to_thread(noting.wait, 30)
    creating.cancel()
    with suppress(asyncio.CancelledError):
        await creating
    await asyncio.to_thread(stage.meter.close)
    (name,) = await elsewhere.meter._background.wait_async(names)
    fetch(elsewhere, name)
    assert elsewhere.balance == Balance(BALANCE, total_answered(elsewhere), 0)
    assert elsewhere.holds() == []


async def names(metering: Any) -> list[str]:
    async with metering.database.connection() as connection:
        return [row["name"] for row in await connection.fetch("SELECT name FROM jangbu.resources")]


def lines_of(pages: int = 3) -> bytes:
    return b"".join(
        json.dumps({"key": f"page-{page}", "request": single}).encode() + b"\n"
        for page, single in enumerate(requests(pages))
    )


def started_of_a_file(stage: Stage) -> str:
    uploaded = stage.client.files.upload(file=io.BytesIO(lines_of()), config={"mime_type": "application/jsonl"})
    return start(stage, uploaded.name)


def shown_next(stage: Stage, **shown: Any) -> None:
    stage.gemini.next(Behaviour(recorded=Recorded(json.dumps(shown).encode())))


ANSWER = {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 20, "totalTokenCount": 30}}
INLINE = {"inlinedResponses": {"inlinedResponses": [{"response": {"candidates": [], **ANSWER}}]}}


@pytest.mark.parametrize("payer", [None, "poor"])
def test_a_file_that_is_downloaded_before_its_batch_named_it_is_paid_for_by_whoever_started_that(
    stage: Stage, elsewhere: Stage, payer: str | None
) -> None:
    """Google names the file after the batch, so it leads there."""
    start(stage, requests())
    (name,) = stage.meter._background.wait(names)
    file = f"files/batch-{name.removeprefix('batches/')}"
    line = json.dumps({"key": "page-0", "response": {"candidates": [], **ANSWER}}).encode()
    poor(stage, 1000)
    for client in (elsewhere, elsewhere, stage):
        stage.gemini.next(Behaviour(recorded=Recorded(line + b"\n")))
        with client.meter.attribute(user=payer):
            assert client.client.files.download(file=file) == line + b"\n"
    assert [(record.user, record.total) for record in stage.records()] == [(USER, 30)]
    assert stage.balance == Balance(BALANCE, 30, 0)
    assert stage.holds() == []


def test_results_that_a_list_brings_along_are_settled(stage: Stage, elsewhere: Stage) -> None:
    name = start(stage, requests())
    assert [job.name for job in elsewhere.client.batches.list()] == [name]
    assert stage.holds() == ["open"]
    done = {"name": name, "done": True, "metadata": {"state": "BATCH_STATE_SUCCEEDED", "output": INLINE}}
    shown_next(stage, operations=[done, {"name": "batches/of-nobody", "done": True, "response": INLINE}])
    list(elsewhere.client.batches.list())
    assert [(record.user, record.total) for record in stage.records()] == [(USER, 30)]
    assert stage.holds() == []


def test_what_the_ledger_could_not_be_told_is_told_when_the_result_is_asked_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def claim(*_given: Any, **_named: Any) -> None:
        raise DatabaseUnreachable("away")

    with monkeypatch.context() as patch:
        patch.setattr(stage.meter._background.opened().result().resources, "claim", claim)
        name = start(stage, requests())
    assert stage.holds() == ["unknown"]
    with stage.meter.attribute(user=poor(stage, 100_000)):
        fetch(stage, name)
    (record,) = stage.records()
    assert (record.user, record.service, record.tags) == (USER, "script", {"book": "7"})
    assert stage.balance == Balance(BALANCE, total_answered(stage), 0)
    assert stage.holds() == []


def test_an_end_without_counts_settles_nothing(stage: Stage) -> None:
    name = start(stage, requests())
    shown_next(stage, name=name, done=True, metadata={"state": "BATCH_STATE_SUCCEEDED"})
    fetch(stage, name, 1)
    assert (stage.records(), stage.holds()) == ([], ["open"])
    fetch(stage, name)
    assert stage.balance == Balance(BALANCE, total_answered(stage), 0)


def test_a_file_of_errors_alone_gives_the_hold_back(stage: Stage) -> None:
    file = fetch(stage, started_of_a_file(stage)).dest.file_name
    stage.gemini.next(Behaviour(recorded=Recorded(b'{"key": "page-0", "error": {"code": 3, "message": "no"}}\n')))
    stage.client.files.download(file=file)
    assert (stage.records(), stage.holds(), stage.balance) == ([], [], Balance(BALANCE, 0, 0))


def test_what_runs_is_asked_for_without_the_ledger(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def begun(_name: str) -> None:
        raise DatabaseUnreachable("away")

    name = start(stage, requests())
    with monkeypatch.context() as patch:
        patch.setattr(stage.meter._background.opened().result().resources, "begun", begun)
        fetch(stage, name, 1)
        with pytest.raises(DatabaseUnreachable):
            fetch(stage, name)
    fetch(stage, name)
    assert stage.balance == Balance(BALANCE, total_answered(stage), 0)


def test_a_result_that_cannot_be_read_is_the_apps_and_can_be_read_again(stage: Stage) -> None:
    name = start(stage, requests())
    stage.gemini.next(Behaviour(recorded=Recorded(b'{"name": 7, "done": true, "response": "odd"}')))
    with suppress(ValueError, TypeError):
        stage.client.batches.get(name=name)
    assert stage.holds() == ["open"]
    fetch(stage, name)
    assert stage.balance == Balance(BALANCE, total_answered(stage), 0)


def test_nothing_is_asked_of_google_for_who_has_nothing(stage: Stage) -> None:
    user = poor(stage)
    part: Any = {"fileData": {"fileUri": f"{stage.gemini.url}/v1beta/files/a-page", "mimeType": "text/plain"}}
    with pytest.raises(InsufficientBalance):
        start(stage, [{"contents": [{"role": "user", "parts": [part]}]}], user)
    assert stage.gemini.requests() == []
