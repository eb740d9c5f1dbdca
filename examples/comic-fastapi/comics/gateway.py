"""Google's own client, pointed at Jangbu: the base URL and the key are all that changes, the headers say who pays."""

import os
from urllib.parse import quote

from google import genai
from google.genai import types


def open_client() -> genai.Client:
    """Open the client. Without its settings this fails: no call may go to Google past the gateway, where it is free."""
    options = types.HttpOptions(base_url=os.environ["GEMINI_BASE_URL"])
    return genai.Client(api_key=os.environ["GEMINI_API_KEY"], http_options=options)


def paid_by(user: str, service: str, **tags: object) -> types.HttpOptions:
    """Say who pays for a call, for which service, and what the record of it shall keep."""
    pairs = ", ".join(f"{name}={value}" for name, value in tags.items())
    headers = {"x-jangbu-user": _text(user), "x-jangbu-service": service, "x-jangbu-tags": _text(pairs)}
    return types.HttpOptions(headers=headers)


def _text(text: str) -> str:
    """Write any text as a header: those are ASCII, names of people are not (RFC 8187)."""
    return f"UTF-8''{quote(text, safe='')}"
