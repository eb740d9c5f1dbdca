"""A provider that says what a test wants to hear, byte by byte, and who asks it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from jangbu.gateway.http_client import HttpClient

Run = Callable[[Coroutine[Any, Any, None]], None]
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Goog-Upload-Status: active \r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: no\r\n\r\n"


class Provider:
    """A server that says what a test wants: ``answer`` is called with each request, and writes what it likes."""

    def __init__(self, answer: Callable[["Provider", asyncio.StreamWriter], Awaitable[None]]) -> None:
        self._answer = answer
        self.connections = 0
        self.requests: list[bytes] = []
        self.ended = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head + await _body(head, reader))
                await self._answer(self, writer)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            if isinstance(error, asyncio.IncompleteReadError) and error.partial:
                self.requests.append(error.partial)
        finally:
            self.ended.set()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    if b"\r\ntransfer-encoding: chunked" in head:
        return await reader.readuntil(b"0\r\n\r\n")
    length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: ")), 0)
    return await reader.readexactly(length)


def saying(*pieces: bytes, then_close: bool = False, pause: float = 0.0) -> Callable[..., Awaitable[None]]:
    async def answer(_provider: Provider, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if then_close:
            writer.close()

    return answer


@asynccontextmanager
async def provider(
    answer: Callable[[Provider, asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Provider]:
    standing = Provider(answer)
    server = await asyncio.start_server(standing.serve, "127.0.0.1", 0, ssl=tls)
    standing.url = f"http{'s' if tls else ''}://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        yield standing
    finally:
        server.close()


@asynccontextmanager
async def client(
    *, idle_seconds: int = 30, keep_seconds: int = 30, begin_seconds: int | None = None
) -> AsyncIterator[HttpClient]:
    http = HttpClient(
        connect_seconds=5, idle_seconds=idle_seconds, keep_seconds=keep_seconds, begin_seconds=begin_seconds
    )
    try:
        yield http
    finally:
        await http.close()


async def asked(http: HttpClient, url: str, method: str = "POST", **given: Any) -> tuple[int, bytes]:
    answer = await http.request(method, url, [], given.pop("body", b"{}" if method == "POST" else None), **given)
    content = b""
    while piece := await answer.piece():
        content += piece
    return answer.status, content
