"""Pages in a browser: those of the allowed origins may call the gateway, and read the API, with a key that they show.

A browser asks before it sends a key, and is answered here. Cookies are never taken.
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from starlette.middleware.cors import CORSMiddleware

__all__ = ["for_callers", "for_readers"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SHOWN_TO_CALLERS = (
    *(f"x-jangbu-{name}" for name in ("balance-left", "call-id", "output-limit", "tokens-charged")),
    *(f"x-goog-upload-{name}" for name in ("chunk-granularity", "size-received", "status", "url")),
    *("retry-after", "server-timing", "x-gemini-service-tier", "x-request-id"),
)
_SENT_BY_READERS = ("authorization", "if-none-match", "x-request-id")
_SHOWN_TO_READERS = (
    *("content-disposition", "etag", "retry-after", "www-authenticate", "x-jangbu-time-zone", "x-request-id"),
)
_PREFLIGHT_SECONDS = 7_200


def for_callers(gateway: App, allowed_origins: str) -> App:
    """Have pages of these origins (apart by commas, * for all) call the gateway; for none, it is left as it is."""
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
    return _for_pages(gateway, allowed_origins, methods, sent=("*",), shown=_SHOWN_TO_CALLERS)


def for_readers(api: App, allowed_origins: str) -> App:
    """Have pages of these origins read the API. A browser is told that only GET may have a key: no page ever writes."""
    return _for_pages(api, allowed_origins, ("GET",), sent=_SENT_BY_READERS, shown=_SHOWN_TO_READERS)


def _for_pages(
    app: App, allowed_origins: str, methods: Sequence[str], *, sent: Sequence[str], shown: Sequence[str]
) -> App:
    """Let pages send some headers beside those that every page may, and read some of an answer."""
    origins = [origin for origin in map(str.strip, allowed_origins.split(",")) if origin]
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=methods,
        allow_headers=sent,
        expose_headers=shown,
        max_age=_PREFLIGHT_SECONDS,
    )
