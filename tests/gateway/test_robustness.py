"""What a hostile client or a broken provider can send: it is refused cleanly, nothing reaches the provider unmetered,
no hold stays open behind it, and the service goes on within its memory.
"""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jangbu.gateway.declared import DECLARED
from jangbu.gateway.paths import segments
from jangbu.gateway.routes import find
from jangbu.testing import Behaviour, FakeGemini, Recorded
from tests.gateway.raw import (
    Running,
    Wire,
    asked_once,
    open_holds,
    post,
    running,
    wire,
)
from tests.gateway.stage import FLASH, Stage, asked

CALL = f"/v1beta/models/{FLASH}:generateContent"
STREAM = f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"
BODY = json.dumps(asked())
MEGABYTE = 1_000_000
GROWTH_MOST = 20 * MEGABYTE
"""How much memory may come on top in a test: buffers and caches, and nothing that a client chooses."""

HOST = "host: gateway"
LENGTH = f"content-length: {len(BODY)}"
CHUNKED = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"


def call(key: str, *lines: str, line: str = f"POST {CALL} HTTP/1.1", body: str = BODY, end: str = "\r\n") -> bytes:
    """Write a call with its headers as they are given."""
    head = [line, f"x-goog-api-key: {key}", "x-jangbu-user: kim", *lines, "", ""]
    return end.join(head).encode("latin-1") + body.encode()


