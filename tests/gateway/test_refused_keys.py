"""A key of the gateway's own that Google refuses is the operator's affair: its clients have another, which is well."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator

import pytest

from jangbu import telemetry
from jangbu.providers.gemini.key_errors import key_refusal
from jangbu.testing import FakeGemini
from tests.gateway.raw import provider, said
from tests.gateway.stage import FLASH, UPSTREAM_KEY, asked, inline, stage

CALL = f"/v1beta/models/{FLASH}:generateContent"
EMBED = "/v1beta/models/gemini-embedding-001:embedContent"
LEAKED = "Your API key was reported as leaked. Please use another API key."


def of_service(service: str) -> object:
    reason = {"reason": "SERVICE_DISABLED", "domain": "googleapis.com", "metadata": {"service": service}}
    return {"details": [reason]}


CALLS = [
    pytest.param(CALL, asked(), id="a call"),
    pytest.param(f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse", asked(), id="a stream"),
    pytest.param(f"/v1beta/models/{FLASH}:countTokens", asked(), id="what is free"),
    pytest.param(f"/v1beta/models/{FLASH}:batchGenerateContent", inline(asked()), id="a batch"),
    pytest.param(EMBED, {"content": asked()["contents"][0]}, id="an embedding"),
    pytest.param("/v1beta/openai/chat/completions", {"model": FLASH, "messages": []}, id="OpenAI's words"),
]


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    """Give a fake Gemini that lets another key in than the gateway's."""
    with FakeGemini(api_key="the-key-that-is-well") as gemini:
        yield gemini


@pytest.mark.parametrize(("path", "body"), CALLS)
async def test_the_operator_is_told_and_the_client_is_not_sent_to_look_at_its_own_key(
    database_url: str, gemini: FakeGemini, caplog: pytest.LogCaptureFixture, path: str, body: object
) -> None:
    counted: list[object] = []
    async with stage(database_url, gemini) as served:
        await served.open("kim")
        end = telemetry.subscribe(lambda _, facts: counted.append(facts["reason"]), "upstream.failed")
        with caplog.at_level(logging.WARNING):
            status, answer, _ = await served.post(path, body)
        end()
        assert counted == ["key_refused"]
        assert (status, answer["error"]["status"]) == (502, "UNAVAILABLE")
        assert answer["error"]["message"] == "Gemini cannot be called at the moment; try again later"
        assert "Gemini refuses upstream key 1: API_KEY_INVALID" in caplog.text
        assert UPSTREAM_KEY not in caplog.text
        # Nothing was done, so nothing is held.
        assert await served.used() == (0, 0)


KEYS = "the-key-that-was-revoked=1000,the-key-that-is-well=1"


async def test_a_call_whose_key_is_refused_goes_on_with_the_next(
    database_url: str, gemini: FakeGemini, caplog: pytest.LogCaptureFixture
) -> None:
    counted: list[object] = []
    async with stage(database_url, gemini, upstream_keys=KEYS) as served:
        await served.open("kim")
        end = telemetry.subscribe(lambda _, facts: counted.append(facts["reason"]), "upstream.failed")
        with caplog.at_level(logging.WARNING):
            statuses = [(await served.generate())[0] for _ in range(12)]
        end()
        assert statuses == [200] * 12
        # It rests after its first refusal, however often its turn would be, and the operator is told.
        assert counted == ["key_refused"]
        assert "Gemini refuses upstream key 1: API_KEY_INVALID" in caplog.text
        assert "the-key-that-was-revoked" not in caplog.text
        assert (await served.used())[1] == 0


async def test_a_client_hears_of_refused_keys_where_none_is_left(database_url: str, gemini: FakeGemini) -> None:
    async with stage(database_url, gemini, upstream_keys="one=1,two=1") as served:
        await served.open("kim")
        status, answer, _ = await served.generate()
        assert (status, answer["error"]["status"]) == (502, "UNAVAILABLE")
        assert len(gemini.requests()) == 2
        assert await served.used() == (0, 0)


TIRED = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down"}}
REVOKED = {"error": {"details": [{"reason": "API_KEY_INVALID", "domain": "googleapis.com"}]}}


