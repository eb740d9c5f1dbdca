"""What is served: Jangbu's own pages under their own paths, and Gemini's protocol everywhere else."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.middleware.cors import CORSMiddleware

from jangbu import telemetry
from jangbu.config import OWN_PAGES

__all__ = ["Served", "for_browsers"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SHOWN = (
    *(f"x-jangbu-{name}" for name in ("balance-left", "call-id", "output-limit", "tokens-charged")),
    *(f"x-goog-upload-{name}" for name in ("chunk-granularity", "size-received", "status", "url")),
    *("retry-after", "server-timing", "x-gemini-service-tier", "x-request-id"),
)
"""The headers of an answer that a page may read."""
_PREFLIGHT_SECONDS = 7_200


class Served:
    """One ASGI application of three: whose a request is, its path's first segment tells."""

    def __init__(self, own: App, gateway: App, dashboard: App | None) -> None:
        self._own = own
        self._gateway = gateway
        self._dashboard = dashboard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to whose it is."""
        first = scope["path"].lstrip("/").partition("/")[0]
        if first in OWN_PAGES:
            telemetry.emit("request.routed", verb=first)
            own = self._dashboard if first == "dashboard" and self._dashboard is not None else self._own
            await own(scope, receive, send)
        else:
            await self._gateway(scope, receive, send)


def for_browsers(gateway: App, allowed_origins: str) -> App:
    """Have pages of these origins (apart by commas, * for all) call the gateway; for none, it is left as it is.

    A browser asks before it calls, without the key: that is answered here. No cookies are ever taken.
    """
    origins = [origin for origin in map(str.strip, allowed_origins.split(",")) if origin]
    if not origins:
        return gateway
    return CORSMiddleware(
        gateway,
        allow_origins=origins,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=("*",),
        expose_headers=_SHOWN,
        max_age=_PREFLIGHT_SECONDS,
    )
