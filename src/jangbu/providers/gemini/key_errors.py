"""Errors that say nothing of a request, and that the credentials with which it was made open no door.

Google names the reason beside its words (``google/api/error_reason.proto``), which whoever asks cannot choose.
"""

import json
import re
from typing import Any

from jangbu.providers.gemini.fields import listed

__all__ = ["closing_refusal", "key_refusal"]

_DOMAIN = "googleapis.com"
_SERVICES = (None, "generativelanguage.googleapis.com", "aiplatform.googleapis.com")
"""Of which service a reason may speak: another one is asked for by what a request names, such as a tool of its own."""
_REASONS = frozenset(
    {
        "API_KEY_ANDROID_APP_BLOCKED",
        "API_KEY_HTTP_REFERRER_BLOCKED",
        "API_KEY_INVALID",
        "API_KEY_IOS_APP_BLOCKED",
        "API_KEY_IP_ADDRESS_BLOCKED",
        "BILLING_DISABLED",
        "CONSUMER_INVALID",
        "CONSUMER_SUSPENDED",
        "SERVICE_DISABLED",
    }
)
_SAID = {
    "Your API key was reported as leaked. Please use another API key.": "API_KEY_LEAKED",
    "Your project has been denied access. Please contact support.": "PROJECT_DENIED",
}
"""What Google says without a reason beside it. No request makes it say just that."""
_SAID_AT_THE_END = {
    **_SAID,
    "API key not valid. Please pass a valid API key.": "API_KEY_INVALID",
    "API Key not found. Please pass a valid API key.": "API_KEY_INVALID",
    "API key expired. Please renew the API key.": "API_KEY_INVALID",
}
"""What it says when it closes a session of Live, which it upgrades first: a close frame has room for no reason."""
_SUSPENDED = re.compile(r"(?:Permission denied: )?Consumer '[a-z_]+:[^']+' has been suspended\.?")
"""What it says there of a key or a project that it suspended, which it names."""


def key_refusal(body: bytes) -> str | None:
    """Give the reason for which an error refuses the key it was asked with, or the key's project; None for any other.

    A stream and OpenAI's surface put the error into a list.
    """
    try:
        answers = listed(json.loads(body))
    except ValueError:
        return None
    return next((reason for answer in answers for reason in _reasons(answer)), None)


def closing_refusal(said: str) -> str | None:
    """Give the reason for which the close frame of a session refuses the key it was opened with; None for any other."""
    return "CONSUMER_SUSPENDED" if _SUSPENDED.fullmatch(said) else _SAID_AT_THE_END.get(said)


def _reasons(answer: Any) -> list[str]:
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return []
    details = [each for each in listed(error.get("details")) if isinstance(each, dict)]
    if not details and error.get("status") == "PERMISSION_DENIED":
        said = _SAID.get(str(error.get("message")))
        return [] if said is None else [said]
    reasons = [each.get("reason") for each in details if each.get("domain") == _DOMAIN and _is_asked(each)]
    return [reason for reason in reasons if isinstance(reason, str) and reason in _REASONS]


def _is_asked(detail: dict[str, Any]) -> bool:
    """Tell whether a reason speaks of the service that was called."""
    metadata = detail.get("metadata")
    return not isinstance(metadata, dict) or metadata.get("service") in _SERVICES
