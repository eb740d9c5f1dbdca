"""The server: connections, one after another request on each, Live where a connection is upgraded."""

import asyncio
import contextlib
import ssl
from collections import deque
from dataclasses import dataclass

from jangbu.testing.answering import Answering
from jangbu.testing.routes import LIVE
from jangbu.testing.serving.sending import Sending
from jangbu.testing.serving.wire import HEAD_MOST, MalformedRequest, read_request
from jangbu.testing.surfaces.exchange import Request

__all__ = ["Address", "Server"]

REFUSAL = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
REQUESTS_KEPT = 200
"""How many of the latest requests a test can look at."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 takes any that is free."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None


class Server:
    """Serves on one address from ``start`` to ``stop``."""

    def __init__(self, answering: Answering, address: Address, *, gzip: bool = False, chunk_delay: float = 0.0) -> None:
        self.answering = answering
        self.requests: deque[Request] = deque(maxlen=REQUESTS_KEPT)
        self._address = address
        self._gzip = gzip
        self._chunk_delay = chunk_delay
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()
        self.url = ""

    async def start(self) -> None:
        """Begin to listen; ``url`` is known from then on."""
        host, tls = self._address.host, self._address.tls
        self._server = await asyncio.start_server(
            self._converse, host, self._address.port, ssl=tls, limit=HEAD_MOST, backlog=1024
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening and drop all connections."""
        assert self._server is not None, "a server is started before it is stopped"
        self._server.close()
        for conversation in tuple(self._conversations):
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        await self._server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends; a client that leaves in the middle is nobody's failure."""
        task = asyncio.current_task()
        assert task is not None, "asyncio runs each connection in a task"
        self._conversations.add(task)
        try:
            await self._answer_requests(reader, writer)
        except MalformedRequest:
            writer.write(REFUSAL)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            writer.transport.abort()
        finally:
            self._conversations.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from jangbu.testing.serving.websocket import LiveConnection

        sending = Sending(self.answering, reader, writer, self._gzip, self._chunk_delay)
        while (request := await read_request(reader, writer)) is not None:
            self.requests.append(request)
            exchange = self.answering.receive(request, self.url)
            if exchange.route.surface == LIVE:
                return await LiveConnection(self.answering, reader, writer, exchange).run()
            if not await sending.send(exchange, self.answering.reply(exchange)):
                return None
        return None
