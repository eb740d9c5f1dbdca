"""One caller's connection: HTTP/1.1 as far as the gateway benchmark needs it, with the time to the first byte."""

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:\s*close", re.IGNORECASE)


@dataclass(slots=True)
class Reply:
    """An answer: its status, its body without transfer coding, and the seconds until the body's first byte."""

    status: int = 0
    body: bytearray = field(default_factory=bytearray)
    first_seconds: float = 0.0


class Connection:
    """A connection that is opened when it is needed and kept."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: _Reader | None = None

    async def call(self, request: bytes, pause_seconds: float = 0.0) -> Reply:
        """Send a request and give its answer. Raises OSError where the connection breaks before the answer's end.

        With a pause, nothing is taken off the connection for so long after the body's first bytes.
        """
        if self._reader is None or self._reader.is_spent:
            loop = asyncio.get_running_loop()
            _, self._reader = await loop.create_connection(_Reader, "127.0.0.1", self._port)
        try:
            return await self._reader.send(request, pause_seconds)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class _Reader(asyncio.Protocol):
    """Reads one answer at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._waiting = bytearray()
        self._done: asyncio.Future[Reply] | None = None
        self._reply = Reply()
        self._begun = 0.0
        self._pause_seconds = 0.0
        self._missing: int | None = None
        self._is_chunked = self._has_head = False
        self.is_spent = False

    def send(self, request: bytes, pause_seconds: float) -> asyncio.Future[Reply]:
        """Send a request; the answer comes with the future."""
        self._waiting.clear()
        self._reply, self._pause_seconds = Reply(), pause_seconds
        self._missing, self._is_chunked, self._has_head = None, False, False
        self._done = asyncio.get_running_loop().create_future()
        self._begun = time.perf_counter()
        self._transport.write(request)
        return self._done

    def close(self) -> None:
        """Close the connection at once."""
        self.is_spent = True
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_spent = True
        if self._done is None or self._done.done():
            return
        if self._has_head and self._missing is None and not self._is_chunked:
            self._done.set_result(self._reply)
        else:
            self._done.set_exception(ConnectionResetError(f"closed within an answer: {exc}"))

    def data_received(self, data: bytes) -> None:
        if self._done is None or self._done.done():
            return
        self._waiting += data
        if not self._has_head and not self._take_head():
            return
        before = len(self._reply.body)
        is_complete = self._take_chunks() if self._is_chunked else self._take_rest()
        if before == 0 and self._reply.body:
            self._reply.first_seconds = time.perf_counter() - self._begun
            if self._pause_seconds and not is_complete:
                self._transport.pause_reading()
                asyncio.get_running_loop().call_later(self._pause_seconds, self._resume)
        if is_complete:
            self._done.set_result(self._reply)

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _take_head(self) -> bool:
        end = self._waiting.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._waiting[:end])
        del self._waiting[: end + 4]
        self._has_head = True
        self._reply.status = int(head[9:12])
        self._is_chunked = _CHUNKED.search(head) is not None
        self.is_spent = _CLOSE.search(head) is not None
        if not self._is_chunked and (length := _LENGTH.search(head)) is not None:
            self._missing = int(length[1])
        return True

    def _take_rest(self) -> bool:
        self._reply.body += self._waiting
        self._waiting.clear()
        return self._missing is not None and len(self._reply.body) >= self._missing

    def _take_chunks(self) -> bool:
        """Take what there is of chunks; tell whether the last one has come. No trailers are expected."""
        while True:
            if self._missing:
                taken = self._waiting[: self._missing]
                self._reply.body += taken
                self._missing -= len(taken)
                del self._waiting[: len(taken)]
                if self._missing:
                    return False
            # After a chunk's bytes stands an empty line, before the next one's size.
            begin = 2 if self._missing == 0 else 0
            end = self._waiting.find(b"\r\n", begin)
            if end < 0:
                return False
            size = int(bytes(self._waiting[begin:end]).split(b";")[0], 16)
            if size == 0:
                return len(self._waiting) >= end + 4
            del self._waiting[: end + 2]
            self._missing = size
