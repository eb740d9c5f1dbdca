"""What is served: Jangbu's own pages under their own paths, and Gemini's protocol everywhere else."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from jangbu import telemetry
from jangbu.config import OWN_PAGES

__all__ = ["Served"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Served:
    """One ASGI application of three: whose a request is, its path's first segment tells."""

    def __init__(self, own: App, gateway: App, dashboard: App | None) -> None:
        self._own = own
        self._gateway = gateway
        self._dashboard = dashboard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to whose it is."""
        first = "dashboard" if self._is_opened(scope) else scope["path"].lstrip("/").partition("/")[0]
        if first in OWN_PAGES:
            telemetry.emit("request.routed", verb=first)
            own = self._dashboard if first == "dashboard" and self._dashboard is not None else self._own
            await own(scope, receive, send)
        else:
            await self._gateway(scope, receive, send)

    def _is_opened(self, scope: Scope) -> bool:
        """Tell whether a person opens the address that serving begins with; nothing of Gemini's lies there."""
        return self._dashboard is not None and scope["path"] == "/" and scope.get("method") == "GET"
