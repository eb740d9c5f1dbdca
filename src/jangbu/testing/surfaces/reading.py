"""The last usage object in the bytes of a recorded answer, in whatever words: for the log only."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["last_usage"]


def last_usage(body: bytes) -> Mapping[str, Any] | None:
    """Give the last usage object of a JSON body, a JSON array or an event stream; None where there is none."""
    usage: Mapping[str, Any] | None = None
    for value in _values(body):
        usage = _usage_of(value) or usage
    return usage


def _values(body: bytes) -> Iterator[Any]:
    try:
        value = json.loads(body)
    except ValueError:
        for line in body.splitlines():
            if line.startswith(b"data:"):
                yield from _parsed(line[5:])
        return
    yield from value if isinstance(value, list) else [value]


def _parsed(text: bytes) -> Iterator[Any]:
    try:
        yield json.loads(text)
    except ValueError:
        return


def _usage_of(value: Any) -> Mapping[str, Any] | None:
    if not isinstance(value, dict):
        return None
    inner = value.get("interaction")
    return value.get("usageMetadata") or value.get("usage") or (_usage_of(inner) if inner else None)
