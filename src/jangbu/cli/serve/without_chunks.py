"""Answers to clients of HTTP/1.0, who know no chunks: one of unknown length ends with its connection.

uvicorn writes chunks for everybody, whose lengths such a client takes for a part of the answer.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["without_chunks"]

App = Callable[[Any, Any, Any], Awaitable[None]]
_LENGTH = b"content-length"
_AT_ONCE = struct.pack("ii", 1, 0)


def without_chunks(app: App, cycle: RequestResponseCycle) -> App:
    """Give an application whose answers in one cycle are written as they are."""
    return partial(_serve, app, cycle)


async def _serve(app: App, cycle: RequestResponseCycle, scope: Any, receive: Any, send: Any) -> None:
    is_measured = True

    async def write(message: Any) -> None:
        nonlocal is_measured
        if message["type"] == "http.response.start":
            is_measured = any(name.lower() == _LENGTH for name, _ in message.get("headers", ()))
        if not is_measured:
            # uvicorn holds each piece against what is left of the length: there is always as much left as comes.
            cycle.chunked_encoding = False
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    try:
        await app(scope, receive, write)
    finally:
        if cycle.response_started and not cycle.response_complete and not cycle.transport.is_closing():
            _break_off(cycle.transport)


def _break_off(transport: asyncio.Transport) -> None:
    """Reset a connection: an end like any other would say that the answer is whole."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
