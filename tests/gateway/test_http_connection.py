"""What a connection to the provider may do wrong, and what nobody may make of it."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from jangbu.gateway.http_client import HttpFailure
from jangbu.testing.serving.tls import self_signed
from tests.gateway.http_provider import CHUNKED, WHOLE, Provider, Run, asked, client, provider, saying

UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"
FORGED = WHOLE.replace(b"hello", b"wrong")
LARGE = 20_000_000
PATIENCE_SECONDS = 30


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Give what a server says who it is with, to a client that believes it."""
    context, certificate = self_signed("localhost")
    (tmp_path / "trusted.pem").write_bytes(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    return context


@contextmanager
def beside(answer: Callable[[socket.socket, int], None]) -> Iterator[str]:
    """Serve on threads, one request after another: it goes on while the loop of a test stands still."""
    listening = socket.create_server(("127.0.0.1", 0))
    asked_for = iter(range(1, 1000))

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while connection.recv(65536):
                answer(connection, next(asked_for))

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listening.accept()[:1], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()


def test_what_comes_unasked_while_nobody_looks_is_no_answer_to_the_next_request(run: Run) -> None:
    is_read, is_forged = threading.Event(), threading.Event()

    def twice(connection: socket.socket, number: int) -> None:
        connection.sendall(WHOLE)
        if number == 1:
            is_read.wait(PATIENCE_SECONDS)
            connection.sendall(FORGED)
            is_forged.set()

    async def said(url: str) -> None:
        async with client() as http:
            assert await asked(http, url) == (200, b"hello")
            is_read.set()
            # The loop looks at nothing meanwhile.
            assert is_forged.wait(PATIENCE_SECONDS)
            assert await asked(http, url) == (200, b"hello")

    with beside(twice) as url:
        run(said(url))


def test_a_connection_that_ended_while_nobody_looked_is_not_written_to(run: Run) -> None:
    ended = threading.Semaphore(0)

    def then_close(connection: socket.socket, _number: int) -> None:
        connection.sendall(WHOLE)
        connection.shutdown(socket.SHUT_RDWR)
        ended.release()

    async def said(url: str) -> None:
        async with client() as http:
            for _ in range(3):
                assert await asked(http, url) == (200, b"hello")
                # The loop looks at nothing meanwhile.
                assert ended.acquire(timeout=PATIENCE_SECONDS)

    with beside(then_close) as url:
        run(said(url))


def test_over_tls_a_body_of_unknown_length_is_whole_only_where_the_provider_says_so(
    run: Run, trusted: ssl.SSLContext
) -> None:
    async def breaking_off(_google: Provider, writer: asyncio.StreamWriter) -> None:
        writer.write(UNTIL_CLOSED)
        await writer.drain()
        await asyncio.sleep(0.1)
        # TCP ends, and TLS does not: so would it look if somebody between the two cut the answer.
        writer.transport.abort()

    async def said() -> None:
        async with provider(breaking_off, trusted) as google, client() as http:
            with pytest.raises(HttpFailure):
                await asked(http, google.url)
        async with provider(saying(UNTIL_CLOSED, then_close=True), trusted) as google, client() as http:
            assert await asked(http, google.url) == (200, b"hello")

    run(said())


@pytest.mark.parametrize("head", [b"Content-Length: 300000\r\nConnection: close\r\n", b""], ids=["length", "end"])
@pytest.mark.parametrize("is_slow", [True, False])
def test_over_tls_a_slow_reader_loses_nothing_where_the_connection_ends(
    run: Run, trusted: ssl.SSLContext, head: bytes, is_slow: bool
) -> None:
    body = bytes(range(250)) * 1200

    async def said() -> None:
        whole = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body
        async with provider(saying(whole, then_close=True), trusted) as google, client() as http:
            answer = await http.request("POST", google.url, [], b"{}")
            await asyncio.sleep(0.5 if is_slow else 0)
            content = b""
            while piece := await answer.piece():
                content += piece
                await asyncio.sleep(0.02 if is_slow else 0)
            assert content == body

    run(said())


@pytest.mark.parametrize("has_tls", [False, True])
def test_many_connections_read_into_the_same_bytes_and_each_reads_its_own(
    run: Run, trusted: ssl.SSLContext, has_tls: bool
) -> None:
    async def echoing(google: Provider, writer: asyncio.StreamWriter) -> None:
        number = int(google.requests[-1].split()[1][1:])
        body = bytes([number]) * 400_000
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 7_000 + 900 * number):
            writer.write(body[start : start + 7_000 + 900 * number])
            await asyncio.sleep(0)

    async def said() -> None:
        async with provider(echoing, trusted if has_tls else None) as google, client() as http:
            for _ in range(2):
                found = await asyncio.gather(*(asked(http, f"{google.url}/{number}") for number in range(20)))
                assert [content == bytes([number]) * 400_000 for number, (_, content) in enumerate(found)] == [
                    True
                ] * 20

    run(said())


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 099 Less\r\n\r\n" + b"x" * 200_000,
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 5_000,
    ],
    ids=["a body", "no end"],
)
def test_what_only_informs_has_no_body_and_an_end(run: Run, content: bytes) -> None:
    async def said() -> None:
        async with provider(saying(content)) as google, client() as http:
            with pytest.raises(HttpFailure) as failed:
                await asyncio.wait_for(asked(http, google.url), 10)
            assert failed.value.has_left

    run(said())


