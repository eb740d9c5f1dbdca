"""The fake upstream of the gateway benchmark: canned answers over plain HTTP/1.1, as cheaply as Python can.

    python -m benchmarks.gateway_upstream PORT

A text or an image is answered at once; a stream's first event comes after 50 ms and the others 20 ms apart.
``GET /tally`` tells how many answers were given in whole and the tokens that they reported, as JSON.
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import cast

import uvloop

from benchmarks.gateway_answers import ID_WIDTH, Canned, Kind, canned

FIRST_EVENT_SECONDS = 0.05
EVENT_SECONDS = 0.02
LIFETIME_SECONDS = 4 * 3600
"""An upstream that was forgotten ends by itself."""
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: %d\r\n\r\n"
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Upstream:
    """What all connections share: the numbering of answers and the tally."""

    def __init__(self) -> None:
        self._run = os.urandom(4).hex().encode()
        self._number = 0
        self.answers = 0
        self.tokens = 0

    def new_id(self) -> bytes:
        """Give an id that no answer of this or of another upstream has had."""
        self._number += 1
        return b"%b%0*d" % (self._run, ID_WIDTH - len(self._run), self._number)

    def count(self, answer: Canned) -> None:
        """Count an answer whose last byte was written."""
        self.answers += 1
        self.tokens += answer.tokens


class Connection(asyncio.Protocol):
    """One connection: requests are read to their end and answered in turn."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._waiting = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (request := _first_request(self._waiting)) is not None:
            head, size = request
            self._waiting = self._waiting[size:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        line = head[: head.find(b"\r\n")]
        if b":streamGenerateContent" in line:
            answer = canned(Kind.STREAM)
            pieces = iter(answer.sent(self._upstream.new_id()))
            asyncio.get_running_loop().call_later(FIRST_EVENT_SECONDS, self._send_event, _STREAM_HEAD, pieces, answer)
        elif b":generateContent" in line:
            answer = canned(Kind.IMAGE if b"-image:" in line else Kind.TEXT)
            body = answer.sent(self._upstream.new_id())[0]
            self._transport.writelines((_HEAD % len(body), body))
            self._upstream.count(answer)
        elif b"/tally " in line:
            body = json.dumps({"answers": self._upstream.answers, "tokens": self._upstream.tokens}).encode()
            self._transport.write(_HEAD % len(body) + body)
        else:
            self._transport.write(_MISSING)

    def _send_event(self, before: bytes, pieces: Iterator[bytes], answer: Canned) -> None:
        if self._transport.is_closing():
            return
        piece = next(pieces, None)
        if piece is None:
            self._transport.write(b"0\r\n\r\n")
            self._upstream.count(answer)
            return
        self._transport.write(b"%b%x\r\n%b\r\n" % (before, len(piece), piece))
        asyncio.get_running_loop().call_later(EVENT_SECONDS, self._send_event, b"", pieces, answer)


def _first_request(waiting: bytes) -> tuple[bytes, int] | None:
    """Give the head of the first request and the size of all of it, once all of it is there."""
    end = waiting.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = waiting[:end]
    if (length := _LENGTH.search(head)) is not None:
        size = end + 4 + int(length[1])
    elif _CHUNKED.search(head) is not None:
        last = waiting.find(b"0\r\n\r\n", end + 4)
        size = last + 5 if last >= 0 else len(waiting) + 1
    else:
        size = end + 4
    return (head, size) if len(waiting) >= size else None


async def main() -> None:
    """Serve on 127.0.0.1 until ended."""
    upstream = Upstream()
    for kind in Kind:
        canned(kind)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(upstream), "127.0.0.1", int(sys.argv[1]), backlog=1024
    )
    async with server:
        await asyncio.sleep(LIFETIME_SECONDS)


if __name__ == "__main__":
    uvloop.run(main())