@pytest.mark.parametrize("keys", ["tired=1000,revoked=1", "tired=1,revoked=1000", "tired=1000,tired-too=999,revoked=1"])
async def test_a_client_hears_that_waiting_helps_where_one_key_is_tired_and_the_others_are_refused(
    database_url: str, gemini: FakeGemini, caplog: pytest.LogCaptureFixture, keys: str
) -> None:
    async def judged(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"x-goog-api-key: tired" in upstream.heads[-1]:
            tired = said(json.dumps(TIRED).encode(), "retry-after: 7", status="429 Too Many Requests")
            writer.write(tired)
        else:
            writer.write(said(json.dumps(REVOKED).encode(), status="400 Bad Request"))
        writer.close()

    async with (
        provider(judged) as upstream,
        stage(database_url, gemini, upstream_url=upstream.url, upstream_keys=keys) as served,
    ):
        await served.open("kim")
        with caplog.at_level(logging.WARNING):
            status, answer, headers = await served.generate()
        assert (status, answer, headers["retry-after"]) == (429, TIRED, "7")
        assert len(upstream.heads) == keys.count("=")
        assert ": API_KEY_INVALID" in caplog.text
        assert "revoked" not in caplog.text
        assert await served.used() == (0, 0)


@pytest.mark.parametrize("keys", ["wait-90=1000,wait-7=30,silent=1", "silent=1000,wait-7=30,wait-90=1"])
async def test_where_all_keys_are_tired_a_client_hears_of_the_shortest_wait(
    database_url: str, gemini: FakeGemini, keys: str
) -> None:
    async def judged(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wait = re.search(rb"x-goog-api-key: wait-([0-9]+)", upstream.heads[-1])
        named = [] if wait is None else [f"retry-after: {wait[1].decode()}"]
        writer.write(said(json.dumps(TIRED).encode(), *named, status="429 Too Many Requests"))
        writer.close()

    async with (
        provider(judged) as upstream,
        stage(database_url, gemini, upstream_url=upstream.url, upstream_keys=keys) as served,
    ):
        await served.open("kim")
        status, answer, headers = await served.generate()
        assert (status, answer, headers["retry-after"]) == (429, TIRED, "7")
        assert len(upstream.heads) == 3
        assert await served.used() == (0, 0)


@pytest.mark.parametrize("size", [10, 200_000])
async def test_an_error_that_refuses_no_key_is_the_answer_to_the_byte(
    database_url: str, gemini: FakeGemini, size: int
) -> None:
    error = json.dumps({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "x" * size}}).encode()
    async with (
        provider(said(error, status="400 Bad Request")) as upstream,
        stage(database_url, gemini, upstream_url=upstream.url, upstream_keys="one=1,two=1") as served,
    ):
        await served.open("kim")
        status, answer, _ = await served.generate()
        assert (status, answer) == (400, json.loads(error))
        assert len(upstream.heads) == 1
        assert await served.used() == (0, 0)


async def test_an_error_that_breaks_off_costs_nothing_though_it_might_refuse_the_key(
    database_url: str, gemini: FakeGemini
) -> None:
    async def broken(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said(b"x" * 100, status="403 Forbidden")[:-50])
        writer.close()

    async with (
        provider(broken) as upstream,
        stage(database_url, gemini, upstream_url=upstream.url, upstream_keys="one=1,two=1") as served,
    ):
        await served.open("kim")
        assert (await served.generate())[0] == 502
        assert await served.used() == (0, 0)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"details": [{"reason": "API_KEY_INVALID", "domain": "googleapis.com"}]}, "API_KEY_INVALID"),
        ({"details": [{}, {"reason": "SERVICE_DISABLED", "domain": "googleapis.com"}]}, "SERVICE_DISABLED"),
        ({"details": [{"reason": "API_KEY_INVALID", "domain": "kim.example"}]}, None),
        ({"details": [{"reason": ["API_KEY_INVALID"], "domain": "googleapis.com"}]}, None),
        ({"details": [{"reason": "FIELD_VIOLATION", "domain": "googleapis.com"}]}, None),
        (of_service("generativelanguage.googleapis.com"), "SERVICE_DISABLED"),
        (of_service("firebaseml.googleapis.com"), None),
        ({"details": [{"reason": "API_KEY_SERVICE_BLOCKED", "domain": "googleapis.com"}]}, None),
        ({"status": "PERMISSION_DENIED", "message": LEAKED}, "API_KEY_LEAKED"),
        ({"status": "PERMISSION_DENIED", "message": f"{LEAKED} "}, None),
        ({"status": "INVALID_ARGUMENT", "message": LEAKED}, None),
        ({"status": "PERMISSION_DENIED", "message": LEAKED, "details": [{"reason": "ELSE"}]}, None),
        ({"message": 'Invalid value: {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}'}, None),
        ("API_KEY_INVALID", None),
    ],
)
def test_a_refusal_of_the_key_is_told_by_googles_own_reason_and_never_by_what_a_client_wrote(
    error: object, reason: str | None
) -> None:
    for answer in ({"error": error}, [{"error": error}]):
        assert key_refusal(json.dumps(answer).encode()) == reason
    assert key_refusal(b"<html>API_KEY_INVALID") is None
