"""What an error that a call ended with means for the hold: was the provider reached, and did it answer?"""

from asyncio import CancelledError

from jangbu.domain.flow import Lost, Rejected

__all__ = ["failed"]

_TRANSPORTS = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "requests"})
_NEVER_LEFT = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "UnsupportedProtocol",
        "LocalProtocolError",
        "InvalidURL",
        "ClientConnectorError",
        "ConnectionTimeoutError",
    }
)
"""Errors of the HTTP libraries that are raised before the first byte of a request is written."""


def failed(error: BaseException) -> Rejected | Lost:
    """Judge an error that ended a call before anything of an answer was seen.

    An answer with an error status costs nothing (Google bills neither 4xx nor 5xx), and neither does a call that never
    left. Everything else, cancellation included, may have been answered and charged: nobody knows.
    """
    kinds = type(error).__mro__
    if any(kind.__name__ == "APIError" and _package(kind) == "google" for kind in kinds):
        return Rejected(f"the provider answered {getattr(error, 'code', 'an error')}")
    if any(kind.__name__ in _NEVER_LEFT and _package(kind) in _TRANSPORTS for kind in kinds):
        return Rejected(f"the call never left: {type(error).__name__}")
    if isinstance(error, TypeError) or any(kind.__module__.startswith("google.auth") for kind in kinds):
        return Rejected(f"the call could not be made: {type(error).__name__}")
    if isinstance(error, CancelledError):
        return Lost("the app did not wait for the answer")
    return Lost(f"sent, and no answer came: {type(error).__name__}")


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]