# What no two readers read alike, or nobody reads: lines of the head, and more where a case needs it.
UNSOUND: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "a length and chunks": ((HOST, LENGTH, "transfer-encoding: chunked"), {"body": CHUNKED}),
    "chunks and a length": ((HOST, "transfer-encoding: chunked", "content-length: 3"), {"body": CHUNKED}),
    "two lengths": ((HOST, LENGTH, "content-length: 3"), {}),
    "the same length twice": ((HOST, LENGTH, LENGTH), {}),
    "a list of lengths": ((HOST, f"{LENGTH}, {len(BODY)}"), {}),
    "a length with a sign": ((HOST, f"content-length: +{len(BODY)}"), {}),
    "a negative length": ((HOST, "content-length: -1"), {}),
    "a length beyond all integers": ((HOST, "content-length: 99999999999999999999999"), {}),
    "a blank before the colon": ((HOST, "transfer-encoding : chunked"), {"body": CHUNKED}),
    "a coding that looks like chunked": ((HOST, "transfer-encoding: xchunked"), {"body": CHUNKED}),
    "a coding of identity": ((HOST, "transfer-encoding: identity", LENGTH), {}),
    "a coding of gzip": ((HOST, "transfer-encoding: gzip, chunked"), {"body": CHUNKED}),
    "chunked twice": ((HOST, "transfer-encoding: chunked, chunked"), {"body": CHUNKED}),
    "bare line feeds": ((HOST, LENGTH), {"end": "\n"}),
    "a bare line feed in a header": ((f"{HOST}\nx-a: b", LENGTH), {}),
    "a bare carriage return in a header": ((f"{HOST}\rx-a: b", LENGTH), {}),
    "a folded header": ((HOST, "x-a: b\r\n c", LENGTH), {}),
    "a folded user": ((HOST, "x-jangbu-user: a\r\n b", LENGTH), {}),
    "a NUL in a header": ((HOST, "x-a: b\0c", LENGTH), {}),
    "a header without a colon": ((HOST, "x-a", LENGTH), {}),
    "a name with a blank": ((HOST, "x a: b", LENGTH), {}),
    "no name": ((HOST, ": b", LENGTH), {}),
    "two hosts": ((HOST, "host: other", LENGTH), {}),
    "two users": ((HOST, "x-jangbu-user: lee", LENGTH), {}),
    "two keys": ((HOST, "x-goog-api-key: other", LENGTH), {}),
    "chunks of a negative size": ((HOST, "transfer-encoding: chunked"), {"body": f"-5\r\n{BODY}\r\n0\r\n\r\n"}),
    "chunks of no size at all": ((HOST, "transfer-encoding: chunked"), {"body": f"{'f' * 17}\r\n{BODY}"}),
    "chunks that end in bare line feeds": (
        (HOST, "transfer-encoding: chunked"),
        {"body": CHUNKED.replace("\r\n", "\n")},
    ),
    "a body behind an upgrade": ((HOST, LENGTH, "connection: upgrade", "upgrade: websocket"), {}),
    "HTTP/1.2": ((HOST, LENGTH), {"line": f"POST {CALL} HTTP/1.2"}),
    "HTTP/2": ((), {"line": "PRI * HTTP/2.0", "body": "SM\r\n\r\n"}),
    "a tunnel": ((HOST,), {"line": "CONNECT generativelanguage.googleapis.com:443 HTTP/1.1", "body": ""}),
    "a method that nobody knows": ((HOST,), {"line": f"STEAL {CALL} HTTP/1.1", "body": ""}),
    "a method in small letters": ((HOST, LENGTH), {"line": f"post {CALL} HTTP/1.1"}),
    "a path without a slash": ((HOST, LENGTH), {"line": f"POST {CALL[1:]} HTTP/1.1"}),
    "a blank in the path": ((HOST, LENGTH), {"line": "POST /v1beta/models/ a:generateContent HTTP/1.1"}),
    "a path that is not ASCII": ((HOST, LENGTH), {"line": "POST /v1beta/models/é:generateContent HTTP/1.1"}),
    "a handshake of TLS": ((), {"line": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "body": ""}),
}
# Sound HTTP that asks for what is not offered; the connection may stay open.
NOT_OFFERED: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "dots": ((HOST, LENGTH), {"line": f"POST /v1beta/files/../models/{FLASH}:generateContent HTTP/1.1"}),
    "an encoded slash": ((HOST, LENGTH), {"line": f"POST /v1beta/models%2f{FLASH}:generateContent HTTP/1.1"}),
    "encoded dots": ((HOST, LENGTH), {"line": f"POST /v1beta/%2e%2e/models/{FLASH}:generateContent HTTP/1.1"}),
    "a key in the model": ((HOST, LENGTH), {"line": f"POST /v1beta/models/{FLASH}%3Fkey=a:generateContent HTTP/1.1"}),
    "a verb in the query": ((HOST, LENGTH), {"line": f"POST /v1beta/models/{FLASH}?key=a:generateContent HTTP/1.1"}),
    "OPTIONS": ((HOST,), {"line": f"OPTIONS {CALL} HTTP/1.1", "body": ""}),
    "OPTIONS of everything": ((HOST,), {"line": "OPTIONS * HTTP/1.1", "body": ""}),
    "TRACE": ((HOST,), {"line": f"TRACE {CALL} HTTP/1.1", "body": ""}),
    "a compressed body": ((HOST, LENGTH, "content-encoding: gzip"), {}),
    "a line break in the user": ((HOST, "x-jangbu-service: UTF-8''a%0d%0ax-b: c", LENGTH), {}),
    "a body of ten gigabytes": ((HOST, "content-length: 10000000000"), {"body": ""}),
}
# Odd, but all readers read it alike.
SOUND: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "HTTP/1.0": ((HOST, LENGTH), {"line": f"POST {CALL} HTTP/1.0"}),
    "no host": ((LENGTH,), {}),
    "another host in the address": ((HOST, LENGTH), {"line": f"POST http://evil.example{CALL} HTTP/1.1"}),
    "somebody's password in the address": ((HOST, LENGTH), {"line": f"POST http://a:b@evil.example:9{CALL} HTTP/1.1"}),
    "chunks": ((HOST, "transfer-encoding: chunked"), {"body": CHUNKED}),
    "a chunk with an extension": (
        (HOST, "transfer-encoding: chunked"),
        {"body": CHUNKED.replace("\r\n", ";a=b\r\n", 1)},
    ),
    "a method to override with": ((HOST, LENGTH, "x-http-method-override: DELETE"), {}),
    "hops that forward": ((HOST, LENGTH, "x-forwarded-host: evil.example", "forwarded: for=1.2.3.4"), {}),
}


