"""Tells pages that update themselves when there is something new to show, by server-sent events.

What is told is that something was committed, and not what: the page is asked for again then, and whether its member may
still see it is looked at there.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

from starlette.requests import Request
from starlette.responses import Response

from jangbu import telemetry
from jangbu.api.rest.streams import Streamed, Streams
from jangbu.errors import JangbuError
from jangbu.metering.meter import Metering
from jangbu.metering.snapshots import mark

__all__ = ["LIVE", "Live"]

LIVE = "/live"
"""Where pages listen."""
_LOOK_SECONDS = 1
"""How often the database is asked, however many pages listen."""
_BETWEEN_SECONDS = 5
"""What a page has at least from one time that it is shown anew to the next one: others may write all the time."""
_LATEST_SECONDS = 30
"""After so long a page is shown anew in any case: periods end now, and go on. A proxy takes no stream for dead then."""
_AGAIN_MILLISECONDS = 3_000
_PAGES_MAX = 500
_HEADERS = {"content-type": "text/event-stream", "x-accel-buffering": "no"}


class Live:
    """What pages of this process listen to."""

    def __init__(self, ledger: Metering) -> None:
        self._ledger = ledger
        self._streams = Streams(_PAGES_MAX, of="pages that update themselves")
        self._over = asyncio.Event()
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._found: str | JangbuError = ""

    async def mark(self) -> str:
        """Give a word for what whoever looks from now on sees at least: another one once something was committed.

        Raises DatabaseUnreachable.
        """
        async with self._looking:
            if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
                self._found = await self._look()
                self._looked_at = time.monotonic()
        if isinstance(self._found, JangbuError):
            raise self._found
        return self._found

    async def listen(self, token: str, request: Request) -> Response:
        """Tell the page of a session from now on, until it leaves. Raises LimitReached and DatabaseUnreachable."""
        telemetry.emit("request.routed", verb="dashboard.live")
        if await self._ledger.sessions.of(token) is None:
            # A browser that is told of no content does not ask again.
            return Response(status_code=204)
        seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")
        async with AsyncExitStack() as ending:
            self._streams.begin(ending)
            return Streamed(self._events(token, seen), _HEADERS, ending.pop_all())

    def end(self) -> None:
        """Leave all pages: the service ends, and they ask again where it is by then."""
        self._over.set()

    async def _look(self) -> str | JangbuError:
        """Give the word, or why there is none: whoever waits is told that, instead of waiting for it once more."""
        try:
            seen = await mark(self._ledger.database)
        except JangbuError as error:
            return error
        return hashlib.sha256(seen.encode()).hexdigest()[:16]

    async def _events(self, token: str, seen: str) -> AsyncIterator[bytes]:
        yield b"retry: %d\n\n" % _AGAIN_MILLISECONDS
        # Whoever listens asks again by itself, and is told then what is wrong.
        with suppress(JangbuError):
            async for found in self._changes(token, seen):
                yield f"id: {found}\nevent: changed\ndata: {found}\n\n".encode()

    async def _changes(self, token: str, seen: str) -> AsyncIterator[str]:
        told_at = time.monotonic()
        while not self._over.is_set():
            found = await self.mark()
            if found != seen or time.monotonic() - told_at >= _LATEST_SECONDS:
                is_over = await self._ledger.sessions.of(token) is None
                seen, told_at = found, time.monotonic()
                yield seen
                if is_over:
                    # The page asks, and is led to the door.
                    return
                await self._wait(_BETWEEN_SECONDS)
            else:
                await self._wait(_LOOK_SECONDS)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)
