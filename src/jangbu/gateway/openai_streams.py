"""Usage in streams of the OpenAI-compatible surface, which comes only when it is asked for: the gateway always asks,
and takes the event out again where the client did not.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["UsageEvents", "with_usage_asked"]

_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


def with_usage_asked(body: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a request so that its stream reports usage."""
    options = body.get("stream_options")
    return {**body, "stream_options": {**(options if isinstance(options, Mapping) else {}), "include_usage": True}}


class UsageEvents:
    """Takes the events that carry nothing but usage out of a stream; all others pass byte for byte."""

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece; give the events that it ends and that may pass."""
        self._kept += piece
        passed = []
        while (end := _EVENT_END.search(self._kept)) is not None:
            event, self._kept = self._kept[: end.end()], self._kept[end.end() :]
            if not _is_usage_alone(event):
                passed.append(event)
        return b"".join(passed)

    def rest(self) -> bytes:
        """Give what no end of an event followed."""
        rest, self._kept = self._kept, b""
        return rest


def _is_usage_alone(event: bytes) -> bool:
    if b'"usage"' not in event:
        return False
    data = b"".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
    try:
        found = json.loads(data)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("choices") == [] and found.get("usage") is not None