@pytest.fixture
async def served_apart(database_url: str, gemini: FakeGemini, tmp_path: Path) -> Any:
    """Give `jangbu serve` as it runs, with bounds that a test reaches soon."""
    bounds: dict[str, Any] = {"body_bytes_max": 4 * MEGABYTE, "client_seconds_max": 2, "head_seconds_max": 1}
    async with running(database_url, gemini.url, tmp_path, **bounds) as served:
        yield served


async def test_what_cannot_be_read_in_one_way_is_refused_and_its_connection_closed(
    served_apart: Running, gemini: FakeGemini
) -> None:
    for name, (lines, more) in UNSOUND.items():
        async with wire(served_apart.url) as client:
            await client.send(call(served_apart.key, *lines, **more))
            answer = await client.answer()
            assert answer.status in (400, 413, 431), name
            assert json.loads(answer.body)["error"]["code"] == answer.status, name
            assert answer.reason in ("INVALID_INPUT", "TOO_LARGE", "NOT_OFFERED"), name
            assert await client.until_closed() == b"", name
    assert gemini.requests() == []
    assert await served_apart.used() == (0, 0)


async def test_what_is_not_offered_is_refused_in_googles_words(served_apart: Running, gemini: FakeGemini) -> None:
    for name, (lines, more) in NOT_OFFERED.items():
        answer = await asked_once(served_apart.url, call(served_apart.key, *lines, **more))
        assert answer.status in (400, 404, 413), name
        assert json.loads(answer.body)["error"]["code"] == answer.status, name
    assert gemini.requests() == []
    assert await served_apart.used() == (0, 0)


async def test_odd_requests_that_mean_one_thing_are_metered_like_any_other(
    served_apart: Running, gemini: FakeGemini
) -> None:
    for name, (lines, more) in SOUND.items():
        before = (await served_apart.used())[0]
        answer = await asked_once(served_apart.url, call(served_apart.key, *lines, **more))
        assert answer.status == 200, name
        used = json.loads(answer.body)["usageMetadata"]["totalTokenCount"]
        assert await served_apart.used() == (before + used, 0), name
    for sent in gemini.requests():
        assert (sent.method, sent.target) == ("POST", CALL)
        assert sent.headers["host"] in gemini.url
        assert not {"x-http-method-override", "x-forwarded-host", "forwarded"} & sent.headers.keys()


async def test_a_client_of_http_1_0_is_sent_no_chunks(served_apart: Running, gemini: FakeGemini) -> None:
    answer = b"".join(
        b"data: " + json.dumps({"candidates": [{"finishReason": word}]}).encode() + b"\n\n" for word in "AB"
    )
    gemini.next(Behaviour(recorded=Recorded(answer, "text/event-stream")))
    async with wire(served_apart.url) as client:
        await client.send(call(served_apart.key, HOST, LENGTH, line=f"POST {STREAM} HTTP/1.0"))
        head, _, body = (await client.until_closed()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in head
    assert body == answer


async def test_an_answer_that_breaks_off_is_whole_to_no_client_of_http_1_0(
    served_apart: Running, gemini: FakeGemini
) -> None:
    gemini.next("cut=1")
    async with wire(served_apart.url) as client:
        await client.send(call(served_apart.key, HOST, LENGTH, line=f"POST {STREAM} HTTP/1.0"))
        await client.reader.readuntil(b"\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await client.reader.read()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('{"a":' * 2_000 + "1" + "}" * 2_000, id="nested beyond the reader's own depth"),
        pytest.param('{"a":' * 101 + "1" + "}" * 101, id="nested too deep"),
        pytest.param("[" * 100_000, id="nested and never closed"),
        pytest.param('{"contents": [{"parts": [{"text": "\\ud800"}]}]}', id="half a surrogate pair"),
        pytest.param('{"contents": [{"parts": [{"text": "\\ude00\\ud83d"}]}]}', id="a pair the wrong way round"),
        pytest.param('{"\\ud800": 1}', id="half a pair in a name"),
        pytest.param('{"a": 1e999}', id="a number that becomes infinite"),
        pytest.param('{"a": -1e999}', id="a number that becomes negatively infinite"),
        pytest.param('{"a": Infinity}', id="infinity"),
        pytest.param('{"a": ' + "9" * 5_000 + "}", id="an integer of 5,000 digits"),
        pytest.param('{"a": {"b": 1, "b": 2}}', id="a name twice, further in"),
        pytest.param('{"a": 1, "\\u0061": 2}', id="a name twice, once in escapes"),
        pytest.param("\ufeff{}", id="a byte order mark"),
        pytest.param("{} {}", id="two objects"),
        pytest.param('{"a": 1,}', id="a comma too many"),
        pytest.param("null", id="null"),
        pytest.param("", id="nothing"),
    ],
)
async def test_json_that_readers_could_read_differently_is_refused(served: Stage, body: str) -> None:
    status, answer, _ = await served.post(CALL, body.encode())
    assert (status, answer["error"]["details"][0]["reason"]) == (400, "INVALID_INPUT")
    assert served.gemini.requests() == []
    assert await served.used() == (0, 0)


