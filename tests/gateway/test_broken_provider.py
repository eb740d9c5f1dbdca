"""What a provider can answer that is no answer: it is passed on or refused, no hold stays open, nothing unfolds."""

import asyncio
import gzip
import json
import zlib
from pathlib import Path

import pytest

from jangbu.testing import FakeGemini
from tests.gateway.raw import asked_once, open_holds, post, provider, running, said
from tests.gateway.stage import FLASH, asked, inline, stage

CALL = f"/v1beta/models/{FLASH}:generateContent"
BODY = json.dumps(asked())
MEGABYTE = 1_000_000


def _body(verb: str) -> str:
    return json.dumps(inline(asked())) if verb == "batchGenerateContent" else BODY


async def test_an_answer_that_is_a_bomb_passes_as_it_is_and_unfolds_nowhere(database_url: str, tmp_path: Path) -> None:
    bomb = gzip.compress(b'{"candidates": [{"a": "' + b" " * 200 * MEGABYTE, 9)
    async with provider(said(bomb, "content-encoding: gzip")) as up, running(database_url, up.url, tmp_path) as served:
        await asked_once(served.url, post(CALL, BODY, served.key))
        served.service.forget_most()
        before = served.service.resident
        answer = await asked_once(served.url, post(CALL, BODY, served.key))
        assert (answer.status, answer.body, answer.headers["content-encoding"]) == (200, bomb, "gzip")
        assert served.service.resident_most - before < 2 * 64 * 2**20
        assert await open_holds(served.ledger) == []


async def test_an_answer_that_is_compressed_all_the_same_is_metered(database_url: str, gemini: FakeGemini) -> None:
    counts = {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}
    body = json.dumps({"candidates": [{"content": {"parts": [{"text": "hi"}]}}], "usageMetadata": counts}).encode()
    packed = {"gzip": gzip.compress(body), "deflate": zlib.compress(body)}
    for number, (coding, content) in enumerate(packed.items(), 1):
        async with (
            provider(said(content, f"content-encoding: {coding}")) as up,
            stage(database_url, gemini, upstream_url=up.url) as served,
        ):
            if number == 1:
                await served.open("kim")
            answer = await asked_once(served.url, post(CALL, BODY, served.key))
            assert (answer.status, answer.body, answer.headers["content-encoding"]) == (200, content, coding)
            assert await served.used() == (12 * number, 0)


