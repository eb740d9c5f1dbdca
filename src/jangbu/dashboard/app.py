"""The dashboard as an ASGI application, which is made when its first page is asked for."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from jangbu.config import Settings
from jangbu.dashboard.live import Live
from jangbu.errors import JangbuError
from jangbu.metering.meter import Metering
from jangbu.metering.verification_runs import VerificationRuns

__all__ = ["Dashboard", "build"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Dashboard:
    """Serves ``/dashboard`` over a ledger that somebody else opens and closes."""

    def __init__(self, settings: Settings, ledger: Metering) -> None:
        self._settings = settings
        self._ledger = ledger
        self._runs = VerificationRuns(ledger, settings.project)
        self._live = Live(ledger)
        self._making = asyncio.Lock()
        self._app: Starlette | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if self._app is None:
            async with self._making:
                if self._app is None:
                    self._app = await asyncio.to_thread(build, self._settings, self._ledger, self._runs, self._live)
        await self._app(scope, receive, _guarded(send))

    def stop(self) -> None:
        """Leave the pages that listen, which would not end by themselves."""
        self._live.end()

    async def close(self) -> None:
        """End what goes on in the background."""
        await self._runs.close()


def build(settings: Settings, ledger: Metering, runs: VerificationRuns, live: Live) -> Starlette:
    """Make the application; that takes a moment, for which calls of the gateway shall not wait."""
    from jangbu.dashboard.failing import failed, stopped, unrouted
    from jangbu.dashboard.routes import routes_of

    app = Starlette(
        routes=routes_of(settings, ledger, runs, live),
        exception_handlers={HTTPException: unrouted, JangbuError: stopped, Exception: failed},
    )
    # An address with one slash too many is none: to correct it would lead to whatever host the request names.
    app.router.redirect_slashes = False
    return app


def _guarded(send: Send) -> Send:
    """Put what goes with every answer into its head, whoever made it; what it says itself stands."""
    from jangbu.dashboard.rendered import HEADERS

    async def guarded(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            # A policy of an answer's own says who may frame it, by a list, of which the older header knows nothing.
            says_itself = {"x-frame-options"} if "content-security-policy" in headers else set()
            for name in HEADERS.keys() - says_itself:
                headers.setdefault(name, HEADERS[name])
        await send(message)

    return guarded