@pytest.mark.parametrize("text", ["😀", "\\ud83d\\ude00", "\\\\ud800", "\\u0000", "\\uac00\\n\\\\"])
async def test_text_in_escapes_passes(served: Stage, text: str) -> None:
    assert (await served.post(CALL, f'{{"contents": [{{"parts": [{{"text": "{text}"}}]}}]}}'.encode()))[0] == 200


@pytest.mark.parametrize(
    "model", ["a\0b", "a\r\nx-b: c", "../../x?key=1", "x" * 200, 7, ["gemini-2.5-flash"], {"a": 1}]
)
async def test_a_model_in_the_body_that_is_none_is_refused(served: Stage, model: object) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    status, answer, _ = await served.post("/v1beta/openai/chat/completions", body)
    assert (status, answer["error"]["details"][0]["reason"]) == (400, "INVALID_INPUT")
    assert served.gemini.requests() == []


async def test_requests_in_a_row_are_answered_in_their_order(served: Stage) -> None:
    asks = [post(CALL, json.dumps(asked("hi" * number)), served.key) for number in range(1, 21)]
    async with wire(served.url) as client:
        await client.send(b"".join(asks))
        answers = [await client.answer() for _ in asks]
    assert [answer.status for answer in answers] == [200] * 20
    prompts = [json.loads(answer.body)["usageMetadata"]["promptTokenCount"] for answer in answers]
    assert prompts == sorted(prompts)
    total = sum(json.loads(answer.body)["usageMetadata"]["totalTokenCount"] for answer in answers)
    assert await served.used() == (total, 0)


async def test_a_body_is_asked_for_only_after_its_key_was_accepted(served: Stage) -> None:
    async with wire(served.url) as client:
        await client.send(post(CALL, "", "nobody", "expect: 100-continue").replace(b"length: 0", b"length: 9"))
        assert (await client.answer()).status == 401
    async with wire(served.url) as client:
        await client.send(call(served.key, HOST, LENGTH, "expect: 100-continue", body=""))
        assert (await client.answer()).status == 100
        await client.send(BODY.encode())
        assert (await client.answer()).status == 200


def _paths(number: int) -> Iterator[tuple[str, str]]:
    """Give methods and paths that are almost declared, and some that are."""
    dice = random.Random(20_270_131)
    values = {"model": FLASH, "id": "abc", "project": "p", "location": "l", "version": "v1beta"}
    pieces = (
        "/ // . .. %2f %2F %2e %5c \\ ; : :: ? ?key=a # @ ~ $ %00 %0d%0a %20 * | é models files v1 :generateContent"
    )
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
    for _ in range(number):
        line = dice.choice(DECLARED)
        path = "/" + line.template.replace("/**", "/x").format_map(values)
        for _ in range(dice.choice([0, 1, 1, 2, 4])):
            at = dice.randrange(1, len(path) + 1)
            path = path[:at] + dice.choice(pieces.split()) + path[at + dice.choice([0, 0, 1, 3]) :]
        method = line.method if line.method != "*" and dice.random() < 0.8 else dice.choice(methods)
        yield method, path.replace(" ", "%20")


