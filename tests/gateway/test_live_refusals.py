"""Who may not converse, or no more, is told so: before the upgrade by HTTP, after it by the end of the session."""

import asyncio
import logging
from http import HTTPStatus

import aiohttp
import pytest
from websockets.asyncio.server import ServerConnection

from jangbu.testing import FakeGemini
from tests.gateway.live import (
    PATH,
    SETUP,
    closed,
    connected,
    eventually,
    is_used,
    provider,
    said,
    scripted,
    session,
    set_up,
    turn,
)
from tests.gateway.stage import Stage, stage
from tests.gateway.test_limits import in_a_fresh_minute


async def test_the_clients_key_reaches_neither_the_provider_nor_a_log(
    served: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    log = logging.getLogger("uvicorn.error")
    monkeypatch.setattr(log, "level", logging.INFO)
    monkeypatch.setattr(log, "info", lambda text, *facts: logged.append(text % facts))
    _, key = await served.ledger.keys.create_for_user("kim", name="browser")
    async with served.http.ws_connect(f"{served.url}/{PATH}?key={key}") as client:
        await client.send_json(SETUP)
        await client.receive()
        total = await turn(client)
    assert await served.used() == (total, 0)
    [request] = served.gemini.requests()
    assert key not in f"{request.path} {request.query} {request.headers}"
    assert "key" not in request.query
    assert not any(key in line for line in logged)
    assert any("key=***" in line for line in logged)
    assert "x-jangbu-user" not in request.headers


async def test_who_names_no_user_is_refused_before_the_upgrade(served: Stage) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(served, user=None):
            pass
    assert refused.value.status == HTTPStatus.BAD_REQUEST
    assert served.gemini.requests() == []


@pytest.mark.parametrize(("key", "status"), [("AIza-nothing-of-ours", 401), ("", 401)])
async def test_a_key_that_opens_nothing_is_refused_before_the_upgrade(served: Stage, key: str, status: int) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(served, key=key):
            pass
    assert refused.value.status == status


async def test_a_key_without_the_scope_is_refused_before_the_upgrade(served: Stage) -> None:
    _, key = await served.ledger.keys.create_for_app("texts", scopes=["generate"])
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(served, key=key):
            pass
    assert refused.value.status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("path", ["/v1beta/models", "/nowhere", PATH + "Constrained", PATH.replace("Content", "Music")])
async def test_nothing_else_is_spoken_over_websocket(served: Stage, path: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(served, path=path):
            pass
    assert refused.value.status == HTTPStatus.NOT_FOUND
    assert served.gemini.requests() == []


async def test_live_is_not_spoken_over_plain_http(served: Stage) -> None:
    status, _ = await served.get(PATH)
    assert status == HTTPStatus.NOT_FOUND


async def test_a_model_that_the_key_may_not_call_ends_the_session(served: Stage) -> None:
    _, key = await served.ledger.keys.create_for_app("flash", models=["gemini-2.5-*"])
    async with connected(served, key=key) as client:
        await client.send_json(SETUP)
        code, reason = await closed(client)
    assert code == 1008
    assert reason.startswith("NOT_PERMITTED")
    assert served.gemini.requests() == []
    assert await served.used() == (0, 0)


@pytest.mark.parametrize("model", ["tunedModels/mine", "models/../x", "projects/p/locations/l/endpoints/7", "models/"])
async def test_only_models_of_googles_are_set_up(served: Stage, model: str) -> None:
    async with connected(served) as client:
        await client.send_json({"setup": {"model": model}})
        code, _ = await closed(client)
    assert code == 1008
    assert served.gemini.requests() == []


async def test_who_is_dry_is_refused_before_anything_is_said(served: Stage) -> None:
    await served.open("lee", tokens=100)
    async with connected(served, user="lee") as client:
        await client.send_json(SETUP)
        code, reason = await closed(client)
    assert code == 1008
    assert reason.startswith("INSUFFICIENT_BALANCE")
    assert "100 available" in reason
    assert served.gemini.requests() == []
    assert await served.used("lee") == (0, 0)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no JSON", 1007),
        ('{"setup": {"model": "a", "model": "b"}}', 1007),
        ('{"clientContent": {}}', 1007),
        ('{"setup": {"model": "models/x"}, "clientContent": {"turnComplete": true}}', 1007),
        ('{"setup": {}}', 1007),
        ('{"setup": {"model": "models/x", "systemInstruction": "' + "x" * 20_000 + '"}}', 1009),
        (
            '{"setup": {"model": "models/x", "systemInstruction": {"parts": [{"fileData": {"fileUri": "files/z"}}]}}}',
            1008,
        ),
    ],
)
async def test_what_sets_nothing_up_ends_the_session(
    database_url: str, gemini: FakeGemini, message: str, code: int
) -> None:
    async with stage(database_url, gemini, live_message_bytes_max=16_384) as served:
        await served.open("kim")
        async with connected(served) as client:
            await client.send_str(message)
            assert (await closed(client))[0] == code
        assert gemini.requests() == []
        assert await served.used() == (0, 0)


