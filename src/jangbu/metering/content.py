"""What callers attach to a record, and the digest that tells one content from another."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from jangbu.errors import InvalidInput, InvalidMetadata
from jangbu.metering.keyed import KEY

METADATA_BYTES_MAX = 4096
METADATA_KEYS_MAX = 32
METADATA_DEPTH_MAX = 3
NAME_LENGTH_MAX = 200
SERVICE_LENGTH_MAX = 50
"""Characters of a service's name: the guide's VARCHAR(50)."""
UNKNOWN_MODEL = "unknown"
"""The model of an answer that names none, when the caller names none either."""

_STORED = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=str)
_ESCAPE = re.compile(r"\\\\")
_PAIR = re.compile(r"\\ud[89ab]..\\ud[c-f]..", re.IGNORECASE)
_LONE_SURROGATE = re.compile(r"\\ud[89a-f]", re.IGNORECASE)


def canonical(value: Any) -> str:
    """Give the one JSON text of a value: sorted, without white space, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(*parts: Any) -> bytes:
    """Give the SHA-256 of what makes a request the same request."""
    return hashlib.sha256(canonical(parts).encode()).digest()


def storable(value: Any) -> str:
    """Give a JSON text that PostgreSQL's jsonb takes, whatever the provider sent.

    jsonb holds neither NUL nor lone surrogates: an answer with them is kept as its own escaped text.
    """
    text = _STORED.encode(value)
    return text if _is_storable(text) else json.dumps({"text": text})


def metadata_text(metadata: Mapping[str, Any]) -> str | None:
    """Check metadata against its bounds and give its JSON text, or None for none. Raises InvalidMetadata.

    The bounds are the caller's: the key that Jangbu adds takes nothing of them, and costs next to no time.
    """
    try:
        attached = dict(metadata)
    except (TypeError, ValueError) as error:
        raise _no_json(error) from None
    key = attached.pop(KEY, None)
    text = _attached_text(attached) if attached else None
    if key is None:
        return text
    named = f'"{KEY}":{json.dumps(key)}'
    return f"{{{named}}}" if text is None else f"{text[:-1]},{named}}}"


def _attached_text(metadata: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(metadata, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise _no_json(error) from None
    except RecursionError:
        raise _too_deep() from None
    if len(text) > METADATA_BYTES_MAX:
        raise InvalidMetadata(f"metadata has {len(text):,} bytes", hint=f"keep it to {METADATA_BYTES_MAX:,}")
    if len(metadata) > METADATA_KEYS_MAX:
        raise InvalidMetadata(f"metadata has {len(metadata)} keys", hint=f"keep it to {METADATA_KEYS_MAX}")
    if _depth(metadata) > METADATA_DEPTH_MAX:
        raise _too_deep()
    if not _is_storable(text):
        raise InvalidMetadata("metadata holds NUL or a broken character", hint="send text only")
    json.loads(text, object_pairs_hook=_named_once)
    return text


def _no_json(error: Exception) -> InvalidMetadata:
    return InvalidMetadata(f"metadata is no JSON: {error}", hint="send text, numbers and objects")


def _too_deep() -> InvalidMetadata:
    return InvalidMetadata(f"metadata is nested deeper than {METADATA_DEPTH_MAX}", hint="send it flatter")


def _named_once(pairs: list[tuple[str, Any]]) -> None:
    """Refuse names that are different in Python and one in JSON, like 1 and "1": one of their values would be lost."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise InvalidMetadata("metadata gives a name twice", hint="write names as text")


def _is_storable(text: str) -> bool:
    """Tell whether jsonb takes an ASCII JSON text: a pair of surrogates is a character, NUL and a lone one are not."""
    if "\\u" not in text:
        return True
    escapes = _ESCAPE.sub("", text)
    return "\\u0000" not in escapes and not _LONE_SURROGATE.search(_PAIR.sub("", escapes))


def service_name(service: str) -> str:
    """Check the name of a service."""
    return _name(service, "service", SERVICE_LENGTH_MAX)


def model_name(model: str | None) -> str:
    """Give the name under which a model is recorded, without its path.

    Whatever a provider calls it, the answer was given and is recorded: what cannot be stored is left out of the name.
    """
    name = (model or "").rsplit("/", 1)[-1]
    if name.isprintable() and 0 < len(name) <= NAME_LENGTH_MAX:
        return name
    return "".join(filter(str.isprintable, name))[:NAME_LENGTH_MAX] or UNKNOWN_MODEL


def answer_id(response_id: str | None) -> str | None:
    """Give an answer's own id where it can be stored, else None."""
    usable = response_id is not None and response_id.isprintable() and 0 < len(response_id) <= NAME_LENGTH_MAX
    return response_id if usable else None


def _name(name: str, what: str, length_max: int) -> str:
    if not name or len(name) > length_max or not name.isprintable():
        raise InvalidInput(f"{name[:60]!r} is no name of a {what}", hint=f"use 1 to {length_max} printable characters")
    return name


def _depth(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + max((_depth(member) for member in value.values()), default=0)
    if isinstance(value, list | tuple):
        return 1 + max((_depth(member) for member in value), default=0)
    return 0
