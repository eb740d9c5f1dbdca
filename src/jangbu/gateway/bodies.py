"""Requests' bodies: read within bounds, and understood only where they say one thing to everybody."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NoReturn

from jangbu.errors import InvalidInput, TooLarge

__all__ = ["ClientGone", "Receive", "json_object", "read_body"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_DEPTH_ERROR = "the body is nested too deep"


class ClientGone(Exception):
    """The client left before it had sent its request."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], *, most: int, idle_seconds: int) -> bytes:
    """Read a body whole. Raises TooLarge, InvalidInput for one that is compressed or too slow, or ClientGone."""
    if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
        raise InvalidInput("compressed requests are not taken", hint="send the body as it is")
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > most:
        raise _too_large(most)
    pieces, size = [], 0
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                message = await receive()
        except TimeoutError:
            raise InvalidInput(f"the body stopped for {idle_seconds} s") from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > most:
            raise _too_large(most)
        if not message.get("more_body", False):
            return b"".join(pieces)


def json_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object. Raises InvalidInput for what two readers could read differently: NaN, a name that is given
    twice, bytes that are no UTF-8.
    """
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise InvalidInput("the body is no UTF-8") from None
    except RecursionError:
        raise InvalidInput(_DEPTH_ERROR) from None
    except ValueError as error:
        raise InvalidInput(f"the body is no JSON: {str(error)[:100]}") from None
    if not isinstance(found, dict):
        raise InvalidInput("the body is no JSON object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInput("the body gives a name twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise InvalidInput(f"{name} is no number of JSON's")


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the body is larger than {most:,} bytes", hint="upload large media as files")