def test_what_follows_a_body_is_no_header_of_the_next_answer(run: Run) -> None:
    async def said() -> None:
        async with provider(saying(CHUNKED)) as google, client() as http:
            assert await asked(http, google.url) == (200, b"hello")
            answer = await http.request("POST", google.url, [], b"{}")
            assert answer.headers == ((b"transfer-encoding", b"chunked"),)
            assert google.connections == 1

    run(said())


def test_silence_is_no_reason_to_ask_again(run: Run) -> None:
    async def once(google: Provider, writer: asyncio.StreamWriter) -> None:
        if len(google.requests) == 1:
            writer.write(WHOLE)

    async def said() -> None:
        async with provider(once) as google, client(idle_seconds=1) as http:
            assert await asked(http, google.url, "GET") == (200, b"hello")
            with pytest.raises(HttpFailure, match="nothing came in time"):
                await asked(http, google.url, "GET")
            assert len(google.requests) == 2

    run(said())


def test_a_request_has_left_also_where_it_cannot_be_made_again(run: Run) -> None:
    left: list[bool] = []

    async def said() -> None:
        server: asyncio.Server

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(WHOLE)
            await reader.readuntil(b"\r\n\r\n")
            server.close()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with client() as http:
            assert await asked(http, url, "DELETE") == (200, b"hello")
            with pytest.raises(HttpFailure) as failed:
                await asked(http, url, "DELETE", leaving=lambda: left.append(True))
            assert failed.value.has_left
            assert left == [True]

    run(said())


def test_an_answer_before_the_end_of_a_body_ends_its_connection_at_once(run: Run) -> None:
    connections: list[asyncio.StreamWriter] = []

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(WHOLE)

    async def said() -> None:
        server = await asyncio.start_server(deaf, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with client() as http:
            for _ in range(2):
                assert await asyncio.wait_for(asked(http, url, body=bytes(LARGE)), 60) == (200, b"hello")
            assert len(connections) == 2, "what is stuck behind a body would never be read"
            for body in (bytes(LARGE), _pieces(*[bytes(LARGE // 10)] * 10)):
                assert await asyncio.wait_for(asked(http, url, body=body), 60) == (200, b"hello")
            async with asyncio.timeout(60):
                for writer in connections:
                    # Whoever is gone refuses what is said; nobody closed anything here.
                    while not writer.transport.is_closing():
                        writer.write(b"\r\n")
                        await asyncio.sleep(0.01)
        server.close()

    run(said())


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("pieces", [(b"ab",), (b"ab", b"cGET /smuggled HTTP/1.1\r\n\r\n")], ids=["less", "more"])
def test_a_body_of_another_length_than_was_said_is_neither_whole_nor_two_requests(
    run: Run, pieces: tuple[bytes, ...]
) -> None:
    async def said() -> None:
        async with provider(saying(WHOLE)) as google, client() as http:
            with pytest.raises(HttpFailure, match="another length") as failed:
                await http.request("PUT", google.url, [(b"content-length", b"3")], _pieces(*pieces))
            assert failed.value.has_left
            await google.ended.wait()
            assert b"smuggled" not in b"".join(google.requests)

    run(said())


def test_a_request_has_one_method_and_one_length(run: Run) -> None:
    length = (b"content-length", b"2")

    async def said() -> None:
        async with provider(saying(WHOLE)) as google, client() as http:
            for method in ("", "G T", "GET / HTTP/1.1\r\nx:", "GÈT"):
                with pytest.raises(ValueError, match="one method"):
                    await http.request(method, google.url, [])
            for headers, body in (
                ([length], b"ab"),
                ([length], None),
                ([length, length], _pieces(b"ab")),
                ([(b"Content-Length", b"+2")], _pieces(b"ab")),
                ([(b"content-length", b"")], _pieces(b"ab")),
            ):
                with pytest.raises(ValueError, match="one length"):
                    await http.request("POST", google.url, headers, body)
            assert google.requests == []

    run(said())


def test_a_client_that_is_closed_makes_no_more_connections(run: Run) -> None:
    left: list[bool] = []

    async def said() -> None:
        async with provider(saying(WHOLE)) as google, client() as http:
            making = asyncio.create_task(asked(http, google.url, leaving=lambda: left.append(True)))
            await asyncio.sleep(0)
            await http.close()
            with pytest.raises(HttpFailure) as failed:
                await making
            assert not failed.value.has_left
            assert (left, google.requests) == ([], [])

    run(said())
