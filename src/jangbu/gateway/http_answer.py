"""An answer of the provider on its way to whoever asked, piece by piece, or what came of a request instead."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jangbu.gateway.http_connection import HttpConnection

__all__ = ["HttpAnswer", "HttpFailure"]


class HttpFailure(Exception):
    """A request came to nothing. ``has_left`` tells whether a byte of it was written to the provider."""

    def __init__(self, message: str, *, has_left: bool, was_closed: bool = False) -> None:
        super().__init__(message)
        self.has_left = has_left
        self.was_closed = was_closed
        """Whether the provider ended the connection before a byte of an answer came."""


class HttpAnswer:
    """An answer, its body not read yet: read it to its end, or close it. One task reads it."""

    def __init__(self, connection: "HttpConnection") -> None:
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._failure: HttpFailure | None = None
        self._waits = 0
        self.status = 0
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        """In the order in which they came, their names in lower case."""
        self.is_whole = False
        """Whether its last byte came."""

    def header(self, name: bytes) -> bytes | None:
        """Give the value of the first header of a name in lower case."""
        return next((value for each, value in self.headers if each == name), None)

    async def begun(self) -> None:
        """Wait for the head. Raises HttpFailure."""
        while not self.status:
            await self._more()

    async def piece(self) -> bytes:
        """Give what came of the body and was not read yet, or nothing at its end. Raises HttpFailure."""
        while not self._pieces:
            if self.is_whole:
                return b""
            await self._more()
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._waits = 0
        self._connection.resume(self)
        return piece

    def close(self) -> None:
        """Drop what was not read, with the connection that it comes by."""
        self._pieces.clear()
        self._connection.drop(self)

    def feed(self, piece: bytes) -> int:
        """Take a piece of the body in; give how many bytes wait."""
        self._pieces.append(piece)
        self._waits += len(piece)
        self.wake()
        return self._waits

    def fail(self, failure: HttpFailure) -> None:
        """Note that no more comes."""
        self._failure = failure
        self.wake()

    def wake(self) -> None:
        """Have its reader look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _more(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = self._connection.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
