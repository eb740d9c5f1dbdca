"""What the drivers share: where the target is, what is asked, and the one line of JSON that a run ends with.

A driver is run as ``python DRIVER.py SURFACE`` by the interpreter of the client's own environment. BASE_URL and API_KEY
name the target, USER_HEADER_VALUE and SERVICE go into the headers that attribute a call, where they are given.
VERTEX_PROJECT and VERTEX_LOCATION are there where the client shall speak to Vertex AI.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

BASE_URL = os.environ["BASE_URL"].rstrip("/")
API_KEY = os.environ["API_KEY"]
VERTEX_PROJECT = os.environ.get("VERTEX_PROJECT")
VERTEX_LOCATION = os.environ.get("VERTEX_LOCATION")
HEADERS = {
    header: os.environ[variable]
    for header, variable in (("x-jangbu-user", "USER_HEADER_VALUE"), ("x-jangbu-service", "SERVICE"))
    if os.environ.get(variable)
}
MODEL = "gemini-2.5-flash"
EMBEDDING_MODEL = "gemini-embedding-2"
IMAGE_MODEL = "gemini-2.5-flash-image"
LIVE_MODEL = "gemini-2.0-flash-live-001"
PROMPT = "What does the book say?"
SECOND_PROMPT = "And what does it say on the next page?"
POLL_SECONDS = 0.1
POLLS_MOST = 100


def said(text: str | None, usage: Any, total: int | None, **facts: bool) -> dict[str, Any]:
    """Give what one run found out: the text, the usage as the client shows it, the tokens that this comes to in all
    (None where the client shows none), and statements that have to be true.
    """
    return {"text": text, "usage": usage, "total": total, "facts": facts}


def main(surfaces: Mapping[str, Callable[[], dict[str, Any]]]) -> None:
    """Drive the surface that the command line names and write what was found out."""
    found = surfaces[sys.argv[1]]()
    sys.stdout.write(json.dumps(found, default=str) + "\n")
