"""Live against the fake, by the real client over TLS and by a plain WebSocket."""

import json
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.auth.credentials import Credentials
from google.genai import types
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from jangbu.testing import Behaviour, FakeGemini, Recorded

PATH = "//ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=k"
SETUP = {"setup": {"model": "models/gemini-2.0-flash-live-001", "generationConfig": {"responseModalities": ["TEXT"]}}}


class Token(Credentials):
    """Credentials that Vertex's clients are content with."""

    def refresh(self, request: object) -> None:
        self.token = f"token of {type(request).__name__}"


async def _converse(client: genai.Client, model: str, texts: tuple[str, ...]) -> list[types.UsageMetadata]:
    usages = []
    config = types.LiveConnectConfig(response_modalities=[types.Modality.AUDIO])
    async with client.aio.live.connect(model=model, config=config) as session:
        for text in texts:
            turn = types.Content(role="user", parts=[types.Part(text=text)])
            await session.send_client_content(turns=turn, turn_complete=True)
            usages += [message.usage_metadata async for message in session.receive() if message.usage_metadata]
    return usages


@pytest.mark.parametrize("vertex", [False, True])
async def test_the_real_client_gets_one_usage_for_each_turn(monkeypatch: pytest.MonkeyPatch, vertex: bool) -> None:
    with FakeGemini(tls=True) as gemini:
        monkeypatch.setenv("SSL_CERT_FILE", str(gemini.certificate))
        options = types.HttpOptions(base_url=gemini.url)
        client = (
            genai.Client(vertexai=True, project="p", location="l", credentials=Token(), http_options=options)  # type: ignore[no-untyped-call]
            if vertex
            else genai.Client(api_key="key", http_options=options)
        )
        usages = await _converse(client, "gemini-2.5-flash-native-audio-latest", ("hello", "again"))
        await client.aio.aclose()
        client.close()
        logged = [answer.reported or {} for answer in gemini.answers()]
    assert [usage.total_token_count for usage in usages] == [usage["totalTokenCount"] for usage in logged]
    assert [("candidatesTokenCount" in usage) for usage in logged] == [vertex, vertex]
    first, second = logged
    assert second["promptTokenCount"] > first["totalTokenCount"]
    assert (
        first["totalTokenCount"]
        == first["promptTokenCount"] + first[("candidates" if vertex else "response") + "TokenCount"]
    )
    assert first["thoughtsTokenCount"] > 0


async def _turn(gemini: FakeGemini, *messages: dict[str, Any], headers: dict[str, str] | None = None) -> list[Any]:
    """Send messages over a plain WebSocket and give the server's up to the end of one turn."""
    received = []
    async with connect(gemini.url.replace("http", "ws") + PATH, additional_headers=headers) as socket:
        for message in messages:
            await socket.send(json.dumps(message))
        async for data in socket:
            received.append(json.loads(data))
            if received[-1].get("serverContent", {}).get("turnComplete") or "toolCall" in received[-1]:
                return received
    return received


async def test_text_speech_and_pauses_start_a_turn(fake_gemini: FakeGemini) -> None:
    heard = {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=16000", "data": "AAAA"}}}
    spoken = await _turn(fake_gemini, SETUP, heard, {"realtimeInput": {"audioStreamEnd": True}})
    assert spoken[0] == {"setupComplete": {}}
    assert spoken[-1]["usageMetadata"]["promptTokensDetails"] == [{"modality": "AUDIO", "tokenCount": 320}]
    written = await _turn(fake_gemini, SETUP, {"realtimeInput": {"text": "hello"}})
    assert written[-1]["usageMetadata"]["promptTokenCount"] == 2
    assert [answer.surface for answer in fake_gemini.answers()] == ["live", "live"]


async def test_a_tool_is_called_and_answered(fake_gemini: FakeGemini) -> None:
    tools = [{"functionDeclarations": [{"name": "weather"}]}]
    setup = {"setup": {**SETUP["setup"], "tools": tools}}
    messages = await _turn(fake_gemini, setup, {"realtimeInput": {"text": "weather?"}})
    (call,) = messages[-1]["toolCall"]["functionCalls"]
    assert call["name"] == "weather"
    assert call["id"]


async def test_a_recorded_session_is_played_back(fake_gemini: FakeGemini) -> None:
    end = {"serverContent": {"turnComplete": True}, "usageMetadata": {"totalTokenCount": 546}}
    recorded = Recorded(json.dumps([{"setupComplete": {}}, {"serverContent": {}}, end]).encode())
    fake_gemini.next(Behaviour(recorded=recorded))
    messages = await _turn(fake_gemini, SETUP, {"realtimeInput": {"text": "hello"}})
    assert messages == [{"setupComplete": {}}, {"serverContent": {}}, end]
    assert fake_gemini.answers()[0].reported == {"totalTokenCount": 546}


async def test_a_cut_turn_reports_nothing(fake_gemini: FakeGemini) -> None:
    fake_gemini.next("cut=2")
    with pytest.raises(ConnectionClosed):
        await _turn(fake_gemini, SETUP, {"realtimeInput": {"text": "hello"}})
    (logged,) = fake_gemini.answers()
    assert (logged.completely_sent, logged.reported) == (False, None)
    assert logged.counted is not None


async def test_a_refused_turn_ends_the_session(fake_gemini: FakeGemini) -> None:
    fake_gemini.next("429")
    messages = await _turn_until_closed(fake_gemini)
    assert messages == [{"setupComplete": {}}]
    assert fake_gemini.answers()[0].status == 429


async def _turn_until_closed(gemini: FakeGemini) -> list[Any]:
    try:
        return await _turn(gemini, SETUP, {"realtimeInput": {"text": "hello"}})
    except ConnectionClosed:
        return [{"setupComplete": {}}]


def test_the_certificate_is_gone_with_the_fake() -> None:
    with FakeGemini(tls=True) as gemini:
        assert isinstance(gemini.certificate, Path)
        assert gemini.certificate.exists()
    assert not gemini.certificate.exists()
