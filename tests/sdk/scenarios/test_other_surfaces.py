"""Embeddings, pictures, caches and batches."""

import io
import json
from typing import Any

import pytest
from google.genai import types

from jangbu import Balance, MissingUser
from jangbu.errors import NotOffered
from jangbu.testing import Behaviour, Recorded
from tests.sdk.scenarios.stage import BALANCE, MODEL, USER, Stage

QUESTION = {"type": "choice", "criteria": {"yes": "It greets.", "no": "It does not."}, "instructions": "Is it polite?"}


def test_an_embedding_that_reports_its_prompt(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        stage.client.models.embed_content(model="gemini-embedding-2", contents="장부")
    (record,) = stage.records()
    assert (record.service, record.source) == ("embedding", "reported")
    stage.assert_the_book_equals_the_log()


def test_an_embedding_that_reports_nothing_is_counted_by_count_tokens(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        stage.client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])
    (record,) = stage.records()
    assert (record.service, record.source) == ("embedding", "count_tokens")
    assert record.total > 0
    assert stage.balance == Balance(BALANCE, record.total, 0)


async def test_an_asynchronous_embedding_is_counted_too(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        await stage.client.aio.models.embed_content(model="gemini-embedding-001", contents="one")
    (record,) = stage.records()
    assert record.source == "count_tokens"


def test_a_cache_is_recorded_and_charges_no_tokens(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        cache = stage.client.caches.create(model=MODEL, config={"contents": "a long book " * 2000, "ttl": "600s"})
    assert cache.name is not None
    stage.client.caches.get(name=cache.name)
    assert [(record.surface, record.total) for record in stage.records()] == [("cached_contents", 0)]
    assert stage.balance == Balance(BALANCE, 0, 0)


def test_a_call_on_a_cache_counts_its_input_and_is_recorded(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        cache = stage.client.caches.create(model=MODEL, config={"contents": "a long book " * 2000, "ttl": "600s"})
        stage.client.models.generate_content(model=MODEL, contents="who?", config={"cached_content": cache.name})
    assert [record.surface for record in stage.records()] == ["cached_contents", "generate_content"]
    assert stage.records()[1].total > 2000
    assert stage.holds() == []


def test_a_batch_is_free_to_start_and_its_results_are_recorded_once(stage: Stage) -> None:
    requests: Any = [{"contents": [{"role": "user", "parts": [{"text": f"page {page}"}]}]} for page in range(3)]
    with stage.meter.attribute(user=USER, service="script"):
        try:
            batch = stage.client.batches.create(model=MODEL, src=requests)
        except (ValueError, TypeError, AttributeError) as error:
            pytest.skip(f"this google-genai starts no inline batch on the Gemini API: {error}")
    assert stage.records() == []
    assert batch.name is not None
    for _ in range(4):
        batch = stage.client.batches.get(name=batch.name)
    (record,) = stage.records()
    assert (record.user, record.service, record.surface) == (USER, "script", "batch")
    assert stage.balance == Balance(BALANCE, record.total, 0)
    (answered, *_) = [answer for answer in stage.gemini.answers() if answer.members]
    assert record.total == sum(member["usage"]["totalTokenCount"] for member in answered.members)


async def test_an_asynchronous_batch_is_recorded_once(stage: Stage) -> None:
    requests: Any = [{"contents": [{"role": "user", "parts": [{"text": "page"}]}]}]
    with stage.meter.attribute(user=USER):
        try:
            batch = await stage.client.aio.batches.create(model=MODEL, src=requests)
        except (ValueError, TypeError, AttributeError) as error:
            pytest.skip(f"this google-genai starts no inline batch on the Gemini API: {error}")
    assert batch.name is not None
    for _ in range(4):
        await stage.client.aio.batches.get(name=batch.name)
    assert len(stage.records()) == 1


def test_a_batch_that_nobody_pays_for_is_not_started(stage: Stage) -> None:
    requests: Any = [{"contents": [{"parts": [{"text": "page"}]}]}]
    with pytest.raises((MissingUser, ValueError, TypeError, AttributeError)):
        stage.client.batches.create(model=MODEL, src=requests)
    assert stage.gemini.requests() == []


RESULTS = b"".join(
    b'{"key": "page-%d", "response": {"candidates": [{"finishReason": "STOP"}], "modelVersion": "gemini-2.5-flash", '
    b'"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": %d, "totalTokenCount": %d}}}\n'
    % (page, page, 10 + page)
    for page in range(1, 4)
)


def upload(stage: Stage, content: bytes) -> str:
    uploaded = stage.client.files.upload(file=io.BytesIO(content), config={"mime_type": "application/jsonl"})
    assert uploaded.name is not None
    return uploaded.name


def test_a_result_file_is_recorded_once_when_it_is_downloaded(stage: Stage) -> None:
    name = upload(stage, RESULTS)
    with stage.meter.attribute(user=USER, service="script"):
        assert stage.client.files.download(file=name) == RESULTS
        stage.client.files.download(file=name)
    assert [(record.surface, record.service, record.total) for record in stage.records()] == [("batch", "script", 36)]
    assert stage.balance == Balance(BALANCE, 36, 0)


@pytest.mark.parametrize(("downloaded", "charged"), [(3, [11, 12, 13]), (2, [11, 12])])
def test_a_result_file_of_which_answers_were_recorded_before_charges_the_others_and_is_the_apps(
    stage: Stage, downloaded: int, charged: list[int]
) -> None:
    named = [
        line.replace(b'{"candidates"', b'{"responseId": "answer-%d", "candidates"' % number)
        for number, line in enumerate(RESULTS.splitlines(keepends=True))
    ]
    for line in named[:2]:
        stage.meter.record_token_usage(USER, "script", MODEL, json.loads(line)["response"])
    content = b"".join(named[:downloaded])
    name = upload(stage, content)
    with stage.meter.attribute(user=USER, service="script"):
        for _ in range(2):
            assert stage.client.files.download(file=name) == content
    assert sorted(record.total for record in stage.records()) == charged


async def test_a_result_file_is_recorded_for_whoever_started_the_batch(stage: Stage) -> None:
    name = upload(stage, RESULTS)
    shown = {"name": "batches/one", "done": True, "metadata": {}, "response": {"responsesFile": name}}
    stage.gemini.next(Behaviour(recorded=Recorded(json.dumps(shown).encode())))
    with stage.meter.attribute(user=USER):
        try:
            stage.client.batches.get(name="batches/one")
        except ValueError as error:
            pytest.skip(f"this google-genai knows no batches of the Gemini API: {error}")
    assert await stage.client.aio.files.download(file=name) == RESULTS
    assert [(record.user, record.total) for record in stage.records()] == [(USER, 36)]


def test_a_file_that_is_no_result_passes_untouched(stage: Stage) -> None:
    name = upload(stage, b'{"a": "book"}')
    assert stage.client.files.download(file=name) == b'{"a": "book"}'
    assert stage.records() == []


def test_a_video_is_recorded_when_it_is_there(stage: Stage) -> None:
    name = "models/veo-3.1-generate-preview/operations/one"
    shown = {"name": name, "done": True, "response": {"generateVideoResponse": {"generatedSamples": [{"video": {}}]}}}
    operation = types.GenerateVideosOperation()
    operation.name = name
    for _ in range(2):
        stage.gemini.next(Behaviour(recorded=Recorded(json.dumps(shown).encode())))
        with stage.meter.attribute(user=USER):
            stage.client.operations.get(operation)
    assert [(record.service, record.total) for record in stage.records()] == [("video_generation", 0)]


@pytest.mark.filterwarnings("ignore:.*experimental.*:UserWarning")
@pytest.mark.parametrize(
    ("resource", "method", "asked"),
    [
        ("decisions", "create", {"model": MODEL, "input": "hello", "questions": {"is_polite": QUESTION}}),
        ("triggers", "run", {"trigger_id": "every-morning"}),
    ],
)
async def test_what_would_call_models_past_the_meter_is_not_sent(
    stage: Stage, resource: str, method: str, asked: dict[str, Any]
) -> None:
    if not hasattr(stage.client, resource):
        pytest.skip(f"this google-genai has no {resource}")
    with stage.meter.attribute(user=USER):
        with pytest.raises(NotOffered, match="not metered"):
            getattr(getattr(stage.client, resource), method)(**asked)
        with pytest.raises(NotOffered, match="not metered"):
            await getattr(getattr(stage.client.aio, resource), method)(**asked)
    assert stage.gemini.requests() == []
