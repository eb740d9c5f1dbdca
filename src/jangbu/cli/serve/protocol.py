"""HTTP as uvicorn speaks it, with the bounds that it lacks: on a request's head, and on how long an answer is not read.

Without them a client that never ends its head, or never reads, holds a connection and what is kept for it for ever.
When connections run out, those that have waited for a request for a while give way, the longest first, so that whoever
has one gets in.
"""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from jangbu.cli.serve.unreadable import unreadable
from jangbu.cli.serve.without_chunks import without_chunks

if TYPE_CHECKING:
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["Bounds", "bounded"]

_REQUESTS_WAITING_MAX = 64
"""How many requests may wait for the answer to an earlier one. No client of Gemini's sends a second one at all."""
_REQUEST_UNDER_WAY_SECONDS = 0.5


@dataclass(slots=True)
class Bounds:
    """What a connection may take: bytes and seconds for a head, seconds in which nothing of an answer is read, and its
    place among so many connections.
    """

    head_bytes: int
    head_seconds: int
    client_seconds: int
    connections: int
    waiting: "dict[BoundedProtocol, float]" = field(default_factory=dict)
    """The connections on which no request is being answered, and since when by the loop's clock: the longest first."""

    def make_room(self, taken: int) -> bool:
        """Tell whether there is room for one more connection beside so many; where there is none, have the one give way
        that has waited the longest for a request. What has just come or been answered has its request under way.
        """
        if taken < self.connections:
            return True
        longest = next(iter(self.waiting), None)
        if longest is None or longest.loop.time() - self.waiting[longest] < _REQUEST_UNDER_WAY_SECONDS:
            return False
        longest.give_way()
        return True


def bounded(bounds: Bounds) -> "partial[BoundedProtocol]":
    """Give what makes a connection's protocol, as uvicorn asks for it."""
    return partial(BoundedProtocol, bounds)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        bounds: Bounds,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self.url = b""
        self._in_head = True
        self._head_bytes = 0
        self._header_bytes = 0
        self._refusal = 400
        self._is_upgraded = False
        self._deadline: asyncio.TimerHandle | None = None
        self._unread_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._bounds.waiting[self] = self.loop.time()
        self._limit_time()

    def give_way(self) -> None:
        """Close the connection, on which nothing is being answered."""
        self._stop_waiting()
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)
        self._end_unread()

    def pause_writing(self) -> None:
        """Wait for a client that reads more slowly than it is written to, but not for ever.

        The connection is cut and not closed: closing waits until the client has read what is kept for it.
        """
        super().pause_writing()
        self._unread_deadline = self.loop.call_later(self._bounds.client_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read most of what was kept for it."""
        super().resume_writing()
        self._end_unread()

    def data_received(self, data: bytes) -> None:
        """Read what came. What is no part of a request that is being answered counts towards a head."""
        if self._in_head:
            self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self.transport.is_closing() or self._is_upgraded:
            return
        if self._in_head and self._head_bytes > self._bounds.head_bytes:
            self._refuse(431)
        elif self._is_waiting():
            # Whatever came has ended uvicorn's own time for an idle connection, also where it is not even a line.
            self._limit_time()

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = max(self._head_bytes, 1)
        self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the request's line."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. One that comes after the body is left out: nobody expects it to change the request.

        So is an offer to speak another protocol than WebSocket, as Java's own client makes with its first request: it
        may be ignored, and then it means nothing.
        """
        if not self._in_head or (name.lower() == b"upgrade" and value.lower() != b"websocket"):
            return
        super().on_header(name, value)
        self._count(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        """End the head: from here on the application watches over the time."""
        if self.parser.should_upgrade() and not self._should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("nothing is connected to")
            # The head is parsed once more, without the offer of another protocol.
            return
        self._in_head = False
        self._head_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()
        if len(self.pipeline) > _REQUESTS_WAITING_MAX:
            raise ValueError("too many requests wait")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Have a request answered, in words that its client knows."""
        is_old = cycle.scope["http_version"] == "1.0"
        super()._start_asgi_task(cycle, without_chunks(app, cycle) if is_old else app)

    def on_message_complete(self) -> None:
        """End a request, unless its head is parsed once more: then its body is still to come."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, within uvicorn's time for idle connections unless it has begun already."""
        super().on_response_complete()
        if self._is_waiting():
            self._bounds.waiting[self] = self.loop.time()
            if self._in_head:
                self._limit_time()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over: what comes from here on is no HTTP."""
        self._is_upgraded = True
        super().handle_websocket_upgrade()
        if not cast("WebSocketsSansIOProtocol", self.transport.get_protocol()).handshake_initiated:
            # A handshake that cannot be read (a body, another method) would be waited for without end.
            self._refuse(400)

    def _parse(self, data: bytes) -> None:
        """Read what came. The parser takes what follows an offer to upgrade for another protocol, a body, too; where
        the offer is not taken up, it is given the head again without it.
        """
        while data:
            try:
                self.parser.feed_data(data)
            except HttpParserError:
                self._refuse(self._refusal)
            except HttpParserUpgrade as upgrade:
                if not self._should_upgrade():
                    data = self._head() + data[upgrade.args[0] :]
                    continue
                self.handle_websocket_upgrade()
            return

    def _head(self) -> bytes:
        """Write the head that was read last."""
        line = b" ".join((self.parser.get_method(), self.url, b"HTTP/" + self.parser.get_http_version().encode()))
        return b"\r\n".join((line, *(name + b": " + value for name, value in self.headers), b"", b""))

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._bounds.head_bytes:
            self._refusal = 431
            raise ValueError("the head is too large")

    def _refuse(self, status: int) -> None:
        """Refuse what cannot be read. Nothing is written into the answer of an earlier request."""
        breaks_body = self._is_in_unanswered_body()
        if breaks_body:
            # Whoever waits for the rest of the body finds its client gone, and answers nothing.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if breaks_body or self._is_waiting():
            kind, body = unreadable(status, self.url)
            head = f"content-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()

    def _is_waiting(self) -> bool:
        """Tell whether no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _is_in_unanswered_body(self) -> bool:
        """Tell whether what comes is the body of the one request that is being answered, of whose answer nothing was
        sent yet.
        """
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and cycle.more_body and not cycle.response_started and not self.pipeline

    def _limit_time(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._bounds.head_seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        self._deadline = None
        if self.transport.is_closing() or not self._is_waiting():
            return
        if self._in_head and self._head_bytes:
            self._refuse(408)
        else:
            self.transport.close()

    def _stop_waiting(self) -> None:
        self._bounds.waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_unread(self) -> None:
        if self._unread_deadline is not None:
            self._unread_deadline.cancel()
            self._unread_deadline = None
