"""What is served: Jangbu's own pages under their own paths, and Gemini's protocol everywhere else."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from jangbu import telemetry

__all__ = ["Served"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_OWN = frozenset({"healthz", "readyz", "metrics", "api", "dashboard", "openapi.json"})


class Served:
    """One ASGI application of two: whose a request is, its path's first segment tells."""

    def __init__(self, own: App, gateway: App) -> None:
        self._own = own
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to whose it is."""
        first = scope["path"].lstrip("/").partition("/")[0]
        if first in _OWN:
            telemetry.emit("request.routed", verb=first)
            await self._own(scope, receive, send)
        else:
            await self._gateway(scope, receive, send)
