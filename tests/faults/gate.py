"""A gate before a server: what the server answers waits until the test lets it pass."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Gate:
    """Passes requests at once, and answers while it is open. ``url`` is where it stands."""

    def __init__(self, server_url: str) -> None:
        self._server = urlsplit(server_url)
        self.url = ""
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.waiting = 0
        """How many pieces of answers wait."""
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self._server.hostname, self._server.port)
        forward = asyncio.create_task(self._forward(reader, server_writer))
        try:
            while data := await server_reader.read(65536):
                self.waiting += 1
                await self.is_open.wait()
                self.waiting -= 1
                writer.write(data)
                await writer.drain()
        finally:
            forward.cancel()
            await asyncio.gather(forward, return_exceptions=True)
            for end in (writer, server_writer):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def answers_wait(self, number: int) -> None:
        """Wait until so many answers wait."""
        async with asyncio.timeout(60):
            while self.waiting < number:  # noqa: ASYNC110 - it is not told
                await asyncio.sleep(0.01)


@asynccontextmanager
async def gate(server_url: str) -> AsyncIterator[Gate]:
    """Give a gate before a server."""
    standing = Gate(server_url)
    server = await asyncio.start_server(standing.begin, "127.0.0.1", 0)
    standing.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield standing
    finally:
        server.close()
        await standing.close()
