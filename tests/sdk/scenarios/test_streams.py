"""streamGenerateContent: durable before the app has the last chunk, and settled however the stream ends."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from google.genai import errors
from starlette.responses import StreamingResponse

from jangbu import Balance, InsufficientBalance
from tests.sdk.scenarios.stage import BALANCE, MODEL, USER, Stage

OTHER = "jisoo"


def stream(stage: Stage) -> Iterator[Any]:
    with stage.meter.attribute(user=USER):
        chunks: Iterator[Any] = stage.client.models.generate_content_stream(model=MODEL, contents="hello")
    return chunks


def test_a_stream_is_one_record(stage: Stage) -> None:
    stage.gemini.next("chunks=5")
    chunks = list(stream(stage))
    assert len(chunks) > 1
    (record,) = stage.records()
    assert (record.source, record.surface) == ("reported", "stream_generate_content")
    assert record.total == chunks[-1].usage_metadata.total_token_count
    stage.assert_the_book_equals_the_log()


async def test_an_asynchronous_stream_is_one_record(stage: Stage) -> None:
    stage.gemini.next("chunks=5")
    with stage.meter.attribute(user=USER):
        chunks = [
            chunk
            async for chunk in await stage.client.aio.models.generate_content_stream(model=MODEL, contents="hello")
        ]
    assert len(chunks) > 1
    stage.assert_the_book_equals_the_log()


def test_the_record_is_durable_before_the_last_chunk_is_handed_over(stage: Stage) -> None:
    stage.gemini.next("chunks=4")
    records_seen = []
    for chunk in stream(stage):
        records_seen.append((bool(chunk.candidates and chunk.candidates[0].finish_reason), len(stage.records())))
    assert records_seen[-1] == (True, 1)
    assert {count for _, count in records_seen[:-1]} == {0}


async def test_the_record_is_durable_before_the_last_asynchronous_chunk(stage: Stage) -> None:
    stage.gemini.next("chunks=4")
    records_seen = []
    with stage.meter.attribute(user=USER):
        async for _chunk in await stage.client.aio.models.generate_content_stream(model=MODEL, contents="hello"):
            records_seen.append(len(await asyncio.to_thread(stage.records)))
    assert records_seen[-1] == 1
    assert set(records_seen[:-1]) == {0}


def test_chunks_pass_at_once_while_the_stream_goes_on(stage: Stage) -> None:
    stage.gemini.next("chunks=3; chunk_delay=0.2")
    arrived = stream(stage)
    first = next(arrived)
    assert first.text
    assert stage.gemini.answers() == []
    assert len(list(arrived)) >= 2


def test_a_stream_that_is_consumed_elsewhere_keeps_the_payer_of_where_it_was_asked_for(stage: Stage) -> None:
    stage.meter.create(OTHER)
    stage.meter.grant(OTHER, BALANCE, key="gift")
    chunks = stream(stage)
    with stage.meter.attribute(user=OTHER):
        list(chunks)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(list, stream(stage)).result()
    assert [record.user for record in stage.records()] == [USER, USER]


async def test_the_body_of_a_streamed_response_is_paid_for_by_whom_its_decorator_names(stage: Stage) -> None:
    @stage.meter.attribute(user=USER)
    def told() -> Iterator[str]:
        for _ in range(2):
            for chunk in stage.client.models.generate_content_stream(model=MODEL, contents="hello"):
                yield chunk.text or ""

    @stage.meter.attribute(user=USER)
    async def written() -> AsyncIterator[str]:
        for _ in range(2):
            async for chunk in await stage.client.aio.models.generate_content_stream(model=MODEL, contents="hello"):
                yield chunk.text or ""

    for body in (told(), written()):
        assert [text async for text in StreamingResponse(body).body_iterator]
    assert [record.user for record in await asyncio.to_thread(stage.records)] == [USER] * 4
    await asyncio.to_thread(stage.assert_the_book_equals_the_log)


async def test_an_asynchronous_stream_keeps_its_payer_in_another_task(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        chunks = await stage.client.aio.models.generate_content_stream(model=MODEL, contents="hello")

    async def consume() -> int:
        return len([chunk async for chunk in chunks])

    assert await asyncio.create_task(consume()) > 0
    stage.assert_the_book_equals_the_log()
    assert len(stage.records()) == 1


@pytest.mark.parametrize("way", ["break", "close", "with", "collected"])
def test_a_stream_that_is_left_early_is_settled_from_what_was_reported(stage: Stage, way: str) -> None:
    stage.gemini.next("chunks=6; chunk_delay=0.05")
    chunks: Any = stream(stage)
    match way:
        case "break":
            for _ in chunks:
                break
            del chunks
        case "close":
            next(chunks)
            chunks.close()
        case "with":
            with chunks:
                next(chunks)
        case "collected":
            next(chunks)
            del chunks
            gc.collect()
    (record,) = stage.records()
    assert record.source == "partial"
    assert record.total > 0
    assert stage.holds() == []
    assert stage.balance == Balance(BALANCE, record.total, 0)


@pytest.mark.parametrize("way", ["break", "aclose", "cancel"])
async def test_an_asynchronous_stream_that_is_left_early_is_settled(stage: Stage, way: str) -> None:
    stage.gemini.next("chunks=6; chunk_delay=0.3")
    with stage.meter.attribute(user=USER):
        chunks: Any = await stage.client.aio.models.generate_content_stream(model=MODEL, contents="hello")
    await anext(chunks)
    match way:
        case "break":
            del chunks
            gc.collect()
        case "aclose":
            await chunks.aclose()
        case "cancel":
            waiting = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    await stage.meter.abalance(USER)
    (record,) = stage.records()
    assert record.source == "partial"
    assert stage.holds() == []


async def test_a_stream_that_is_dropped_unread_is_not_lost(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        chunks = await stage.client.aio.models.generate_content_stream(model=MODEL, contents="hello")
    del chunks
    gc.collect()
    await asyncio.sleep(0)
    assert stage.records() == []
    assert stage.holds() in ([], ["unknown"])


def test_a_stream_that_nobody_reads_was_never_asked_for(stage: Stage) -> None:
    stream(stage)
    assert stage.gemini.requests() == []
    assert stage.balance == Balance(BALANCE, 0, 0)


def test_a_connection_that_breaks_in_mid_stream_settles_what_was_reported(stage: Stage) -> None:
    stage.gemini.next("chunks=6; cut=3")
    with pytest.raises(Exception):  # noqa: B017, PT011
        list(stream(stage))
    (record,) = stage.records()
    assert record.source == "partial"
    assert stage.holds() == []


def test_an_error_in_mid_stream_settles_what_was_reported(stage: Stage) -> None:
    stage.gemini.next("chunks=6; error_after=3")
    with suppress(errors.APIError):  # the older versions hand the error over as a chunk
        list(stream(stage))
    (record,) = stage.records()
    assert record.source == "partial"
    assert stage.holds() == []


def test_a_stream_that_begins_with_an_error_costs_nothing(stage: Stage) -> None:
    stage.gemini.next("error_after=0")
    with suppress(errors.APIError):  # the older versions hand the error over as a chunk
        list(stream(stage))
    assert stage.records() == []
    assert stage.balance == Balance(BALANCE, 0, 0)


@pytest.mark.parametrize("status", [400, 429, 503])
def test_a_stream_that_is_refused_costs_nothing(stage: Stage, status: int) -> None:
    stage.gemini.next(str(status))
    with pytest.raises(errors.APIError) as caught:
        list(stream(stage))
    assert caught.value.code == status
    assert stage.balance == Balance(BALANCE, 0, 0)


def test_a_stream_that_cannot_be_paid_for_is_not_sent(stage: Stage) -> None:
    stage.meter.create("poor")
    with pytest.raises(InsufficientBalance), stage.meter.attribute(user="poor"):
        list(stage.client.models.generate_content_stream(model=MODEL, contents="hello"))
    assert [answer.surface for answer in stage.gemini.answers()] in ([], ["count_tokens"])


def test_streams_side_by_side_are_settled_each_by_itself(stage: Stage) -> None:
    def consume() -> None:
        list(stream(stage))

    threads = [threading.Thread(target=consume) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(record.total for record in stage.records()) == sorted(
        answer.reported["totalTokenCount"] for answer in stage.answers() if answer.reported
    )
    assert stage.holds() == []
