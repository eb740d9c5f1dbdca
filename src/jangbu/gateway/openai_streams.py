"""Usage in streams of the OpenAI-compatible surface, which comes only when it is asked for: the gateway always asks,
and takes the event out again where the client did not.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["UsageEvents", "with_usage_asked"]

_EVENT_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_END_LONGEST = 4


def with_usage_asked(body: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a request so that its stream reports usage."""
    options = body.get("stream_options")
    return {**body, "stream_options": {**(options if isinstance(options, Mapping) else {}), "include_usage": True}}


class UsageEvents:
    """Takes the events that carry nothing but usage out of a stream; all others pass byte for byte."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece; give the events that it ends and that may pass."""
        start = max(len(self._kept) - _END_LONGEST, 0)
        self._kept += piece
        passed = bytearray()
        begin = 0
        while (end := _EVENT_END.search(self._kept, start)) is not None:
            if end.end() == len(self._kept) and self._kept.endswith(b"\r"):
                # A line feed may still belong to this end.
                break
            event, begin = bytes(self._kept[begin : end.end()]), end.end()
            start = begin
            if not _is_usage_alone(event):
                passed += event
        del self._kept[:begin]
        return bytes(passed)

    def rest(self) -> bytes:
        """Give what no end of an event followed."""
        rest, self._kept = bytes(self._kept), bytearray()
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
