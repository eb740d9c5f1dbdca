"""Answers that are longer than memory: sent as they are made, and never ended where they broke off."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from jangbu import telemetry
from jangbu.errors import JangbuError, LimitReached
from jangbu.metering.exports import MEDIA_TYPES, Format, Table, begun, written

__all__ = ["Streamed", "Streams"]

_AT_ONCE = 8
_AGAIN_SECONDS = 5

_log = logging.getLogger("jangbu.api")


class _BrokenOffError(Exception):
    """What was to be sent could not be made."""


class Streamed(StreamingResponse):
    """An answer that comes in pieces. ``ending`` is left when all are sent, when it broke off, or when nobody took it.

    One that broke off is left without its end: the server then breaks the connection off, and no client takes what it
    has for the whole.
    """

    def __init__(self, pieces: AsyncIterator[bytes], headers: Mapping[str, str], ending: AsyncExitStack) -> None:
        self.ending = ending
        super().__init__(self._told(pieces), headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with self.ending:
            with suppress(ClientDisconnect, _BrokenOffError):
                await super().__call__(scope, receive, send)

    async def _told(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            while (piece := await _apart(pieces)) is not None:
                yield piece
        except JangbuError as error:
            _log.warning("an answer broke off: %s: %s", error.code, error)
            telemetry.emit("gateway.refused", code=error.code)
            raise _BrokenOffError from error
        except Exception as error:
            _log.exception("an answer broke off")
            raise _BrokenOffError from error
        # What counts it as under way is over before its client knows the end: the next request may follow at once.
        await self.ending.aclose()


class Streams:
    """How many answers of this kind are under way in this process: few, because each asks the database all the time."""

    def __init__(self, most: int = _AT_ONCE, of: str = "exports") -> None:
        """``of`` is what they are called where one too many is refused."""
        self._most = most
        self._of = of
        self._under_way = 0

    def begin(self, ending: AsyncExitStack) -> None:
        """Count one until ``ending`` is left. Raises LimitReached."""
        if self._under_way >= self._most:
            raise LimitReached(f"as many {self._of} are under way as may be at once", seconds=_AGAIN_SECONDS)
        self._under_way += 1
        ending.callback(self._end)

    async def file(self, table: Table, how: Format, receive: Receive, *, bom: bool = False) -> Streamed:
        """Answer with a table once its first page is there: what is wrong from the beginning is refused as everywhere.

        Raises LimitReached, ClientDisconnect where nobody waits for it any more, and what reading and writing the table
        raise.
        """
        headers = {
            "content-type": MEDIA_TYPES[how],
            "content-disposition": f'attachment; filename="{table.name}-{table.as_of:%Y%m%dT%H%M%SZ}.{how}"',
            "x-jangbu-time-zone": table.zone.key,
        }
        async with AsyncExitStack() as ending:
            self.begin(ending)
            pieces = await asyncio.to_thread(written, await _awaited(begun(table), receive), how, bom=bom)
            return Streamed(pieces, headers, ending.pop_all())

    def _end(self) -> None:
        self._under_way -= 1


async def _awaited(making: Coroutine[Any, Any, Table], receive: Receive) -> Table:
    """Make something while its client waits for it. Raises ClientDisconnect: what nobody waits for is ended."""
    made, left = asyncio.create_task(making), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait((made, left), return_when=asyncio.FIRST_COMPLETED)
        if not made.done():
            made.add_done_callback(_ended)
            raise ClientDisconnect
        return made.result()
    finally:
        # Ended before its place is another's: a statement that is given up is under way until it is cancelled.
        for each in (made, left):
            each.cancel()
        await asyncio.wait((made, left))


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _apart(pieces: AsyncIterator[bytes]) -> bytes | None:
    """Make the next piece in a task of its own, None after the last one.

    Who sends is cancelled again and again once their client has left. What reads the database is cancelled once, and
    ends its transaction: left in the middle it would be ended, too, but with an error in the log.
    """
    made = asyncio.create_task(_next(pieces))
    try:
        return await asyncio.shield(made)
    except asyncio.CancelledError:
        made.add_done_callback(_ended)
        made.cancel()
        raise


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


def _ended(made: asyncio.Task[Any]) -> None:
    """Let what is made for nobody fail without a word."""
    if not made.cancelled():
        made.exception()
