"""Pages in a browser: those of the allowed origins may read the API with a key that they show, and change nothing."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.middleware.cors import CORSMiddleware

__all__ = ["for_readers"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SENT = ("authorization", "if-none-match", "x-request-id")
"""The headers that a page may send beside those that every page may."""
_SHOWN = ("content-disposition", "etag", "retry-after", "www-authenticate", "x-jangbu-time-zone", "x-request-id")
"""The headers of an answer that a page may read."""
_PREFLIGHT_SECONDS = 7_200


def for_readers(api: App, allowed_origins: str) -> App:
    """Have pages of these origins (apart by commas, * for all) read the API; for none, it is left as it is.

    A browser asks before it sends a key, and is told that only GET may have one: a write is never made by a page, and
    cookies are never taken.
    """
    origins = [origin for origin in map(str.strip, allowed_origins.split(",")) if origin]
    if not origins:
        return api
    return CORSMiddleware(
        api,
        allow_origins=origins,
        allow_methods=("GET",),
        allow_headers=_SENT,
        expose_headers=_SHOWN,
        max_age=_PREFLIGHT_SECONDS,
    )
