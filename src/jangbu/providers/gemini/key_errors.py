"""Errors that say nothing of a request, and that the credentials with which it was made open no door.

Google names the reason beside its words (``google/api/error_reason.proto``), which whoever asks cannot choose.
"""

import json
from typing import Any

from jangbu.providers.gemini.fields import listed

__all__ = ["key_refusal"]

_DOMAIN = "googleapis.com"
_REASONS = frozenset(
    {
        "API_KEY_ANDROID_APP_BLOCKED",
        "API_KEY_HTTP_REFERRER_BLOCKED",
        "API_KEY_INVALID",
        "API_KEY_IOS_APP_BLOCKED",
        "API_KEY_IP_ADDRESS_BLOCKED",
        "API_KEY_SERVICE_BLOCKED",
        "BILLING_DISABLED",
        "CONSUMER_INVALID",
        "CONSUMER_SUSPENDED",
        "SERVICE_DISABLED",
    }
)


def key_refusal(body: bytes) -> str | None:
    """Give the reason for which an error refuses the key it was asked with, or the key's project; None for any other.

    A stream and OpenAI's surface put the error into a list.
    """
    try:
        answers = listed(json.loads(body))
    except ValueError:
        return None
    return next((reason for answer in answers for reason in _reasons(answer)), None)


def _reasons(answer: Any) -> list[str]:
    error = answer.get("error") if isinstance(answer, dict) else None
    details = listed(error.get("details")) if isinstance(error, dict) else []
    told = [each for each in details if isinstance(each, dict) and each.get("domain") == _DOMAIN]
    reasons = [each.get("reason") for each in told]
    return [reason for reason in reasons if isinstance(reason, str) and reason in _REASONS]
