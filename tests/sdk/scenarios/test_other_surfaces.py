"""Embeddings, pictures, caches and batches."""

from typing import Any

import pytest

from jangbu import Balance, MissingUser
from tests.sdk.scenarios.stage import BALANCE, MODEL, USER, Stage


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
