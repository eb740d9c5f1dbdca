"""A proxy between a client and PostgreSQL that loses acknowledgements: the commit happened and nobody was told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit


class LossyProxy:
    """Passes bytes both ways until it is told to swallow the next answer and break the connection."""

    def __init__(self, server_socket: Path) -> None:
        self.server_socket = server_socket
        self.swallow_answers_after = b""
        self.swallowed = 0
        self.refuses_from_then_on = False
        """Whether the others are cut off, too, and refused, once an answer was swallowed."""
        self.refuses = False
        self.machines = 0
        """How often the server's machine vanished: connections of before lead nowhere, and new ones to its heir."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.close()
            return
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(str(self.server_socket))
        marked = asyncio.Event()
        forward = asyncio.create_task(self._forward(reader, upstream_writer, marked))
        backward = asyncio.create_task(self._backward(upstream_reader, writer, marked))
        self._tasks |= {forward, backward}
        await asyncio.wait({forward, backward}, return_when=asyncio.FIRST_COMPLETED)
        for task in (forward, backward):
            task.cancel()
        await asyncio.gather(forward, backward, return_exceptions=True)
        for end in (writer, upstream_writer):
            end.close()
            with contextlib.suppress(OSError):
                await end.wait_closed()

    async def _forward(
        self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter, marked: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if self.swallow_answers_after and self.swallow_answers_after in data:
                self.swallow_answers_after = b""
                marked.set()
            upstream.write(data)
            await upstream.drain()

    async def _backward(
        self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter, marked: asyncio.Event
    ) -> None:
        machine = self.machines
        while data := await upstream.read(65536):
            if machine != self.machines:
                await asyncio.Event().wait()
            if marked.is_set():
                # The statement has been answered, so it is committed: end without a word.
                self.swallowed += 1
                self.refuses = self.refuses_from_then_on
                return
            if self.refuses:
                return
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def lossy_proxy(dsn: str, folder: Path) -> AsyncIterator[tuple[str, LossyProxy]]:
    """Give the address of a proxy before the server that ``dsn`` names, and the proxy."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    port = parts.port or int(query.get("port", ["5432"])[0])
    proxy = LossyProxy(Path(query["host"][0]) / f".s.PGSQL.{port}")
    server = await asyncio.start_unix_server(proxy.serve, str(folder / f".s.PGSQL.{port}"))
    address = dsn.replace(quote(query["host"][0], safe=""), quote(str(folder), safe="")).replace(
        query["host"][0], str(folder)
    )
    async with server:
        yield address, proxy
