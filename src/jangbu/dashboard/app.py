"""The dashboard as an ASGI application, which is made when its first page is asked for."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from jangbu.config import Settings
from jangbu.errors import JangbuError
from jangbu.metering.meter import Metering

__all__ = ["Dashboard", "build"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Dashboard:
    """Serves ``/dashboard`` over a ledger that somebody else opens and closes."""

    def __init__(self, settings: Settings, ledger: Metering) -> None:
        self._settings = settings
        self._ledger = ledger
        self._making = asyncio.Lock()
        self._app: Starlette | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if self._app is None:
            async with self._making:
                if self._app is None:
                    self._app = await asyncio.to_thread(build, self._settings, self._ledger)
        await self._app(scope, receive, _guarded(send))


def build(settings: Settings, ledger: Metering) -> Starlette:
    """Make the application; that takes a moment, for which calls of the gateway shall not wait."""
    from jangbu.dashboard import assets
    from jangbu.dashboard.by_provider import ByProvider
    from jangbu.dashboard.failing import failed, stopped, unrouted
    from jangbu.dashboard.frame import Frame
    from jangbu.dashboard.look import PREFIX
    from jangbu.dashboard.oidc import OpenId
    from jangbu.dashboard.page import Page
    from jangbu.dashboard.pages.all import PAGES
    from jangbu.dashboard.preferences import remembered
    from jangbu.dashboard.signing_in import SigningIn

    provider = OpenId.of(settings, ledger.clock)
    frame, door = Frame(ledger, settings, PAGES), SigningIn(ledger, has_provider=provider is not None)

    def shown(page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def show(request: Request) -> Response:
            return remembered(request, await frame.show(page, request))

        return show

    def acted(page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def act(request: Request) -> Response:
            return await frame.act(page, request)

        return act

    async def home(_request: Request) -> Response:
        return RedirectResponse(f"{PREFIX}/", status_code=308)

    routes: list[BaseRoute] = [
        Route(PREFIX, home),
        Route(f"{PREFIX}/static/{{digest}}/{{name:path}}", assets.serve),
        Route(f"{PREFIX}/sign-in", door.show),
        Route(f"{PREFIX}/sign-in", door.sign_in, methods=["POST"]),
        Route(f"{PREFIX}/signed-in", door.check),
        Route(f"{PREFIX}/sign-out", door.sign_out, methods=["POST"]),
        Route(f"{PREFIX}/set-up", door.show_set_up),
        Route(f"{PREFIX}/set-up", door.set_up, methods=["POST"]),
    ]
    if provider is not None:
        by_provider = ByProvider(ledger, settings, provider, door)
        routes += [
            Route(f"{PREFIX}/sign-in/provider", by_provider.leave),
            Route(f"{PREFIX}/returned", by_provider.come_back),
        ]
    for page in PAGES:
        routes.append(Route(PREFIX + page.path, shown(page)))
        if page.actions:
            routes.append(Route(f"{PREFIX}{page.path.rstrip('/')}/{{action}}", acted(page), methods=["POST"]))
    app = Starlette(
        routes=routes, exception_handlers={HTTPException: unrouted, JangbuError: stopped, Exception: failed}
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
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return guarded
