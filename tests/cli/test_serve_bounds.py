"""What one client can take of the service: a bounded head, in a bounded time, and never everybody else's connection."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any, cast

import aiohttp
import pytest
import uvicorn

from jangbu.cli.serve.protocol import Bounds, bounded
from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import PATIENCE_SECONDS, UPSTREAM_KEY, Service, eventually, serving

LINE = b"GET /healthz HTTP/1.1\r\nhost: jangbu\r\n"
WHOLE = LINE + b"\r\n"
HEAD_SECONDS = 2


@pytest.fixture
def service(jangbu: Jangbu) -> Iterator[Service]:
    with serving(jangbu, "--log-format", "json", JANGBU_HEAD_SECONDS_MAX=str(HEAD_SECONDS)) as service:
        yield service


def said(connection: socket.socket) -> bytes:
    """Give all that the service says until it closes the connection."""
    pieces = []
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


@asynccontextmanager
async def served(app: Any, bounds: Bounds) -> AsyncIterator[int]:
    """Serve an application within bounds, on a socket that has none of the system's; give the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    made = cast("type[asyncio.Protocol]", bounded(bounds))
    config = uvicorn.Config(app, http=made, ws="websockets-sansio", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving


def test_heads_that_never_end_do_not_stop_the_service(service: Service) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(service.connect()) for _ in range(300)]
        for connection in slow:
            connection.sendall(LINE)
        assert service.json("/healthz") == (200, {"status": "ok"})
        for _ in range(HEAD_SECONDS * 2):
            time.sleep(0.5)
            for connection in slow:
                with suppress(OSError):
                    connection.sendall(b"x-a: b\r\n")
        assert {said(connection)[:12] for connection in slow} <= {b"HTTP/1.1 408", b""}
        assert service.json("/healthz") == (200, {"status": "ok"})


def test_requests_in_a_row_without_end_are_cut_off(service: Service) -> None:
    number = 5_000
    with service.connect() as connection:
        connection.settimeout(PATIENCE_SECONDS)
        with suppress(ConnectionError):
            connection.sendall(WHOLE * number)
        assert said(connection).count(b"HTTP/1.1 200") < number
    assert service.json("/healthz") == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "first",
    [b"", b"\r\n", b"GET", LINE, WHOLE + LINE, b"\x16\x03\x01"],
    ids=["nothing", "an empty line", "a part", "half a head", "half a second head", "TLS"],
)
def test_a_connection_without_a_request_is_closed_in_time(service: Service, first: bytes) -> None:
    with service.connect() as connection:
        # An idle connection may stay for longer than the client waits here.
        connection.sendall(first)
        said(connection)


