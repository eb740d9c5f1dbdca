"""Requests' bodies: read within bounds, and understood only where they say one thing to everybody."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from jangbu.errors import InvalidInput, LimitReached, TooLarge
from jangbu.gateway.in_time import in_time
from jangbu.gateway.shares import SHARE, Shares
from jangbu.metering.strict_json import SURROGATE, VALUES_MOST, json_object

__all__ = [
    "LARGE_BYTES",
    "VALUES_MOST",
    "BodyRoom",
    "ClientGone",
    "Lease",
    "Receive",
    "decoded_size",
    "json_bytes",
    "json_object",
    "read_body",
]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

LARGE_BYTES = 65_536
"""Beyond it a body is read only for who could pay for it, and beside the loop that serves all other calls."""
BYTES_A_SECOND_LEAST = 1_000
"""The pace that a body has to keep up, so that nobody holds a connection with a byte now and then."""

_FOUR_BYTES = [bytes([lead]) for lead in range(0xF0, 0xF5)]
"""How the characters begin in UTF-8 that Python gives four bytes each."""
_WIDEST = 4


class ClientGone(Exception):
    """The client left before it had sent its request."""


class BodyRoom:
    """How many bytes of memory all calls may hold together for their requests: a body as it came, until its call has
    ended, and what was read from it, until the call is made.

    One user may hold the fourth part of them, or what one body of ``body_most`` bytes takes where that is more.
    """

    def __init__(self, most: int, body_most: int = 0) -> None:
        self._shares = Shares(most, max(most // SHARE, body_most * (1 + _WIDEST)))

    def lease(self, user: str) -> "Lease":
        """Begin a request of a user that holds nothing yet."""
        return Lease(self._shares, user)


class Lease:
    """The room that one request has taken."""

    def __init__(self, shares: Shares, user: str) -> None:
        self._shares = shares
        self._user = user
        self.size = 0

    def grow(self, size: int) -> None:
        """Take room for so many bytes more. Raises LimitReached where others, or others of the user's, hold it, and
        TooLarge where there never is so much.
        """
        if not size:
            return
        if self.size + size > self._shares.most:
            raise TooLarge("the body takes more memory than there is for all", hint="upload large media as files")
        if not self._shares.take(self._user, size):
            raise LimitReached("the gateway holds as many bytes of requests as it may", seconds=1)
        self.size += size

    def shrink(self, size: int) -> None:
        """Keep room for so many bytes only."""
        if size < self.size:
            self._shares.give_back(self._user, self.size - size)
            self.size = size

    def end(self) -> None:
        """Give all of it back."""
        self.shrink(0)


async def read_body(
    receive: Receive,
    headers: Mapping[bytes, bytes],
    lease: Lease,
    *,
    most: int,
    idle_seconds: int,
    admit: Callable[[], Awaitable[None]],
) -> bytes:
    """Read a body whole; of a large one ``admit`` is asked before it is all here. Raises what that raises, TooLarge,
    InvalidInput for one that is compressed or too slow, LimitReached, or ClientGone.

    It may pause for ``idle_seconds`` in all while it comes at BYTES_A_SECOND_LEAST: what came fast earns no time for
    what is still to come, so whoever stalls holds no room for longer than that.
    """
    if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
        raise InvalidInput("compressed requests are not taken", hint="send the body as it is")
    announced = headers.get(b"content-length", b"0")
    size = int(announced[:20]) if announced.isdigit() else 0
    if size > most:
        raise _too_large(most)
    is_admitted = size > LARGE_BYTES
    if is_admitted:
        await admit()
    body, now = bytearray(), asyncio.get_running_loop().time
    deadline = now() + idle_seconds
    while True:
        try:
            message = await in_time(receive(), deadline - now())
        except TimeoutError:
            raise InvalidInput("the body came too slowly", hint=f"it may pause for {idle_seconds} s") from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        deadline = min(deadline + len(piece) / BYTES_A_SECOND_LEAST, now() + idle_seconds)
        lease.grow(len(piece))
        body += piece
        if len(body) > most:
            raise _too_large(most)
        if len(body) > LARGE_BYTES and not is_admitted:
            is_admitted = True
            await admit()
        if not message.get("more_body", False):
            return bytes(body)


def decoded_size(body: bytes) -> int:
    """Give how many bytes the values of a JSON text take at most, beside what each takes however short it is.

    Python gives all characters of a text as many bytes as the widest of them needs.
    """
    escapes = b"\\u" in body
    if body.isascii() and not escapes:
        return len(body)
    is_wide = any(lead in body for lead in _FOUR_BYTES) or (escapes and SURROGATE.search(body) is not None)
    return len(body) * (_WIDEST if is_wide else 2)


def json_bytes(value: Any, *, is_large: bool = False) -> bytes:
    """Write JSON. A large one is written piece by piece: as one text it would be in memory twice, in its full width."""
    if not is_large:
        return _WRITER.encode(value).encode()
    return b"".join(piece.encode() for piece in _WRITER.iterencode(value))


_WRITER = json.JSONEncoder(ensure_ascii=False)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the body is larger than {most:,} bytes", hint="upload large media as files")
