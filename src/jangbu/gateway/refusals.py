"""Errors as Google's API words them, for every client: the one place where the gateway's statuses come from the tree.

What a client must not try again by itself has a status that no client retries: a balance that is too small is 402,
never 429. What only the operator can mend is told to the operator, in the log; the client is told what to do meanwhile.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from jangbu.errors import (
    DatabaseUnreachable,
    IdempotencyConflict,
    InsufficientBalance,
    InvalidInput,
    JangbuError,
    LimitReached,
    NotConfigured,
    NotFound,
    NotOffered,
    NotPermitted,
    RecordingFailed,
    RecordRefused,
    SpoolFull,
    SpoolUnusable,
    StillRunning,
    TooLarge,
    TooMuchKept,
    Unauthenticated,
    UncountedInput,
    UpstreamUnreachable,
)
from jangbu.gateway.upstream_answer import KeyRefused

__all__ = ["Refusal", "refusal", "words_for"]

_DOMAIN = "jangbu"
_STATUSES: tuple[tuple[type[JangbuError], int, str], ...] = (
    (InsufficientBalance, 402, "FAILED_PRECONDITION"),
    (RecordRefused, 400, "FAILED_PRECONDITION"),
    (TooLarge, 413, "INVALID_ARGUMENT"),
    (InvalidInput, 400, "INVALID_ARGUMENT"),
    (StillRunning, 400, "FAILED_PRECONDITION"),
    (TooMuchKept, 400, "FAILED_PRECONDITION"),
    (Unauthenticated, 401, "UNAUTHENTICATED"),
    (NotPermitted, 403, "PERMISSION_DENIED"),
    (NotFound, 404, "NOT_FOUND"),
    (NotOffered, 404, "NOT_FOUND"),
    (IdempotencyConflict, 409, "ABORTED"),
    (LimitReached, 429, "RESOURCE_EXHAUSTED"),
    (UpstreamUnreachable, 502, "UNAVAILABLE"),
    (NotConfigured, 503, "UNAVAILABLE"),
    (UncountedInput, 503, "UNAVAILABLE"),
    (RecordingFailed, 503, "UNAVAILABLE"),
    (SpoolFull, 503, "UNAVAILABLE"),
    (SpoolUnusable, 503, "UNAVAILABLE"),
    (DatabaseUnreachable, 503, "UNAVAILABLE"),
)


_RETRY_AFTER = "retry_after_seconds"
_AWAY_SECONDS = 5
"""When to try again what was refused because it could not be recorded: nobody knows how long that lasts."""

_log = logging.getLogger("jangbu.gateway")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of the gateway's own: the HTTP status, the body in Google's error shape, and headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)


def refusal(error: JangbuError, *, top_up_url: str | None = None, status: int | None = None) -> Refusal:
    """Word an error, under the status of its kind unless another one is given.

    ``top_up_url`` is where a user goes whose balance is too small.
    """
    usual, word = next(
        ((status, word) for kind, status, word in _STATUSES if isinstance(error, kind)), (500, "INTERNAL")
    )
    status = usual if status is None else status
    facts = _facts(error, top_up_url)
    details: list[object] = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": error.code.upper(),
            "domain": _DOMAIN,
            "metadata": facts,
        }
    ]
    if "link" in facts:
        links = [{"description": "Get more tokens", "url": facts["link"]}]
        details.append({"@type": "type.googleapis.com/google.rpc.Help", "links": links})
    body = {"error": {"code": status, "message": words_for(error), "status": word, "details": details}}
    headers = {"retry-after": facts[_RETRY_AFTER]} if _RETRY_AFTER in facts else {}
    return Refusal(status, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"), headers)


def words_for(error: JangbuError) -> str:
    """Say what went wrong to whoever calls. What is only for the operator is logged instead."""
    match error:
        case InsufficientBalance():
            return f"{error.message}; get more tokens, or ask for less"
        case DatabaseUnreachable() | SpoolFull() | SpoolUnusable():
            words = "calls cannot be recorded at the moment, so none is made; try again later"
        case RecordRefused():
            words = "the call was answered, and the ledger cannot hold what it used; do not try again"
        case RecordingFailed():
            words = "the call could not be recorded; try again later"
        case NotConfigured() | KeyRefused():
            words = "Gemini cannot be called at the moment; try again later"
        case NotFound() if "`jangbu " in error.hint:
            words = error.message
        case _:
            return str(error)
    _log.warning("%s: %s", error.code, error)
    return words


def _facts(error: JangbuError, top_up_url: str | None) -> dict[str, str]:
    match error:
        case InsufficientBalance(needed=needed, available=available):
            link = {"link": top_up_url} if top_up_url else {}
            return {"needed": str(needed), "available": str(available), **link}
        case LimitReached(seconds=seconds):
            return {_RETRY_AFTER: str(seconds)}
        case DatabaseUnreachable() | SpoolFull() | SpoolUnusable():
            return {_RETRY_AFTER: str(_AWAY_SECONDS)}
    return {}
