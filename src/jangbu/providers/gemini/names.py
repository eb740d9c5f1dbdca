"""Text out of an answer, made fit to be kept: model names, ids, and usage objects word for word."""

import math
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from jangbu.domain.usage import COUNT_MAX

_TEXT_LENGTH_MOST = 512
_DEPTH_MOST = 16
_INTEGER_BITS_MOST = 128
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def model_name(value: object) -> str | None:
    """Strip ``models/`` and Vertex's resource path: a price is kept under the bare name."""
    name = text(value)
    if name is None:
        return None
    bare = name.rstrip("/").rpartition("/")[2]
    return bare.partition("@")[0] or None


def text(value: object) -> str | None:
    """Give a non-empty string that a database column can hold, else None."""
    if isinstance(value, Enum):
        value = value.value
    if not isinstance(value, str) or not value.strip() or len(value) > _TEXT_LENGTH_MOST:
        return None
    return None if _UNSTORABLE.search(value) or not value.isprintable() else value.strip()


def verbatim(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a usage object word for word; only what JSON in a database cannot hold is replaced by its text."""
    return _plain_object(usage, 1)


def _plain_object(given: Mapping[str, Any], depth: int) -> dict[str, Any]:
    return {_storable(str(key)): _plain(value, depth) for key, value in given.items()}


def _plain(value: object, depth: int) -> Any:
    # Nearly every value is one of these, as JSON wrote them.
    if type(value) is int and 0 <= value <= COUNT_MAX:
        return value
    if type(value) is str:
        return _storable(value)
    if depth > _DEPTH_MOST:
        return "nested too deep"
    plain: Any
    match value:
        case dict():
            plain = _plain_object(value, depth + 1)
        case list() | tuple():
            plain = [_plain(inner, depth + 1) for inner in value]
        case Enum():
            plain = _plain(value.value, depth + 1)
        case Mapping():
            plain = _plain_object(value, depth + 1)
        case float() if math.isfinite(value):
            plain = value
        case bool() | None:
            plain = value
        case int():
            plain = value if value.bit_length() <= _INTEGER_BITS_MOST else f"{value.bit_length()} bits"
        case _:
            plain = _storable(str(value))
    return plain


def _storable(value: str) -> str:
    if value.isidentifier() or (value.isascii() and "\x00" not in value):
        return value
    return _UNSTORABLE.sub("\ufffd", value)
