"""Offers to go on in another protocol than HTTP/1.1: WebSocket is taken up, every other is as good as not made."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import aiohttp
import pytest

from jangbu.testing import FakeGemini
from tests.gateway import live
from tests.gateway.raw import Running, asked_once, post, running, wire
from tests.gateway.stage import FLASH, asked

CALL = f"/v1beta/models/{FLASH}:generateContent"
BODY = json.dumps(asked())
JAVA = (
    "Connection: Upgrade, HTTP2-Settings",
    "HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA",
    "Upgrade: h2c",
)
"""What Java's own client says with every request until it knows better."""


@pytest.fixture
async def served(database_url: str, gemini: FakeGemini, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(database_url, gemini.url, tmp_path) as served:
        yield served


def chunked(request: bytes) -> bytes:
    """Write a request with its body in chunks."""
    head, _, body = request.partition(b"\r\n\r\n")
    length = f"content-length: {len(body)}".encode()
    return head.replace(length, b"transfer-encoding: chunked") + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("in_chunks", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("pause_at", [None, "head", "body"])
async def test_a_call_that_offers_http2_is_answered_in_http1(
    served: Running, pause_at: str | None, *, in_chunks: bool
) -> None:
    request = post(CALL, BODY, served.key, *JAVA)
    request = chunked(request) if in_chunks else request
    at = {None: len(request), "head": request.index(b"h2c") + 1, "body": request.index(b"\r\n\r\n") + 4}[pause_at]
    used = 0
    async with wire(served.url) as client:
        for _ in range(3):
            await client.send(request[:at])
            await asyncio.sleep(0.1)
            await client.send(request[at:])
            answer = await client.answer()
            assert answer.status == 200
            used += json.loads(answer.body)["usageMetadata"]["totalTokenCount"]
    assert await served.used() == (used, 0)


async def test_requests_in_a_row_that_offer_http2_are_all_answered(served: Running) -> None:
    call = post(CALL, BODY, served.key, *JAVA)
    who = (f"x-goog-api-key: {served.key}", "x-jangbu-user: kim")
    listing = "\r\n".join(("GET /v1beta/models HTTP/1.1", "host: gateway", *who, *JAVA, "", "")).encode()
    async with wire(served.url) as client:
        await client.send(call * 3 + listing * 3 + post(CALL, BODY, served.key))
        assert [(await client.answer()).status for _ in range(7)] == [200] * 7


@pytest.mark.parametrize(
    "lines",
    [
        ("upgrade: h2c",),
        ("connection: close", "upgrade: h2c"),
        ("connection: upgrade", "upgrade: TLS/1.0"),
        ("connection: upgrade", "upgrade: h2c, websocket"),
        ("connection: upgrade", "upgrade: h2c", "expect: 100-continue"),
    ],
    ids=["passed on by a proxy", "closing", "TLS", "a choice", "a body on demand"],
)
async def test_an_offer_of_any_kind_means_nothing(served: Running, lines: tuple[str, ...]) -> None:
    async with wire(served.url) as client:
        await client.send(post(CALL, BODY, served.key, *lines))
        answer = await client.answer()
        assert (answer if answer.status == 200 else await client.answer()).status == 200


async def test_an_offer_does_not_get_around_the_bounds(served: Running, gemini: FakeGemini) -> None:
    long = [f"x-long-{number}: {'a' * 1_000}" for number in range(20)]
    assert (await asked_once(served.url, post(CALL, BODY, served.key, *JAVA, *long))).status == 431
    tunnel = b"CONNECT gateway:80 HTTP/1.1\r\nhost: gateway\r\n\r\n"
    async with wire(served.url) as client:
        await client.send(tunnel + post(CALL, BODY, served.key))
        assert (await client.answer()).status == 400
        assert await client.until_closed() == b""
    assert gemini.requests() == []


@pytest.mark.parametrize(
    ("line", "lines", "body"),
    [
        (f"POST {CALL}", (), BODY),
        (f"POST {CALL}", (), ""),
        (f"GET {live.PATH}", (), BODY),
        (f"GET {live.PATH}", [f"x-{number}: a" for number in range(200)], ""),
    ],
    ids=["a call", "a call without a body", "a body", "too many headers"],
)
async def test_a_handshake_of_websocket_that_is_none_is_refused(
    served: Running, gemini: FakeGemini, line: str, lines: Iterable[str], body: str
) -> None:
    request = post(CALL, body, served.key, "connection: upgrade", "upgrade: websocket", *lines)
    async with wire(served.url) as client:
        await client.send(request.replace(f"POST {CALL}".encode(), line.encode()))
        assert (await client.answer()).status in (400, 405, 426)
        assert await client.until_closed() == b""
    assert gemini.requests() == []


async def test_a_websocket_is_opened_all_the_same(served: Running) -> None:
    headers = {"x-goog-api-key": served.key, "x-jangbu-user": "kim"}
    async with aiohttp.ClientSession() as http, http.ws_connect(served.url + live.PATH, headers=headers) as client:
        await client.send_json(live.SETUP)
        assert json.loads((await client.receive()).data) == {"setupComplete": {}}
        used = await live.turn(client)
    assert await served.used() == (used, 0)