def test_a_byte_now_and_then_does_not_keep_a_connection(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(WHOLE)
        assert b"200 OK" in connection.recv(65536)
        began = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - began < PATIENCE_SECONDS:
                connection.sendall(b"\r\n")
                time.sleep(0.2)
        assert time.monotonic() - began < PATIENCE_SECONDS


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        LINE + b"x-long: " + b"a" * 20_000 + b"\r\n\r\n",
        LINE + b"".join(b"x-%d: a\r\n" % number for number in range(3_000)) + b"\r\n",
        LINE + b"x-endless: " + b"a" * 400_000,
        WHOLE + LINE + b"x-long: " + b"a" * 20_000 + b"\r\n\r\n",
    ],
    ids=["path", "header", "headers", "endless", "second"],
)
def test_a_head_has_a_largest_size(service: Service, head: bytes) -> None:
    with service.connect() as connection:
        with suppress(OSError):
            connection.sendall(head)
        answer = said(connection)
        assert b" 431 " in answer or answer == b""
        assert answer.count(b"HTTP/1.1") <= 2
    assert service.json("/healthz") == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("status", "code", "header"),
    [
        pytest.param(400, "invalid_input", b"x-jangbu-tags: a=\x00", id="a control character"),
        pytest.param(431, "too_large", b"x-jangbu-tags: a=" + b"b" * 20_000, id="a header that is too long"),
        pytest.param(431, "too_large", b"x-a: b\r\n" * 2_500 + b"x-a: b", id="too many headers"),
    ],
)
def test_a_head_that_cannot_be_read_is_refused_in_the_words_of_whom_it_is_for(
    service: Service, status: int, code: str, header: bytes
) -> None:
    def refused(path: bytes) -> tuple[bytes, Any]:
        with service.connect() as connection:
            with suppress(OSError):
                connection.sendall(b"POST " + path + b" HTTP/1.1\r\nhost: x\r\n" + header + b"\r\n\r\n")
            head, _, body = said(connection).partition(b"\r\n\r\n")
            assert head.startswith(f"HTTP/1.1 {status} ".encode())
            return head, json.loads(body)

    head, problem = refused(b"/api/v1/records")
    assert b"content-type: application/problem+json" in head
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:jangbu:error:{code}"
    assert problem["hint"]
    head, told = refused(b"/v1beta/models/gemini-2.5-flash:generateContent")
    assert b"content-type: application/json" in head
    assert (told["error"]["code"], told["error"]["status"]) == (status, "INVALID_ARGUMENT")
    assert told["error"]["details"][0]["reason"] == code.upper()
    assert problem["hint"] in told["error"]["message"]


def test_what_is_no_http_is_refused_and_not_logged(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(b"HELO jangbu\r\n\r\n")
        assert b" 400 " in said(connection)
    with service.connect() as connection:
        connection.sendall(b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b" 404 " in said(connection)
    eventually(lambda: '"event": "request"' in service.log.read_text())
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert [line["status"] for line in lines if line["event"] == "request"] == [404]
    # That there is nothing to call Gemini with is said at the start.
    assert len([line for line in lines if line["event"] != "request"]) == 1


def test_a_header_after_the_body_changes_nothing(jangbu: Jangbu) -> None:
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini, serving(jangbu, gemini=gemini) as service:
        body = b'{"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}'
        head = (
            b"POST /v1beta/models/gemini-2.5-flash:generateContent HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
            b"transfer-encoding: chunked\r\nx-goog-api-key: " + service.key.encode() + b"\r\n\r\n"
        )
        with service.connect() as connection:
            connection.sendall(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\nx-jangbu-user: kim\r\n\r\n")
            assert b" 400 " in said(connection)
        assert gemini.answers() == []


async def test_a_websocket_may_be_silent_for_longer_than_a_head() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"]})
        await receive()

    bounds = Bounds(head_bytes=16_384, head_seconds=1, client_seconds=1, connections=10)
    async with (
        served(echo, bounds) as port,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"ws://127.0.0.1:{port}/") as connection,
    ):
        await asyncio.sleep(2)
        await connection.send_str("still here")
        assert await connection.receive_str(timeout=PATIENCE_SECONDS) == "still here"
    assert bounds.waiting == {}


async def test_a_client_that_never_reads_is_cut_off_on_any_system() -> None:
    left = asyncio.Event()

    async def pour(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200})
        leaving = asyncio.create_task(receive())
        while not leaving.done():
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
        assert leaving.result() == {"type": "http.disconnect"}
        left.set()

    bounds = Bounds(head_bytes=16_384, head_seconds=1, client_seconds=1, connections=10)
    async with served(pour, bounds) as port, asyncio.timeout(PATIENCE_SECONDS):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
        writer.write(WHOLE)
        await left.wait()
        writer.close()


def test_idle_connections_give_way_when_there_are_too_many(jangbu: Jangbu) -> None:
    words = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")
    with serving(jangbu, before=words) as service, ExitStack() as stack:
        for _ in range(230):
            stack.enter_context(service.connect())
        for _ in range(5):
            assert service.json("/healthz") == (200, {"status": "ok"})
