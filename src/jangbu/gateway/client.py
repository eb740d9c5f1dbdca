"""The client's side of a call: answers go out through here, and that the client left is noticed here."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from jangbu.gateway.bodies import Receive

__all__ = ["Client", "Send"]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Headers = Iterable[tuple[bytes, bytes]]

PIECE_BYTES_MAX = 64 * 1024
"""As much as a server buffers before it makes its application wait."""


class Client:
    """One client that waits for one answer. Once it is gone, what is written for it goes nowhere."""

    def __init__(self, send: Send, *, seconds: int) -> None:
        self._send = send
        self._seconds = seconds
        self.has_begun = False
        self.is_gone = False
        self._left: Callable[[], None] | None = None
        self.must_close = False
        """Whether nobody can tell where the request ends, so that no other may follow it on the connection."""

    async def answer(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Send a whole answer."""
        await self.begin(status, (*headers, (b"content-length", str(len(body)).encode())))
        await self.end(body)

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of an answer."""
        self.has_begun = True
        await self._pass({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def write(self, chunk: bytes) -> None:
        """Send a piece of the body; waits while the client is slow, and gives it up when it takes nothing."""
        await self._pass({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self, chunk: bytes = b"") -> None:
        """Send the last piece. One that no buffer should hold goes out as the client takes it."""
        start = 0
        while len(chunk) - start > PIECE_BYTES_MAX and not self.is_gone:
            await self.write(chunk[start : start + PIECE_BYTES_MAX])
            start += PIECE_BYTES_MAX
        await self._pass({"type": "http.response.body", "body": chunk[start:] if start else chunk, "more_body": False})

    async def watch(self, receive: Receive, left: Callable[[], None]) -> None:
        """Wait until the client leaves. ``left`` is told of it, also where the client is given up for taking nothing.

        The request's body has been read before.
        """
        self._left = left
        while (await receive())["type"] != "http.disconnect":
            pass
        self._leave()

    async def _pass(self, message: MutableMapping[str, Any]) -> None:
        if self.is_gone:
            return
        try:
            async with asyncio.timeout(self._seconds):
                await self._send(message)
        except (TimeoutError, OSError):
            self._leave()

    def _leave(self) -> None:
        if not self.is_gone:
            self.is_gone = True
            if self._left is not None:
                self._left()


def own_headers(facts: Mapping[str, object]) -> list[tuple[bytes, bytes]]:
    """Give Jangbu's own response headers: ``x-jangbu-<name>``; what is None is left out."""
    return [(f"x-jangbu-{name}".encode(), str(value).encode()) for name, value in facts.items() if value is not None]


async def ended(task: "asyncio.Task[None]") -> None:
    """End a task and wait for it."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
