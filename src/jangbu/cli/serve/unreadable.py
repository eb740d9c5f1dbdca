"""What is said to a client whose request cannot be read at all: in the words of the application that its path leads to,
as far as the path came. No application is asked, and the API need not even be made.
"""

import json

from jangbu.errors import InvalidInput, JangbuError, TooLarge
from jangbu.gateway.refusals import refusal

__all__ = ["unreadable"]

_API = b"/api/"
_ERRORS: dict[int, JangbuError] = {
    400: InvalidInput("the request is no HTTP", hint="end each line with CR LF, and send no control characters"),
    408: InvalidInput("the request's head took too long", hint="send it at once"),
    431: TooLarge("the request's head is too large", hint="send fewer headers, and shorter ones"),
}


def unreadable(status: int, url: bytes) -> tuple[str, bytes]:
    """Give the media type and the body of an answer of status 400, 408 or 431 to a request for this address."""
    error = _ERRORS[status]
    if not url.startswith(_API):
        return "application/json; charset=UTF-8", refusal(error, status=status).body
    told = {
        "type": f"urn:jangbu:error:{error.code}",
        "title": error.code.replace("_", " "),
        "status": status,
        "code": error.code,
        "detail": error.message,
        "hint": error.hint,
        "request_id": "",
        "schema_version": 1,
    }
    return "application/problem+json", json.dumps(told).encode()
