"""The HTTP client before the provider: what comes is read as HTTP says, and nothing else is taken for an answer."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from jangbu.gateway.http_client import HttpFailure, keep_alive
from jangbu.testing.serving.tls import self_signed
from tests.gateway.http_provider import CHUNKED, WHOLE, Provider, Run, asked, client, provider, saying

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + WHOLE
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"


@pytest.mark.parametrize("content", [WHOLE, CHUNKED, EARLY], ids=["length", "chunked", "informed"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_is_read_however_it_comes_and_its_connection_is_used_again(
    run: Run, content: bytes, size: int
) -> None:
    pieces = [content[start : start + size] for start in range(0, len(content), size)]

    async def said() -> None:
        async with provider(saying(*pieces)) as google, client() as http:
            assert [await asked(http, google.url + "/x") for _ in range(3)] == [(200, b"hello")] * 3
            assert google.connections == 1

    run(said())


def test_a_request_is_written_as_it_is_meant(run: Run) -> None:
    async def said() -> None:
        async with provider(saying(WHOLE)) as google, client() as http:
            headers = [(b"x-goog-api-key", b"k"), (b"accept-encoding", b"identity")]
            answer = await http.request("POST", google.url + "/v1/m%2Fx:call?alt=sse", headers, b'{"a": 1}')
            assert answer.header(b"x-goog-upload-status") == b"active"
            host = google.url.removeprefix("http://").encode()
            assert google.requests == [
                b"POST /v1/m%2Fx:call?alt=sse HTTP/1.1\r\nhost: " + host + b"\r\nx-goog-api-key: k\r\n"
                b'accept-encoding: identity\r\ncontent-length: 8\r\n\r\n{"a": 1}'
            ]

    run(said())


def test_headers_that_would_be_two_and_addresses_that_are_none_are_not_sent(run: Run) -> None:
    async def said() -> None:
        async with provider(saying(WHOLE)) as google, client() as http:
            for value in (b"a\r\nx: y", b"a\ny", b"a\0"):
                with pytest.raises(ValueError, match="belong into none"):
                    await http.request("GET", google.url + "/", [(b"accept", value)])
            host = google.url.removeprefix("http://")
            for url in (f"ftp://{host}/", f"http://a@{host}/", google.url + "/a b", google.url + "/ä", "http:///x"):
                with pytest.raises(HttpFailure) as failed:
                    await http.request("GET", url, [])
                assert not failed.value.has_left
            assert google.requests == []

    run(said())


def test_a_body_of_unknown_length_ends_with_its_connection(run: Run) -> None:
    async def said() -> None:
        async with provider(saying(UNTIL_CLOSED, then_close=True)) as google, client() as http:
            assert [await asked(http, google.url) for _ in range(2)] == [(200, b"hello")] * 2
            assert google.connections == 2

    run(said())


def test_answers_without_a_body_are_whole_with_their_head(run: Run) -> None:
    async def said() -> None:
        async with provider(saying(b"HTTP/1.1 204 No Content\r\n\r\n")) as google, client() as http:
            assert [await asked(http, google.url, "DELETE") for _ in range(2)] == [(204, b"")] * 2
            assert google.connections == 1
        async with provider(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as google, client() as http:
            assert await asked(http, google.url, "HEAD") == (200, b"")

    run(said())


@pytest.mark.parametrize(
    "content",
    [
        WHOLE.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"),
        WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        WHOLE + WHOLE,
        WHOLE + b"HTTP/1.1 2",
    ],
    ids=["closes", "old", "one too many", "the beginning of one too many"],
)
def test_a_connection_is_not_used_again_when_it_ends_or_says_what_nobody_asked_for(run: Run, content: bytes) -> None:
    async def said() -> None:
        async with provider(saying(content)) as google, client() as http:
            assert [await asked(http, google.url) for _ in range(3)] == [(200, b"hello")] * 3
            assert google.connections == 3

    run(said())


def test_what_comes_on_a_free_connection_ends_it(run: Run) -> None:
    async def said() -> None:
        async with provider(saying(WHOLE, b"", WHOLE, pause=0.05)) as google, client() as http:
            assert await asked(http, google.url) == (200, b"hello")
            await google.ended.wait()
            assert await asked(http, google.url) == (200, b"hello")
            assert google.connections == 2

    run(said())


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
    ],
    ids=[
        "two lengths",
        "two other lengths",
        "another protocol",
        "no chunk",
        "no HTTP",
        "many headers",
        "a long header",
    ],
)
def test_what_is_no_sound_answer_is_none(run: Run, content: bytes) -> None:
    async def said() -> None:
        async with provider(saying(content, pause=0.2)) as google, client() as http:
            with pytest.raises(HttpFailure) as failed:
                await asked(http, google.url)
            assert failed.value.has_left
            with suppress(HttpFailure):
                await asked(http, google.url)
            assert google.connections == 2, "the connection is not used again"

    run(said())


@pytest.mark.parametrize("content", [WHOLE[:-1], CHUNKED[:-2], CHUNKED[: CHUNKED.index(b"lo")]])
def test_a_body_that_breaks_off_is_told_after_what_came_of_it(run: Run, content: bytes) -> None:
    async def said() -> None:
        async with provider(saying(content, then_close=True)) as google, client() as http:
            answer = await http.request("POST", google.url, [], b"{}")
            came = b""
            with suppress(HttpFailure):
                while True:
                    came += await answer.piece()
            assert b"hello".startswith(came)
            assert not answer.is_whole
            with pytest.raises(HttpFailure) as failed:
                await answer.piece()
            assert failed.value.has_left

    run(said())


def test_only_what_may_be_repeated_is_made_again_on_a_connection_that_turns_out_to_be_closed(run: Run) -> None:
    async def once_then_close(google: Provider, writer: asyncio.StreamWriter) -> None:
        if len(google.requests) % 2:
            writer.write(WHOLE)
        else:
            # It was open when the request was sent, and ends without a word.
            writer.transport.abort()

    async def said() -> None:
        async with provider(once_then_close) as google, client() as http:
            assert await asked(http, google.url, "GET") == (200, b"hello")
            assert await asked(http, google.url, "GET") == (200, b"hello")
            assert (google.connections, len(google.requests)) == (2, 3)
            with pytest.raises(HttpFailure) as failed:
                await asked(http, google.url)
            assert failed.value.has_left, "whether the call was made cannot be known"
            assert (google.connections, len(google.requests)) == (2, 4)

    run(said())


def test_a_call_has_not_left_where_nobody_listens(run: Run) -> None:
    left: list[bool] = []

    async def said() -> None:
        async with provider(saying(WHOLE)) as google:
            url = google.url
        async with client() as http:
            with pytest.raises(HttpFailure) as failed:
                await asked(http, url, leaving=lambda: left.append(True))
            assert not failed.value.has_left
        assert left == []
        async with provider(saying(WHOLE)) as google, client() as http:
            await asked(http, google.url, leaving=lambda: left.append(True))
        assert left == [True]

    run(said())


def test_an_answer_may_begin_late_and_is_not_silent_then(run: Run) -> None:
    async def late(_provider: Provider, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2.5)
        writer.write(WHOLE[:-1])
        await asyncio.sleep(10)

    async def said() -> None:
        async with provider(late) as google, client(idle_seconds=1, begin_seconds=30) as http:
            answer = await http.request("POST", google.url, [], b"{}")
            assert answer.status == 200
            assert await answer.piece() == b"hell"
            with pytest.raises(HttpFailure, match="nothing came in time"):
                await answer.piece()

    run(said())


def test_a_provider_that_does_not_read_is_not_waited_for_as_one_that_thinks(run: Run) -> None:
    async def said() -> None:
        ended, is_over = asyncio.Event(), asyncio.Event()

        async def unread(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await ended.wait()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            is_over.set()

        server = await asyncio.start_server(unread, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with client(idle_seconds=1, begin_seconds=30) as http:
            with pytest.raises(HttpFailure, match="nothing came in time"):
                await http.request("POST", url, [], bytes(16_000_000))
        ended.set()
        await is_over.wait()
        server.close()
        await server.wait_closed()

    run(said())


def test_the_other_side_is_asked_whether_it_is_there_while_nothing_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as connected:
            keep_alive(connected)
            assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_silence_ends_a_call_and_a_slow_reader_does_not(run: Run) -> None:
    async def said() -> None:
        async with provider(saying(WHOLE[:-1], b"", pause=10)) as google, client(idle_seconds=1) as http:
            with pytest.raises(HttpFailure, match="nothing came in time"):
                await asked(http, google.url)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n"
        async with provider(saying(head, bytes(8_000_000))) as google, client(idle_seconds=1) as http:
            answer = await http.request("POST", google.url, [], b"{}")
            await asyncio.sleep(3)
            size = 0
            while piece := await answer.piece():
                size += len(piece)
                assert len(piece) <= 128 * 1024, "no more is read ahead"
            assert size == 8_000_000

    run(said())


def test_connections_are_closed_when_they_were_free_for_long(run: Run) -> None:
    async def said() -> None:
        async with provider(saying(WHOLE)) as google, client(keep_seconds=1) as http:
            await asked(http, google.url)
            await asyncio.wait_for(google.ended.wait(), 20)

    run(said())


def test_an_answer_that_is_left_takes_its_connection_along(run: Run) -> None:
    async def said() -> None:
        async with provider(saying(WHOLE[:-1], b"", pause=0.3)) as google, client() as http:
            answer = await http.request("POST", google.url, [], b"{}")
            answer.close()
            await asyncio.wait_for(google.ended.wait(), 20)
        async with provider(saying(b"", b"", pause=0.3)) as google, client() as http:
            waiting = asyncio.create_task(asked(http, google.url))
            await asyncio.sleep(0.1)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
            await asyncio.wait_for(google.ended.wait(), 20)

    run(said())


async def _pieces(*pieces: bytes, breaks: bool = False) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(0.01)
    if breaks:
        raise RuntimeError("no more")


def test_a_body_passes_as_it_comes_in_chunks_or_under_its_length(run: Run) -> None:
    async def said() -> None:
        async with provider(saying(WHOLE)) as google, client() as http:
            assert await asked(http, google.url, body=_pieces(b"ab", b"", b"c")) == (200, b"hello")
            await http.request("PUT", google.url, [(b"content-length", b"3")], _pieces(b"ab", b"c"))
            chunked, plain = google.requests
            assert chunked.endswith(b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
            assert plain.endswith(b"content-length: 3\r\n\r\nabc")
            assert google.connections == 1

    run(said())


def test_a_body_that_breaks_off_is_never_taken_for_whole(run: Run) -> None:
    async def said() -> None:
        async with provider(saying(WHOLE)) as google, client() as http:
            with pytest.raises(HttpFailure, match="the request broke off") as failed:
                await asked(http, google.url, body=_pieces(b"ab", breaks=True))
            assert failed.value.has_left
            await google.ended.wait()
            assert b"0\r\n\r\n" not in b"".join(google.requests)

    run(said())


def test_an_answer_before_the_end_of_a_body_is_the_answer(run: Run) -> None:
    async def at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE.replace(b"200 OK", b"413 Too Large"))
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(100)
            await asyncio.sleep(0.01)

    async def said() -> None:
        server = await asyncio.start_server(at_once, "127.0.0.1", 0)
        async with client() as http:
            port = server.sockets[0].getsockname()[1]
            assert await asked(http, f"http://127.0.0.1:{port}", body=endless()) == (413, b"hello")
        server.close()

    run(said())


def test_tls_is_spoken_to_whom_the_certificate_names(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, certificate = self_signed("localhost")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    async def said() -> None:
        async with provider(saying(CHUNKED), context) as google, client() as http:
            assert [await asked(http, google.url + "/x") for _ in range(2)] == [(200, b"hello")] * 2
            assert google.connections == 1
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n"
        async with provider(saying(head, bytes(3_000_000)), context) as google, client() as http:
            status, content = await asked(http, google.url)
            assert (status, len(content)) == (200, 3_000_000)
        stranger, _ = self_signed("localhost")
        async with provider(saying(WHOLE), stranger) as google, client() as http:
            with pytest.raises(HttpFailure) as failed:
                await asked(http, google.url)
            assert not failed.value.has_left, "nothing is said to a stranger"

    run(said())
