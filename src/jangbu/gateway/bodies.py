"""Requests' bodies: read within bounds, and understood only where they say one thing to everybody."""

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NoReturn

from jangbu.errors import InvalidInput, LimitReached, TooLarge
from jangbu.gateway.shares import SHARE, Shares

__all__ = [
    "LARGE_BYTES",
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

DEPTH_MOST = 100
"""How deep JSON may be nested: as deep as the provider itself reads it."""
VALUES_MOST = 50_000
"""How many values the JSON of a body may hold: each takes time and memory, however few bytes it has. A turn of a chat
has about six of them, so this is a chat of some 8,000 turns or an inline batch of some 4,000 requests.
"""
LARGE_BYTES = 65_536
"""Beyond it a body is read only for who could pay for it, and beside the loop that serves all other calls."""
BYTES_A_SECOND_LEAST = 1_000
"""The pace that a body has to keep up, so that nobody holds a connection with a byte now and then."""

# Escapes of surrogates come in pairs, or mean nothing that UTF-8 can write. Few bodies hold any.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SOUND_ESCAPES = re.compile(
    rb"(?:[^\\]++|\\(?!u[dD][89a-fA-F]).|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+", re.DOTALL
)


_FOUR_BYTES = [bytes([lead]) for lead in range(0xF0, 0xF5)]
"""How the characters begin in UTF-8 that Python gives four bytes each."""
_WIDEST = 4
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


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
            async with asyncio.timeout_at(deadline):
                message = await receive()
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


def json_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object. Raises InvalidInput for what two readers could read differently: NaN, a number beyond all
    bounds, a name that is given twice, half of a surrogate pair, bytes that are no UTF-8; and for one that is too deep
    or holds too many values.
    """
    if _values(body) > VALUES_MOST and _values(_STRING.sub(b"", body)) > VALUES_MOST:
        raise InvalidInput(f"the body holds more than {VALUES_MOST:,} values", hint="send it in several requests")
    try:
        found = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidInput("the body is no UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise InvalidInput(f"the body is no JSON: {str(error)[:100]}") from None
    if not isinstance(found, dict):
        raise InvalidInput("the body is no JSON object")
    if _SURROGATE.search(body) is not None and _SOUND_ESCAPES.fullmatch(body) is None:
        raise InvalidInput("the body holds half of a surrogate pair", hint="text is written in whole characters")
    if body.count(b"{") + body.count(b"[") > DEPTH_MOST and _is_deep(found):
        raise _too_deep()
    return found


def decoded_size(body: bytes) -> int:
    """Give how many bytes the values of a JSON text take at most, beside what each takes however short it is.

    Python gives all characters of a text as many bytes as the widest of them needs.
    """
    escapes = b"\\u" in body
    if body.isascii() and not escapes:
        return len(body)
    is_wide = any(lead in body for lead in _FOUR_BYTES) or (escapes and _SURROGATE.search(body) is not None)
    return len(body) * (_WIDEST if is_wide else 2)


def json_bytes(value: Any, *, is_large: bool = False) -> bytes:
    """Write JSON. A large one is written piece by piece: as one text it would be in memory twice, in its full width."""
    if not is_large:
        return _WRITER.encode(value).encode()
    return b"".join(piece.encode() for piece in _WRITER.iterencode(value))


def _values(body: bytes) -> int:
    """Count the values of a JSON text, roughly and never too few; those that stand in its strings are counted, too."""
    return body.count(b",") + body.count(b"{") + body.count(b"[")


def _is_deep(value: Any) -> bool:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEPTH_MOST:
            return True
        members = (each.values() if isinstance(each, dict) else each for each in level)
        level = [inner for each in members for inner in each if isinstance(inner, dict | list)]
    return False


def _too_deep() -> InvalidInput:
    return InvalidInput(f"the body is nested more than {DEPTH_MOST} deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInput("the body gives a name twice")
    return found


def _finite(digits: str) -> float:
    """Read a number with a fraction or an exponent: 1e999 would become Infinity, which is no JSON."""
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidInput("a number of the body is larger than any reader takes")
    return number


def _no_number(name: str) -> NoReturn:
    raise InvalidInput(f"{name} is no number of JSON's")


_WRITER = json.JSONEncoder(ensure_ascii=False)
# Made once: json.loads would make one anew for each body.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the body is larger than {most:,} bytes", hint="upload large media as files")
