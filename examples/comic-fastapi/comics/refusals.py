"""What a user is told when a call is not made, or fails."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse
from google.genai import errors

_LOG = logging.getLogger(__name__)


def refusal(error: errors.APIError, done: Mapping[str, Any] | None = None) -> JSONResponse:
    """Answer a call that failed. What was ``done`` before it is the user's: it was paid for."""
    facts = failure(error)
    status = 402 if facts["error"] == "insufficient_balance" else 502
    return JSONResponse({**facts, **(done or {})}, status)


def failure(error: errors.APIError) -> dict[str, Any]:
    """Give the facts of a failure. A call that the gateway stopped says what is needed and available, in tokens."""
    if error.code != 402:
        _LOG.error("Gemini answered %s %s: %s", error.code, error.status, error.message)
        return {"error": "generation_failed", "message": "That did not work. Please try again."}
    facts = _facts(error.details)
    needed, available = int(facts["needed"]), int(facts["available"])
    message = f"This needs up to {needed} tokens, and you have {available}."
    counts = {"needed": needed, "available": available, "link": facts.get("link")}
    return {"error": "insufficient_balance", "message": message, **counts}


def _facts(body: Any) -> Mapping[str, str]:
    """Find the gateway's facts in an error of Google's shape."""
    details = body.get("error", body).get("details", [])
    return next((detail["metadata"] for detail in details if detail.get("reason") == "INSUFFICIENT_BALANCE"), {})
