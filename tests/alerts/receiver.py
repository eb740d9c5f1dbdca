"""A receiver of webhooks: a real HTTP server that notes what it is sent and answers as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Received:
    """One request."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Answers with ``status``, or never while ``is_silent``."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.status = 204
        self.location = ""
        self.is_silent = False
        self.port = 0
        self._came = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alerts?token=a-secret-of-the-address"

    @property
    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.received]

    async def until(self, number: int, seconds: float = 60) -> None:
        """Wait until so many requests came."""
        async with asyncio.timeout(seconds):
            while len(self.received) < number:
                self._came.clear()
                await self._came.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.received.append(Received(headers, body))
            self._came.set()
            if self.is_silent:
                await reader.read()
            else:
                location = f"location: {self.location}\r\n" if self.location else ""
                writer.write(f"HTTP/1.1 {self.status} so\r\n{location}content-length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(port: int = 0) -> AsyncIterator[Receiver]:
    """Receive on this machine until the block ends."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", port)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


async def until(is_true: Callable[[], Any]) -> None:
    """Wait until something is true, or awaits to be."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = is_true()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)
