"""One connection to the provider: HTTP/1.1 as httptools reads it, one request at a time.

It is Jangbu's own for what depends on it: whether a byte of a call has left decides between giving its hold back and
keeping it, and what is read ahead of slow clients is a gateway's memory.
"""

import asyncio
import select
import ssl
from collections.abc import AsyncIterator, Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from jangbu.gateway.http_answer import HttpAnswer, HttpFailure

__all__ = ["READ_BYTES", "HttpConnection"]

READ_BYTES = 64 * 1024
"""How much is taken off a socket at once, and about how much of an answer waits for a slow client."""
HEAD_BYTES_MAX = 64 * 1024
_SUCCESS = 200


class HttpConnection(asyncio.BufferedProtocol):
    """A connection. ``released`` is told when it is free for the next request, ``lost`` when it is no more.

    It reads into ``incoming``. What one read brings is parsed before anything else is read, so all connections of an
    event loop may read into the same bytes.

    ``heard_at`` is when something last went over it, by the loop's clock.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        incoming: memoryview,
        released: Callable[["HttpConnection"], None],
        lost: Callable[["HttpConnection"], None],
    ) -> None:
        self.loop = loop
        self.heard_at = loop.time()
        self._incoming = incoming
        self._released = released
        self._lost = lost
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._tls: ssl.SSLObject | None = None
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

    @property
    def has_news(self) -> bool:
        """Whether something lies there that was not read: the end, or what nobody asked for."""
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def send(
        self, head: bytes, body: bytes | AsyncIterator[bytes] | None, *, length: int | None, is_head: bool = False
    ) -> HttpAnswer:
        """Send a request whose head is written; give its answer, of which nothing came yet.

        A body that comes by and by has the ``length`` that its head says, if it says one.
        """
        self.heard_at = self.loop.time()
        answer = self._answer = HttpAnswer(self)
        self._head_bytes = 0
        self._begin_head()
        self._has_no_body = is_head
        if body is None or isinstance(body, bytes):
            self._transport.writelines((head, body) if body else (head,))
        else:
            self._transport.write(head)
            self._writing = self.loop.create_task(self._write(body, length))
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

    def is_silent(self, since: float, *, unbegun_since: float) -> bool:
        """Tell whether an answer is waited for of which nothing came for a while. One may wait for its reader.

        One that has not begun may be silent for longer, once all of its request is sent: it may come in one piece.
        """
        if self._answer is None or self._is_paused:
            return False
        is_written = self._writing is None or self._writing.done()
        may_begin_late = not self._answer.status and is_written and not self._transport.get_write_buffer_size()
        return self.heard_at < (unbegun_since if may_begin_late else since)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._tls = transport.get_extra_info("ssl_object")

    def eof_received(self) -> None:
        """End at once where nothing is waited for: what is sent over TLS from now on would go nowhere."""
        if self._answer is None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a body of which nobody said how long it is is whole then."""
        is_said = self._read_rest() and exc is None
        if is_said and self._ends_with_connection and self._answer is not None:
            self._complete(may_go_on=False)
        self._fail("the connection broke off" if exc is None else type(exc).__name__, is_closed=True)
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
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        """Read what came."""
        self.heard_at = self.loop.time()
        if self._answer is None:
            # What nobody asked for would be taken for the answer to the next request.
            self._transport.abort()
            return
        self._parse(nbytes)

    def _parse(self, nbytes: int) -> None:
        try:
            self._parser.feed_data(self._incoming[:nbytes])
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

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; the next one waits where the reader is slow."""
        if self._in_head:
            self.abort("an answer that only informs has a body")
        elif self._answer is not None and self._answer.feed(body) >= READ_BYTES and not self._is_paused:
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
        self._is_informational = False
        self._ends_with_connection = False

    def _complete(self, *, may_go_on: bool) -> None:
        answer, self._answer = self._answer, None
        assert answer is not None, "an answer is complete once"
        answer.is_whole = True
        answer.wake()
        was_writing = self._stop_writing()
        # What was not written yet is of a body that nobody may ever read.
        may_go_on = may_go_on and not was_writing and not self._transport.get_write_buffer_size()
        may_go_on = may_go_on and not self._transport.is_closing()
        if self._is_paused and may_go_on:
            self._is_paused = False
            self._transport.resume_reading()
        if may_go_on:
            self._released(self)
        else:
            # To close would wait for the other side, and over TLS read once more while this is parsed.
            self._transport.abort()

    def _fail(self, why: str, *, is_closed: bool = False) -> None:
        answer, self._answer = self._answer, None
        self._stop_writing()
        if answer is not None:
            was_heard = bool(answer.status or self._head_bytes)
            answer.fail(HttpFailure(why, has_left=True, was_closed=is_closed and not was_heard))

    def _read_rest(self) -> bool:
        """Read what TLS kept for a slow reader; tell whether the other side said that it ends there.

        Without TLS the end is the word. Over TLS a mere end of TCP may be anybody's, or the middle of an answer.
        """
        if self._tls is None:
            return True
        try:
            while self._answer is not None and (size := cast(int, self._tls.read(READ_BYTES, self._incoming))):
                self._parse(size)
        except ssl.SSLError as error:
            return isinstance(error, ssl.SSLZeroReturnError)
        return True

    def _stop_writing(self) -> bool:
        """Write no more of a request's body; tell whether some of it was still to come."""
        writing, self._writing = self._writing, None
        return writing is not None and not writing.done() and writing.cancel()

    async def _write(self, body: AsyncIterator[bytes], length: int | None) -> None:
        """Write a body as it comes, in chunks where nobody knows its length.

        Where it breaks off, or is not as long as was said, so does the connection: its end would say that it is whole,
        and what is too much would be another request.
        """
        left = length
        try:
            async for piece in body:
                await self._can_write.wait()
                if left is not None:
                    left -= len(piece)
                if not piece or self._transport.is_closing():
                    continue
                if left is not None and left < 0:
                    break
                self.heard_at = self.loop.time()
                self._transport.writelines((piece,) if length is not None else (b"%x\r\n" % len(piece), piece, b"\r\n"))
            if left:
                self.abort("the request has another length than was said")
            elif length is None:
                self._transport.write(b"0\r\n\r\n")
        except Exception as error:
            self.abort(f"the request broke off: {type(error).__name__}")
