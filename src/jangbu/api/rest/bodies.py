"""Bodies of requests: read within bounds of size, time and memory, and beside the loop where they are large."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request

from jangbu.errors import InvalidInput, LimitReached, TooLarge
from jangbu.metering.strict_json import json_object

__all__ = ["LARGE_BYTES", "VALUES_MOST", "Bodies", "Share"]

Params = ParamSpec("Params")
Result = TypeVar("Result")

LARGE_BYTES = 65_536
VALUES_MOST = 200_000
"""How many values a body may hold: a batch of 1,000 answers has some 50,000."""
_ROOM_LEAST = 33_554_432


class Share:
    """The room that one request has taken."""

    def __init__(self, bodies: "Bodies") -> None:
        self._bodies = bodies
        self.size = 0

    def grow(self, size: int) -> None:
        """Take room for more bytes. Raises LimitReached where others hold it."""
        if self._bodies.taken + size > self._bodies.most:
            raise LimitReached("the API holds as many bytes of requests as it may", seconds=1)
        self._bodies.taken += size
        self.size += size


class Bodies:
    """Reads bodies. All requests together hold at most ``most`` bytes of them, or one body of the largest size."""

    def __init__(self, largest: int, *, seconds: int) -> None:
        self.largest = largest
        self.most = max(largest, _ROOM_LEAST)
        self.taken = 0
        self._seconds = seconds
        self._decoding = asyncio.Lock()

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Give a share of the room, which is given back when the request has ended."""
        share = Share(self)
        try:
            yield share
        finally:
            self.taken -= share.size

    async def read(self, request: Request, share: Share, most: int | None) -> dict[str, Any]:
        """Read a JSON object of at most ``most`` bytes; an empty body is an empty one.

        Raises TooLarge, LimitReached, or InvalidInput for one that is compressed, too slow or not plain JSON.
        """
        body = await self._bytes(request, share, self.largest if most is None else min(most, self.largest))
        if not body:
            return {}
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise InvalidInput("the body is not announced as JSON", hint="send content-type: application/json")
        if len(body) <= LARGE_BYTES:
            return json_object(body, values_most=VALUES_MOST)
        return await self.aside(json_object, body, values_most=VALUES_MOST)

    async def aside(self, work: Callable[Params, Result], *args: Params.args, **named: Params.kwargs) -> Result:
        """Do what takes long beside the loop, one after another: so it has at most one of the processors, and the calls
        of the gateway have the rest.
        """
        async with self._decoding:
            return await asyncio.to_thread(work, *args, **named)

    async def _bytes(self, request: Request, share: Share, most: int) -> bytes:
        if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise InvalidInput("compressed requests are not taken", hint="send the body as it is")
        announced = request.headers.get("content-length", "0")
        if announced.isdigit() and int(announced[:20]) > most:
            raise _too_large(most)
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                async for piece in request.stream():
                    share.grow(len(piece))
                    body += piece
                    if len(body) > most:
                        raise _too_large(most)
        except TimeoutError:
            raise InvalidInput("the body came too slowly", hint=f"it may take {self._seconds} s") from None
        return bytes(body)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the body is larger than {most:,} bytes", hint="send less at once")
