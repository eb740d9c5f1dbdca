"""Each request that the server answers, observed from outside: how long it took, how it ended, what was charged for it.

What happens inside tells of itself by events (``jangbu.telemetry``), in the task of the request or in one that was
started by it; a context variable says which request that is. When a request has ended, ``request.ended`` tells of it
whole, for the log and for the metrics.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from jangbu import telemetry

__all__ = ["Observed", "current_id"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

UNDECLARED = "undeclared"
"""The verb of a request for a path that leads nowhere."""
CLIENT_LEFT = 499
"""The status of a request that was not answered because nobody waited any more."""
SWITCHED = 101

# An id that a client made is kept if it is a plain short word, and if no credential can hide in it: keys are longer.
_SANE_ID = re.compile(rb"[0-9A-Za-z][0-9A-Za-z._-]{7,35}")
_ID_HEADER = b"x-request-id"
_HEARD = ("request.routed", "gateway.refused", "meter.recorded", "upstream.waited")


@dataclass(slots=True)
class Request:
    """What is known of a request so far. Times are seconds of the monotonic clock."""

    id: str
    method: str
    began: float
    verb: str = UNDECLARED
    status: int = CLIENT_LEFT
    code: str | None = None
    tokens: int | None = None
    waited: float = 0.0
    """How long it waited for others: for the provider, for the client's body, for the client to take the answer."""
    upstream: bool = False
    ended: float | None = None
    """When the last byte was sent; None where it was not."""

    def hear(self, event: str, facts: Mapping[str, Any]) -> None:
        """Take in what an event tells about this request."""
        match event:
            case "request.routed":
                self.verb = facts["verb"]
            case "gateway.refused":
                self.code = facts["code"]
            case "meter.recorded":
                self.tokens = (self.tokens or 0) + facts["tokens"]
            case "upstream.waited":
                self.upstream = True
                self.waited += facts["seconds"]


_current: ContextVar[Request | None] = ContextVar("jangbu_request", default=None)


def current_id() -> str | None:
    """Give the id of the request that is being served, or None outside of one."""
    request = _current.get()
    return None if request is None else request.id


class Observed:
    """An ASGI application whose requests are observed; each has an id, which its answer carries as x-request-id."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._unsubscribe = telemetry.subscribe(_hear, *_HEARD)

    def close(self) -> None:
        """Observe nothing more."""
        self._unsubscribe()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request, and tell of it when it has ended."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = Request(_id_of(scope), scope.get("method", "GET"), time.monotonic())
        token = _current.set(request)
        wire = _Wire(request, receive, send)
        try:
            await self._app(scope, wire.receive, wire.send)
        finally:
            _current.reset(token)
            _tell(request, is_call=scope["type"] == "http")


class _Wire:
    """The two ways to the client, with the time that is spent waiting on them."""

    def __init__(self, request: Request, receive: Receive, send: Send) -> None:
        self._request = request
        self._receive = receive
        self._send = send
        self._expects_body = True

    async def receive(self) -> Message:
        """Pass a message of the client on. Once the body is here, waiting for the client means nothing any more."""
        if not self._expects_body:
            return await self._receive()
        began = time.monotonic()
        message = await self._receive()
        self._request.waited += time.monotonic() - began
        self._expects_body = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Pass a message of the application on, with the request's id in its head."""
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
            self._request.status = message.get("status", SWITCHED)
            message["headers"] = [*message.get("headers", ()), (_ID_HEADER, self._request.id.encode())]
        elif kind == "websocket.close" and self._request.status == CLIENT_LEFT:
            self._request.status = 403
        began = time.monotonic()
        await self._send(message)
        ended = time.monotonic()
        self._request.waited += ended - began
        if kind == "http.response.body" and not message.get("more_body", False):
            self._request.ended = ended


def _hear(event: str, facts: Mapping[str, Any]) -> None:
    request = _current.get()
    if request is not None:
        request.hear(event, facts)


def _tell(request: Request, *, is_call: bool) -> None:
    is_whole = request.ended is not None
    seconds = (request.ended or time.monotonic()) - request.began
    added = max(0.0, seconds - request.waited) if is_call and is_whole and request.upstream else None
    telemetry.emit(
        "request.ended",
        request_id=request.id,
        method=request.method,
        verb=request.verb,
        status=request.status,
        seconds=seconds,
        added_seconds=added,
        tokens=request.tokens,
        code=request.code,
        is_whole=is_whole or not is_call,
    )


def _id_of(scope: Message) -> str:
    """Give the id that the client chose, where it is sane, else a new one."""
    given = next((value for name, value in scope["headers"] if name == _ID_HEADER), b"")
    return given.decode("ascii") if _SANE_ID.fullmatch(given) else token_hex(16)