async def test_of_thousands_of_paths_only_declared_ones_reach_the_provider(served: Stage, gemini: FakeGemini) -> None:
    async def walk(paths: list[tuple[str, str]]) -> None:
        while paths:
            async with wire(served.url) as client:
                while paths and client.is_open:
                    method, path = paths.pop()
                    body = "{}" if method in ("POST", "PUT", "PATCH") else ""
                    ask = call(
                        served.key, HOST, f"content-length: {len(body)}", line=f"{method} {path} HTTP/1.1", body=body
                    )
                    await client.send(ask)
                    answer = await client.answer(bodiless=method == "HEAD")
                    if not answer.status or answer.headers.get("connection") == "close":
                        break

    passed = 0
    paths = list(_paths(2_000))
    for start in range(0, len(paths), 100):
        # The fake remembers its latest 200 requests; what was made for a hold (a count) is among them.
        before = len(gemini.requests())
        batch = paths[start : start + 100]
        may = {_target(method, path) for method, path in batch}
        await asyncio.gather(*(walk(batch[number::4]) for number in range(4)))
        for sent in gemini.requests()[before if before < 200 else -100 :]:
            path = sent.target.partition("?")[0]
            assert (sent.method, path) in may or path.endswith(":countTokens"), sent.target
            passed += 1
    assert passed > 50
    assert await open_holds(served.ledger) == []


def _target(method: str, path: str) -> tuple[str, str]:
    found = segments(path.partition("#")[0].partition("?")[0].encode("latin-1"))
    route = None if found is None else find(method, found)
    return method, route.target if route else ""


async def test_heads_without_end_are_cut_off(served_apart: Running) -> None:
    served_apart.service.forget_most()
    before = served_apart.service.resident

    async def pour(line: bytes) -> int:
        async with wire(served_apart.url) as client:
            await client.send(f"GET /v1beta/models HTTP/1.1\r\n{HOST}\r\n".encode())
            for _ in range(100):
                await client.send(line)
                if not client.is_open:
                    break
            return (await client.answer()).status

    ends = await asyncio.gather(*(pour(line) for line in (b"a" * 100_000, b"a: b\r\n" * 10_000) for _ in range(8)))
    assert set(ends) <= {0, 431}
    assert served_apart.service.resident_most - before < GROWTH_MOST
    assert (await asked_once(served_apart.url, post(CALL, BODY, served_apart.key))).status == 200


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b""] * 9, id="nothing at all"),
        pytest.param([b"G", b"E", b"T", b" ", b"/", b"v", b"1", b" ", b"H"], id="a head byte by byte"),
        pytest.param([b"\r\n"] * 9, id="empty lines"),
        pytest.param([post(CALL, BODY, "", "x: y")[:-20], *[b"a"] * 8], id="a body byte by byte, without a key"),
    ],
)
async def test_who_sends_slowly_is_not_waited_for(served_apart: Running, pieces: list[bytes]) -> None:
    async with wire(served_apart.url) as client:
        for piece in pieces:
            await client.send(piece)
            await asyncio.sleep(0.3)
        assert (await client.answer(seconds=30)).status in (0, 400, 401, 408)


async def test_a_body_that_trickles_is_not_waited_for(served_apart: Running, gemini: FakeGemini) -> None:
    async with wire(served_apart.url) as client:
        await client.send(call(served_apart.key, HOST, "content-length: 100000", body=""))
        async with asyncio.timeout(30):
            sending = asyncio.create_task(_trickle(client))
            answer = await client.answer(seconds=30)
            sending.cancel()
    assert (answer.status, answer.reason) == (400, "INVALID_INPUT")
    assert gemini.requests() == []


async def _trickle(client: Wire) -> None:
    while True:
        await client.send(b" ")
        await asyncio.sleep(0.2)


async def test_bodies_without_end_are_cut_off(served_apart: Running, gemini: FakeGemini) -> None:
    served_apart.service.forget_most()
    before = served_apart.service.resident
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"

    async def pour(key: str) -> int:
        async with wire(served_apart.url) as client:
            await client.send(call(key, HOST, "transfer-encoding: chunked", body=""))
            for _ in range(20):
                await client.send(chunk)
            return (await client.answer()).status

    assert await pour(served_apart.key) == 413
    assert await pour("nobody") == 401
    assert served_apart.service.resident_most - before < GROWTH_MOST
    assert gemini.requests() == []
