"""Usage in streams of the OpenAI-compatible surface, which comes only when it is asked for: the gateway always asks,
and takes the event out again where the client did not.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from jangbu.errors import InvalidInput
from jangbu.providers.gemini.fields import folded

__all__ = ["UsageEvents", "asks_usage", "require_plain_options", "with_usage_asked"]

_OPTIONS, _USAGE = "stream_options", "include_usage"
_EVENT_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_END_LONGEST = 4


def require_plain_options(body: Mapping[str, Any]) -> None:
    """Refuse options of a stream of which nobody knows what the provider reads: other types than OpenAI's, and other
    spellings. A stream that reports nothing would be free. Raises InvalidInput.
    """
    if not body.get("stream"):
        return
    options = body.get(_OPTIONS)
    if not isinstance(options, Mapping | None):
        raise InvalidInput(f"{_OPTIONS} is no object", hint=f'send {{"{_USAGE}": true}}, or leave it out')
    for name, given in ((_OPTIONS, body), (_USAGE, options or {})):
        if any(each != name and folded(each) == folded(name) for each in given):
            raise InvalidInput(f"the body spells {name} otherwise", hint=f"write {name}, as OpenAI's API does")
    if not isinstance((options or {}).get(_USAGE), bool | None):
        raise InvalidInput(f"{_USAGE} is neither true nor false", hint="send true or false, or leave it out")


def asks_usage(body: Mapping[str, Any]) -> bool:
    """Tell whether a client asks for the usage of its stream."""
    options = body.get(_OPTIONS)
    return isinstance(options, Mapping) and options.get(_USAGE) is True


def with_usage_asked(body: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a request so that its stream reports usage."""
    options = body.get(_OPTIONS)
    return {**body, _OPTIONS: {**(options if isinstance(options, Mapping) else {}), _USAGE: True}}


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
