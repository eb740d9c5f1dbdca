"""Errors as problems of RFC 9457: the one place where the API's statuses come from the error tree.

What only the operator can mend is told to the operator, in the log.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any, Literal

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from jangbu import telemetry
from jangbu.api.requests import current_id
from jangbu.errors import (
    DatabaseUnreachable,
    IdempotencyConflict,
    InsufficientBalance,
    InvalidInput,
    JangbuError,
    LimitReached,
    NotFound,
    NotOffered,
    NotPermitted,
    RecordingFailed,
    RecordRefused,
    SpoolFull,
    SpoolUnusable,
    StillRunning,
    TooLarge,
    Unauthenticated,
    UpstreamUnreachable,
)

__all__ = ["MEDIA_TYPE", "SCHEMA_VERSION", "InvalidFields", "facts_of", "problem", "status_of", "unrouted"]

MEDIA_TYPE = "application/problem+json"
SCHEMA_VERSION: Literal[1] = 1
"""The version of the shape of all answers: it grows when a field changes its meaning or goes away."""

_STATUSES: tuple[tuple[type[JangbuError], int], ...] = (
    (RecordRefused, 400),
    (TooLarge, 413),
    (InvalidInput, 400),
    (Unauthenticated, 401),
    (InsufficientBalance, 402),
    (NotPermitted, 403),
    (NotFound, 404),
    (NotOffered, 404),
    (IdempotencyConflict, 409),
    (StillRunning, 409),
    (LimitReached, 429),
    (UpstreamUnreachable, 502),
    (RecordingFailed, 503),
    (SpoolFull, 503),
    (SpoolUnusable, 503),
    (DatabaseUnreachable, 503),
)
_OPERATORS = (DatabaseUnreachable, SpoolFull, SpoolUnusable, RecordingFailed)
_AWAY_SECONDS = 5
"""When to try again what the ledger could not take: nobody knows how long that lasts."""
_FIELDS_MOST = 20
_WORDS_MOST = 200

_log = logging.getLogger("jangbu.api")


class InvalidFields(InvalidInput):
    """Fields of a request are missing, unknown or of the wrong kind; ``fields`` says which, and why."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        where, why = fields[0]
        super().__init__(f"{where}: {why}" if where else why)
        self.fields = tuple(fields[:_FIELDS_MOST])

    @classmethod
    def of(cls, error: RequestValidationError) -> "InvalidFields":
        """Say what a request lacks. What was sent is not repeated: it may be a secret."""
        fields = ((".".join(map(str, each["loc"])), str(each["msg"])) for each in error.errors())
        return cls([(where[:_WORDS_MOST], what[:_WORDS_MOST]) for where, what in fields])


def status_of(error: JangbuError) -> int:
    """Give the HTTP status of an error: that of the first kind that it is of, else 500."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def facts_of(error: JangbuError) -> dict[str, Any]:
    """Give what a caller is told of an error."""
    facts: dict[str, Any] = {"code": error.code, "detail": _words(error)}
    if error.hint and "`jangbu " not in error.hint and not _is_for_operators(error):
        facts["hint"] = error.hint
    if isinstance(error, InvalidFields):
        facts["errors"] = [{"where": where, "what": what} for where, what in error.fields]
    return facts


async def unrouted(request: Request, error: Exception) -> Response:
    """Answer a request that no route takes."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    what = "path" if status == 404 else "method of this path"
    response = problem(NotOffered(f"the API has no such {what}", hint="see /openapi.json"), status=status)
    if status == 405:
        response.headers["allow"] = ", ".join(sorted(_methods(request)))
    return response


def problem(error: JangbuError, *, status: int | None = None) -> Response:
    """Answer with an error, and with the status of its kind unless another one is given."""
    telemetry.emit("gateway.refused", code=error.code)
    status = status_of(error) if status is None else status
    body = {
        "type": f"urn:jangbu:error:{error.code}",
        "title": error.code.replace("_", " "),
        "status": status,
        **facts_of(error),
        "request_id": current_id(),
        "schema_version": SCHEMA_VERSION,
    }
    headers = {"cache-control": "no-store"}
    if isinstance(error, LimitReached):
        headers["retry-after"] = str(error.seconds)
    elif _is_for_operators(error):
        headers["retry-after"] = str(_AWAY_SECONDS)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status, headers, MEDIA_TYPE)


def _methods(request: Request) -> set[str]:
    """Give the methods that a path has: each is a route of its own."""
    matching = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in matching for method in getattr(route, "methods", None) or ()}


def _is_for_operators(error: JangbuError) -> bool:
    """Tell whether somebody else than the caller mends it, and the caller may try again then."""
    return isinstance(error, _OPERATORS) and not isinstance(error, RecordRefused)


def _words(error: JangbuError) -> str:
    if not _is_for_operators(error):
        return error.message
    _log.warning("%s: %s", error.code, error)
    if isinstance(error, RecordingFailed):
        return "the record could not be made durable; send it again"
    return "the ledger cannot be reached at the moment; try again later"
