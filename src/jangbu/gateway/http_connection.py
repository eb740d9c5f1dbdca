"""One connection to the provider: HTTP/1.1 as httptools reads it, one request at a time.

It is Jangbu's own for what depends on it: whether a byte of a call has left decides between giving its hold back and
keeping it, and what is read ahead of slow clients is a gateway's memory.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

__all__ = ["HttpAnswer", "HttpConnection", "HttpFailure"]

READ_BYTES = 64 * 1024
"""How much is taken off a socket at once, and about how much of an answer waits for a slow client."""
HEAD_BYTES_MAX = 64 * 1024
_SUCCESS = 200

# What one read brings is parsed before anything else is read, so all connections read into the same bytes.
_incoming = memoryview(bytearray(READ_BYTES))


class HttpFailure(Exception):
    """A request came to nothing. ``has_left`` tells whether a byte of it was written to the provider."""

    def __init__(self, message: str, *, has_left: bool, was_heard: bool = False) -> None:
        super().__init__(message)
        self.has_left = has_left
        self.was_heard = was_heard
        """Whether a byte of an answer came."""


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


class HttpConnection(asyncio.BufferedProtocol):
    """A connection. ``released`` is told when it is free for the next request, ``lost`` when it is no more.

    ``heard_at`` is when something last went over it, by the loop's clock.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        released: Callable[["HttpConnection"], None],
        lost: Callable[["HttpConnection"], None],
    ) -> None:
        self.loop = loop
        self.heard_at = loop.time()
        self._released = released
        self._lost = lost
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._answer: HttpAnswer | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._in_head = True
        self._head_bytes = 0
        self._is_informational = False
        self._ends_with_connection = False
        self._has_no_body = False
        self._is_paused = False
        self._writing: asyncio.Task[None] | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent."""
        return self._answer is None and not self._transport.is_closing()

    def send(self, head: bytes, body: bytes | AsyncIterator[bytes] | None, *, is_head: bool = False) -> HttpAnswer:
        """Send a request whose head is written; give its answer, of which nothing came yet."""
        self.heard_at = self.loop.time()
        answer = self._answer = HttpAnswer(self)
        self._begin_head()
        self._has_no_body = is_head
        if isinstance(body, AsyncIterator):
            self._transport.write(head)
            self._writing = self.loop.create_task(self._write(body, is_chunked=b"\r\ntransfer-encoding:" in head))
        else:
            self._transport.writelines((head, body) if body else (head,))
        return answer

    def resume(self, answer: HttpAnswer) -> None:
        """Read on: what waited was taken."""
        if self._is_paused and self._answer is answer:
            self._is_paused = False
            self.heard_at = self.loop.time()
            self._transport.resume_reading()

    def drop(self, answer: HttpAnswer) -> None:
        """End the connection, where an answer is still coming by it."""
        if self._answer is answer:
            self.abort("the answer was left")

    def abort(self, why: str) -> None:
        """End the connection at once, and the request with it."""
        self._fail(why)
        self._transport.abort()

    def is_silent(self, since: float) -> bool:
        """Tell whether an answer is waited for of which nothing came for a while. One may wait for its reader."""
        return self._answer is not None and not self._is_paused and self.heard_at < since

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a body of which nobody said how long it is is whole then."""
        if exc is None and self._ends_with_connection and self._answer is not None:
            self._complete(may_go_on=False)
        self._fail("the connection broke off" if exc is None else type(exc).__name__)
        self._can_write.set()
        self._lost(self)

    def pause_writing(self) -> None:
        """Wait with the next piece of a request's body."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """Go on with it."""
        self._can_write.set()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's own signature
        """Give where the next bytes are read to."""
        return _incoming

    def buffer_updated(self, nbytes: int) -> None:
        """Read what came."""
        self.heard_at = self.loop.time()
        if self._answer is None:
            # What nobody asked for would be taken for the answer to the next request.
            self._transport.abort()
            return
        try:
            self._parser.feed_data(_incoming[:nbytes])
        except (HttpParserError, HttpParserUpgrade) as error:
            self.abort(f"the answer is no HTTP: {type(error).__name__}")
            return
        if self._in_head and self._answer is not None:
            self._head_bytes += nbytes
            if self._head_bytes > HEAD_BYTES_MAX:
                self.abort("the answer's head is too large")

    def on_message_begin(self) -> None:
        """Begin an answer. One that nobody asked for spoils the connection: it came right behind the one before."""
        if self._answer is None:
            self._transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one that comes after the body is left out."""
        if self._in_head:
            self._headers.append((name.lower(), value.strip()))

    def on_headers_complete(self) -> None:
        """End a head. One that only informs is followed by the answer's own."""
        status = self._parser.get_status_code()
        self._is_informational = status < _SUCCESS
        if self._is_informational or self._answer is None:
            return
        self._in_head = False
        given = dict(self._headers)
        self._ends_with_connection = b"content-length" not in given and b"transfer-encoding" not in given
        self._answer.headers = tuple(self._headers)
        self._answer.status = status
        self._answer.wake()
        if self._has_no_body:
            self._complete(may_go_on=False)
            self._transport.close()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; the next one waits where the reader is slow."""
        if self._answer is not None and self._answer.feed(body) >= READ_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """End an answer."""
        if self._is_informational:
            self._begin_head()
        elif self._answer is not None:
            self._complete(may_go_on=self._parser.should_keep_alive())

    def _begin_head(self) -> None:
        self._headers = []
        self._in_head = True
        self._head_bytes = 0
        self._is_informational = False
        self._ends_with_connection = False

    def _complete(self, *, may_go_on: bool) -> None:
        answer, self._answer = self._answer, None
        assert answer is not None, "an answer is complete once"
        answer.is_whole = True
        answer.wake()
        was_writing = self._stop_writing()
        may_go_on = may_go_on and not was_writing and not self._transport.is_closing()
        if self._is_paused and may_go_on:
            self._is_paused = False
            self._transport.resume_reading()
        if may_go_on:
            self._released(self)
        else:
            self._transport.close()

    def _fail(self, why: str) -> None:
        answer, self._answer = self._answer, None
        self._stop_writing()
        if answer is not None:
            was_heard = bool(answer.status or self._head_bytes)
            answer.fail(HttpFailure(why, has_left=True, was_heard=was_heard))

    def _stop_writing(self) -> bool:
        """Write no more of a request's body; tell whether some of it was still to come."""
        writing, self._writing = self._writing, None
        return writing is not None and not writing.done() and writing.cancel()

    async def _write(self, body: AsyncIterator[bytes], *, is_chunked: bool) -> None:
        """Write a body as it comes. Where it breaks off, so does the connection: its end would say that it is whole."""
        try:
            async for piece in body:
                await self._can_write.wait()
                if not piece or self._transport.is_closing():
                    continue
                self.heard_at = self.loop.time()
                self._transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n") if is_chunked else (piece,))
            if is_chunked:
                self._transport.write(b"0\r\n\r\n")
        except Exception as error:
            self.abort(f"the request broke off: {type(error).__name__}")
