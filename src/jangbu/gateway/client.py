"""The client's side of a call: answers go out through here, and that the client left is noticed here."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

from jangbu.domain.flow import Receipt
from jangbu.gateway.bodies import Receive
from jangbu.gateway.in_time import in_time

__all__ = ["Client", "Headers", "Send", "charged_headers", "ended", "own_headers"]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Headers = Iterable[tuple[bytes, bytes]]

PIECE_BYTES_MAX = 64 * 1024
"""As much as a server buffers before it makes its application wait."""
WATCHED_AFTER_SECONDS = 0.5


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
        headers = (*headers, (b"content-length", str(len(body)).encode()))
        if len(body) > PIECE_BYTES_MAX:
            await self.begin(status, headers)
            await self.end(body)
            return
        self.has_begun = True
        await self._pass(_head(status, headers), _piece(body, more=False))

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of an answer."""
        self.has_begun = True
        await self._pass(_head(status, headers))

    async def write(self, chunk: bytes) -> None:
        """Send a piece of the body; waits while the client is slow, and gives it up when it takes nothing."""
        await self._pass(_piece(chunk, more=True))

    async def end(self, chunk: bytes = b"") -> None:
        """Send the last piece. One that no buffer should hold goes out as the client takes it."""
        start = 0
        while len(chunk) - start > PIECE_BYTES_MAX and not self.is_gone:
            await self.write(chunk[start : start + PIECE_BYTES_MAX])
            start += PIECE_BYTES_MAX
        await self._pass(_piece(chunk[start:] if start else chunk, more=False))

    def watch(self, receive: Receive, left: Callable[[], None]) -> "Watch":
        """Notice from now on that the client leaves. ``left`` is told of it, also where it is given up for taking
        nothing. The request's body has been read before; end the watch when the answer has passed.
        """
        self._left = left
        if self.is_gone:
            left()
        return Watch(receive, self)

    def watched_no_more(self) -> None:
        """Tell nobody of the end any longer. Who was told knows the client, too: both would lie in memory, with all
        that a call needs, until garbage is looked for.
        """
        self._left = None

    def leave(self) -> None:
        """Take the client for gone from now on."""
        if not self.is_gone:
            self.is_gone = True
            if self._left is not None:
                self._left()

    async def _pass(self, *messages: MutableMapping[str, Any]) -> None:
        if self.is_gone:
            return
        try:
            sending = self._send(messages[0]) if len(messages) == 1 else self._send_all(messages)
            await in_time(sending, self._seconds)
        except (TimeoutError, OSError):
            self.leave()

    async def _send_all(self, messages: Sequence[MutableMapping[str, Any]]) -> None:
        for message in messages:
            await self._send(message)


class Watch:
    """Waits for the end of a client. It begins after a moment: most answers have passed by then, and a task for each
    would cost as much as passing it on.
    """

    def __init__(self, receive: Receive, client: Client) -> None:
        self._receive = receive
        self._client = client
        self._waiting: asyncio.Task[None] | None = None
        self._begins = asyncio.get_running_loop().call_later(WATCHED_AFTER_SECONDS, self._begin)

    async def end(self) -> None:
        """Watch no more."""
        self._begins.cancel()
        self._client.watched_no_more()
        if self._waiting is not None:
            await ended(self._waiting)

    def _begin(self) -> None:
        self._waiting = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._client.leave()


def _head(status: int, headers: Headers) -> MutableMapping[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def _piece(chunk: bytes, *, more: bool) -> MutableMapping[str, Any]:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


def own_headers(facts: Mapping[str, object]) -> list[tuple[bytes, bytes]]:
    """Give Jangbu's own response headers: ``x-jangbu-<name>``; what is None is left out."""
    return [(f"x-jangbu-{name}".encode(), str(value).encode()) for name, value in facts.items() if value is not None]


def charged_headers(receipt: Receipt | None) -> list[tuple[bytes, bytes]]:
    """Give the headers that tell what a call cost; none where nothing was recorded."""
    if receipt is None:
        return []
    return own_headers({"tokens-charged": receipt.charged_tokens, "balance-left": receipt.available})


async def ended(task: "asyncio.Task[None]") -> None:
    """End a task and wait for it."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
