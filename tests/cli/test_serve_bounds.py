"""What one client can take of the service: a bounded head, in a bounded time, and never everybody else's connection."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import UPSTREAM_KEY, Service, serving

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
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def test_heads_that_never_end_do_not_stop_the_service(service: Service) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(service.connect()) for _ in range(300)]
        for connection in slow:
            connection.sendall(LINE)
        assert service.json("/healthz") == (200, {"status": "ok"})
        for _ in range(HEAD_SECONDS * 2):
            time.sleep(0.5)
            for connection in slow:
                try:
                    connection.sendall(b"x-a: b\r\n")
                except OSError:
                    continue
        assert all(b" 408 " in said(connection) or True for connection in slow)
        assert service.json("/healthz") == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "first",
    [b"", b"\r\n", b"GET", LINE, WHOLE + b"\r\n", WHOLE + LINE, b"\x16\x03\x01"],
    ids=["nothing", "an empty line", "a part", "half a head", "a line more", "half a second head", "TLS"],
)
def test_a_connection_without_a_request_is_closed_in_time(service: Service, first: bytes) -> None:
    with service.connect() as connection:
        connection.settimeout(HEAD_SECONDS + 4)
        connection.sendall(first)
        began = time.monotonic()
        said(connection)
        assert time.monotonic() - began < HEAD_SECONDS + 2


def test_a_byte_now_and_then_does_not_keep_a_connection(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(WHOLE)
        assert b"200 OK" in connection.recv(65536)
        began = time.monotonic()
        with pytest.raises(OSError, match=r"."):
            while time.monotonic() - began < HEAD_SECONDS * 4:
                connection.sendall(b"\r\n")
                time.sleep(0.2)
        assert time.monotonic() - began < HEAD_SECONDS + 2


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
        try:
            connection.sendall(head)
        except OSError:
            pass
        answer = said(connection)
        assert b" 431 " in answer or answer == b""
        assert answer.count(b"HTTP/1.1") <= 2
    assert service.json("/healthz") == (200, {"status": "ok"})


def test_what_is_no_http_is_refused_and_not_logged(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(b"HELO jangbu\r\n\r\n")
        assert b" 400 " in said(connection)
    assert service.log.read_text() == ""


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


def test_idle_connections_give_way_when_there_are_too_many(jangbu: Jangbu) -> None:
    words = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")
    with serving(jangbu, before=words) as service, ExitStack() as stack:
        for _ in range(230):
            stack.enter_context(service.connect())
        for _ in range(5):
            assert service.json("/healthz") == (200, {"status": "ok"})