JSON = "content-type: application/json"
BROKEN = {
    "nothing": b"",
    "no HTTP": b"hello\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "a status that is none": said(b"{}", status="999 What"),
    "a switch of protocols": said(b"{}", "connection: upgrade", "upgrade: h2c", status="101 Switching Protocols"),
    "less than was announced": said(b'{"a": "b"}').replace(b"length: 10", b"length: 99") + b"connection: close",
    "chunks that are none": f"HTTP/1.1 200 OK\r\n{JSON}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n".encode(),
    "two lengths": said(b"{}", "content-length: 90"),
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000,
    "a header without end": b"HTTP/1.1 200 OK\r\na: " + b"b" * 1_000_000,
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("verb", ["generateContent", "streamGenerateContent", "batchGenerateContent"])
async def test_a_provider_that_speaks_no_http_leaves_no_hold_open(
    database_url: str, gemini: FakeGemini, answer: bytes, verb: str
) -> None:
    async def broken(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with provider(broken) as up, stage(database_url, gemini, upstream_url=up.url) as served:
        await served.open("kim")
        refused = await asked_once(served.url, post(CALL.replace("generateContent", verb), _body(verb), served.key))
        assert refused.status in (0, 502)
        assert refused.status == 0 or refused.reason == "UPSTREAM_UNREACHABLE"
        assert await open_holds(served.ledger) == []
        used, held = await served.used()
        assert used == 0
        assert held > 0, "nobody knows whether the call was made"


REFUSED = {
    "a redirect": said(b"moved", "location: https://evil.example/v1beta/models", status="302 Found"),
    "nothing new": said(b"", status="304 Not Modified"),
    "an error": said(b'{"error": {"code": 503}}', status="503 Service Unavailable"),
}


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("verb", ["generateContent", "batchGenerateContent"])
async def test_what_is_no_success_costs_nothing_and_is_not_followed(
    database_url: str, gemini: FakeGemini, answer: bytes, verb: str
) -> None:
    async with provider(answer) as up, stage(database_url, gemini, upstream_url=up.url) as served:
        await served.open("kim")
        passed = await asked_once(served.url, post(CALL.replace("generateContent", verb), _body(verb), served.key))
        assert passed.status == int(answer.split(b" ")[1])
        assert "location" not in passed.headers
        assert len(up.heads) == 1
        assert await served.used() == (0, 0)


ODD = {
    "early hints": b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n",
    "to continue": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("before", ODD.values(), ids=ODD.keys())
async def test_what_comes_before_an_answer_is_passed_over(database_url: str, gemini: FakeGemini, before: bytes) -> None:
    body = b'{"candidates": [], "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}'
    async with provider(before + said(body)) as up, stage(database_url, gemini, upstream_url=up.url) as served:
        await served.open("kim")
        answer = await asked_once(served.url, post(CALL, BODY, served.key))
        assert (answer.status, answer.body) == (200, body)
        assert await served.used() == (3, 0)


@pytest.mark.parametrize(
    "line", ["retry-after: 1\rset-cookie: a=b", "retry-after: 1\r\n set-cookie: a=b", "set-cookie: a=b"]
)
async def test_no_header_of_the_providers_becomes_two(database_url: str, gemini: FakeGemini, line: str) -> None:
    body = b'{"candidates": [], "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}'
    async with provider(said(body, line)) as up, stage(database_url, gemini, upstream_url=up.url) as served:
        await served.open("kim")
        answer = await asked_once(served.url, post(CALL, BODY, served.key))
        assert "set-cookie" not in answer.headers
        assert answer.status in (200, 502)
        assert await open_holds(served.ledger) == []


SPOKEN = '{"candidates": [{"content": {"parts": [{"text": "once upon"}]}, "index": 0}], "responseId": "cut"}'
CHUNK = (
    '{"id": "cut", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "once upon"}%s}]}'
)
NOTHING, STOP = "", ', "finish_reason": "stop"'
EVENTS = "content-type: text/event-stream"
STREAMED = f"/v1beta/models/{FLASH}:streamGenerateContent"
CHAT, CHATTED = "/v1beta/openai/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "stream": True}
CUT = {
    "between two events": (f"{STREAMED}?alt=sse", f"data: {SPOKEN}\n\n", EVENTS),
    "in an event": (f"{STREAMED}?alt=sse", f"data: {SPOKEN}\n\ndata: {SPOKEN[:20]}", EVENTS),
    "in an array": (STREAMED, f"[{SPOKEN},\n", JSON),
    "in an object": (CALL, SPOKEN[:-1], JSON),
    "in a chat": (CHAT, f"data: {CHUNK % NOTHING}\n\n", EVENTS),
}
FINISHED = SPOKEN.replace('"index"', '"finishReason": "STOP", "index"')
WHOLE = {
    "a stream": (f"{STREAMED}?alt=sse", f"data: {FINISHED}\n\n", EVENTS),
    "an object": (CALL, FINISHED, JSON),
    "a chat": (CHAT, f"data: {CHUNK % STOP}\n\ndata: [DONE]\n\n", EVENTS),
}


@pytest.mark.parametrize(("path", "body", "kind", "is_cut"), [
    *(pytest.param(*each, True, id=name) for name, each in CUT.items()),
    *(pytest.param(*each, False, id=name) for name, each in WHOLE.items()),
])  # fmt: skip
async def test_an_answer_that_ends_before_its_end_is_not_free_because_its_bytes_end_well(
    database_url: str, gemini: FakeGemini, path: str, body: str, kind: str, is_cut: bool
) -> None:
    request = json.dumps({"model": FLASH, **CHATTED} if path == CHAT else asked())
    async with provider(said(body.encode(), kind)) as up, stage(database_url, gemini, upstream_url=up.url) as served:
        await served.open("kim")
        answer = await asked_once(served.url, post(path, request, served.key))
        assert (answer.status, answer.body) == (200, body.encode())
        used, held = await served.used()
        assert used == 0
        assert (held > 0) == is_cut, "what it used may stand in what is missing"
        assert await open_holds(served.ledger) == []
