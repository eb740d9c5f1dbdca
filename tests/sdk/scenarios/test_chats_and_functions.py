"""Chats, automatic function calling and automatic continuation: each inner answer is a record of its own."""

import pytest
from google.genai import types

from tests.sdk.scenarios.stage import MODEL, USER, Stage


def panels_in(chapter: str) -> int:
    """Count the panels of a chapter."""
    return len(chapter)


def test_a_chat_records_each_turn(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        chat = stage.client.chats.create(model=MODEL)
        chat.send_message("hello")
        list(chat.send_message_stream("and now?"))
    assert [record.surface for record in stage.records()] == ["generate_content", "stream_generate_content"]
    stage.assert_the_book_equals_the_log()


async def test_an_asynchronous_chat_records_each_turn(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        chat = stage.client.aio.chats.create(model=MODEL)
        await chat.send_message("hello")
        assert [chunk async for chunk in await chat.send_message_stream("and now?")]
    assert len(stage.records()) == 2
    stage.assert_the_book_equals_the_log()


def test_a_chat_stream_that_is_consumed_elsewhere_keeps_its_payer(stage: Stage) -> None:
    chat = stage.client.chats.create(model=MODEL)
    with stage.meter.attribute(user=USER):
        chunks = chat.send_message_stream("hello")
    list(chunks)
    assert [record.user for record in stage.records()] == [USER]


async def test_an_asynchronous_chat_stream_keeps_its_payer(stage: Stage) -> None:
    chat = stage.client.aio.chats.create(model=MODEL)
    with stage.meter.attribute(user=USER):
        chunks = await chat.send_message_stream("hello")
    assert [chunk async for chunk in chunks]
    assert [record.user for record in stage.records()] == [USER]


def test_automatic_function_calling_records_each_inner_answer(stage: Stage) -> None:
    config = types.GenerateContentConfig(tools=[panels_in])
    with stage.meter.attribute(user=USER):
        stage.client.models.generate_content(model=MODEL, contents="how many panels?", config=config)
    assert len(stage.records()) == 2
    stage.assert_the_book_equals_the_log()


async def test_asynchronous_function_calling_records_each_inner_answer(stage: Stage) -> None:
    config = types.GenerateContentConfig(tools=[panels_in])
    with stage.meter.attribute(user=USER):
        await stage.client.aio.models.generate_content(model=MODEL, contents="how many panels?", config=config)
    assert len(stage.records()) == 2
    stage.assert_the_book_equals_the_log()


def test_function_calling_in_a_stream_records_each_inner_answer(stage: Stage) -> None:
    config = types.GenerateContentConfig(tools=[panels_in])
    with stage.meter.attribute(user=USER):
        chunks = stage.client.models.generate_content_stream(model=MODEL, contents="how many?", config=config)
    list(chunks)
    assert len(stage.records()) == 2
    stage.assert_the_book_equals_the_log()


def test_a_continuation_is_recorded_hop_by_hop(stage: Stage) -> None:
    if "CONTINUATION" not in types.FinishReason.__members__:
        pytest.skip("this google-genai continues nothing by itself")
    stage.gemini.next("continuation")
    with stage.meter.attribute(user=USER):
        stage.client.models.generate_content(model=MODEL, contents="a long story")
    assert len(stage.records()) == len(stage.answers()) > 1
    stage.assert_the_book_equals_the_log()
