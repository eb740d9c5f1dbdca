"""Live: each turn of the model is a record, durable before the app sees its end."""

import asyncio
import json
from typing import Any

import pytest
from google.genai import types

from jangbu import Balance, InsufficientBalance, MissingUser
from jangbu.testing import Behaviour, Recorded
from tests.sdk.scenarios.stage import BALANCE, USER, Stage

MODEL = "gemini-2.0-flash-live-001"
TEXT: Any = {"response_modalities": ["TEXT"]}


def said(text: str) -> types.Content:
    return types.Content(role="user", parts=[types.Part(text=text)])


async def turn(session: Any, text: str) -> list[Any]:
    await session.send_client_content(turns=said(text), turn_complete=True)
    return [message async for message in session.receive()]


async def test_each_turn_is_a_record(secure_stage: Stage) -> None:
    stage = secure_stage
    with stage.meter.attribute(user=USER):
        async with stage.client.aio.live.connect(model=MODEL, config=TEXT) as session:
            for number in (1, 2):
                messages = await turn(session, "hello")
                assert messages[-1].usage_metadata.total_token_count > 0
                assert len(await asyncio.to_thread(stage.records)) == number
    assert {(record.service, record.surface, record.model) for record in stage.records()} == {("live", "live", MODEL)}
    stage.assert_the_book_equals_the_log()


async def test_a_session_keeps_its_payer(secure_stage: Stage) -> None:
    stage = secure_stage
    with stage.meter.attribute(user=USER):
        connecting = stage.client.aio.live.connect(model=MODEL, config=TEXT)
        session = await connecting.__aenter__()
    await turn(session, "hello")
    await connecting.__aexit__(None, None, None)
    assert [record.user for record in stage.records()] == [USER]


async def test_a_session_without_a_user_is_not_opened(secure_stage: Stage) -> None:
    with pytest.raises(MissingUser):
        async with secure_stage.client.aio.live.connect(model=MODEL, config=TEXT):
            pass
    assert secure_stage.gemini.requests() == []


async def test_a_turn_that_cannot_be_paid_for_is_not_sent(secure_stage: Stage) -> None:
    stage = secure_stage
    await stage.meter.acreate("poor")
    with stage.meter.attribute(user="poor"):
        async with stage.client.aio.live.connect(model=MODEL, config=TEXT) as session:
            with pytest.raises(InsufficientBalance):
                await session.send_client_content(turns=said("hello"), turn_complete=True)
    assert stage.records() == []


async def test_a_session_that_ends_before_the_model_answers_holds_nothing(secure_stage: Stage) -> None:
    stage = secure_stage
    with stage.meter.attribute(user=USER):
        async with stage.client.aio.live.connect(model=MODEL, config=TEXT) as session:
            await session.send_client_content(turns=said("hel"), turn_complete=False)
    assert stage.balance == Balance(BALANCE, 0, 0)


@pytest.mark.parametrize("late", [[], [{"serverContent": {"outputTranscription": {"text": "hello"}}}]])
async def test_the_end_of_a_turn_that_was_reported_before_it_is_no_answer_to_the_next(
    secure_stage: Stage, late: list[Any]
) -> None:
    stage = secure_stage
    spoken = {"serverContent": {"modelTurn": {"parts": [{"text": "hello"}]}}}
    usage = {"usageMetadata": {"promptTokenCount": 49, "responseTokenCount": 1, "totalTokenCount": 50}}
    messages = [spoken, usage, *late, {"serverContent": {"turnComplete": True}}]
    stage.gemini.next(Behaviour(recorded=Recorded(json.dumps(messages).encode())))
    with stage.meter.attribute(user=USER):
        async with stage.client.aio.live.connect(model=MODEL, config=TEXT) as session:
            await turn(session, "hello")
            await session.send_client_content(turns=said("hel"), turn_complete=False)
    assert stage.balance == Balance(BALANCE, 50, 0)


async def test_a_session_that_ends_in_mid_turn_leaves_the_turn_unknown(secure_stage: Stage) -> None:
    stage = secure_stage
    with stage.meter.attribute(user=USER):
        async with stage.client.aio.live.connect(model=MODEL, config=TEXT) as session:
            await session.send_client_content(turns=said("hello"), turn_complete=True)
            async for _message in session.receive():
                break
    assert stage.records() == []
    assert stage.holds() == ["unknown"]