async def test_a_session_is_set_up_once(served: Stage) -> None:
    async with session(served) as client:
        await client.send_json({"setup": {"model": "models/gemini-2.5-pro"}})
        assert (await closed(client))[0] == 1007


async def test_a_revoked_key_ends_at_the_next_turn(served: Stage) -> None:
    key, secret = await served.ledger.keys.create_for_app("short")
    async with session(served, key=secret) as client:
        total = await turn(client)
        await served.ledger.keys.revoke(key.id)
        await asyncio.sleep(3.1)
        await client.send_json(said("more"))
        code, _ = await closed(client)
    assert code == 1008
    assert await served.used() == (total, 0)


async def test_turns_count_as_requests_of_the_key(served: Stage) -> None:
    await in_a_fresh_minute(served)
    _, secret = await served.ledger.keys.create_for_app("slow", tokens_per_minute=1)
    async with session(served, key=secret) as client:
        await turn(client)
        await client.send_json(said("more"))
        code, reason = await closed(client)
    assert code == 1013
    assert reason.startswith("LIMIT_REACHED")


MESSAGES_IN_DOUBT = [
    pytest.param(
        {"realtimeInput": {"text": "hi"}, "realtime_input": {"text": "x" * 9_000}},
        id="two inputs",
    ),
    pytest.param({"clientContent": {"turnComplete": False, "turn_complete": True}}, id="two ends of a turn"),
    pytest.param({"toolResponse": {"functionResponses": [{"id": "1"}], "function_responses": []}}, id="two responses"),
    pytest.param({"clientContent": {"turns": [{"parts": [{"text": "a", "Text": "b"}]}]}}, id="two texts"),
    pytest.param({"clientContent": {"turnComplete": True}, "model": "models/gemini-2.5-pro"}, id="another model"),
    pytest.param({"clientContent": {"model_name": ["gemini-2.5-pro"]}}, id="a model that is no text"),
]


@pytest.mark.parametrize("message", MESSAGES_IN_DOUBT)
async def test_what_can_be_understood_in_two_ways_is_not_passed_on(
    database_url: str, gemini: FakeGemini, message: dict[str, object]
) -> None:
    heard: list[str | bytes] = []

    async def script(upstream: ServerConnection) -> None:
        await set_up(upstream)
        async for each in upstream:
            heard.append(each)

    async with provider(script) as url, scripted(database_url, gemini, url) as served:
        async with session(served) as client:
            await client.send_json(message)
            found, reason = await closed(client)
        assert (found, reason.partition(":")[0]) == (1007, "INVALID_INPUT")
        await eventually(lambda: is_used(served, (0, 0)))
    assert heard == []


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"generationConfig": {"maxOutputTokens": 1}, "generation_config": {}}, id="two configs"),
        pytest.param({"generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 9}}, id="two limits"),
        pytest.param({"generationConfig": {"model": "models/gemini-2.5-pro"}}, id="two models"),
        pytest.param({"Model": "models/gemini-2.5-pro"}, id="a model in two spellings"),
        pytest.param({"systemInstruction": {"modelName": 7}}, id="a model that is no text"),
    ],
)
async def test_a_setup_that_can_be_understood_in_two_ways_begins_nothing(
    served: Stage, given: dict[str, object]
) -> None:
    async with connected(served) as client:
        await client.send_json({"setup": {**SETUP["setup"], **given}})
        found, reason = await closed(client)
    assert (found, reason.partition(":")[0]) == (1007, "INVALID_INPUT")
    assert served.gemini.requests() == []
    assert await served.used() == (0, 0)
