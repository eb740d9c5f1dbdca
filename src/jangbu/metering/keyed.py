"""The key by which a call came, as its record keeps it beside what callers attach: the id, which opens nothing."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from jangbu.errors import InvalidMetadata

__all__ = ["KEY", "KeyId", "key_of", "refuse_named_key", "with_key"]

KEY = "jangbu_key"
"""The member of a record's metadata. It bears Jangbu's name, because ``key`` and the like are words of apps' own."""


class KeyId(str):
    """The id of a key, written by a door that was shown the key: no text that a caller sends is one."""

    __slots__ = ()


def with_key(metadata: Mapping[str, Any], key: UUID) -> Mapping[str, Any]:
    """Add by which key a call came to what its caller attached. Raises InvalidMetadata where that names a key itself.

    Refused rather than put right: who names a key would find another one in the record, and not learn why.
    """
    refuse_named_key(metadata)
    return {**metadata, KEY: KeyId(key)}


def refuse_named_key(metadata: Mapping[str, Any]) -> None:
    """Refuse metadata in which a caller names a key: it could be somebody else's. Raises InvalidMetadata."""
    if KEY in metadata and type(metadata[KEY]) is not KeyId:
        raise InvalidMetadata(
            f"metadata names {KEY}, which Jangbu writes by itself", hint="leave it out, or give it another name"
        )


def key_of(metadata: str | None) -> UUID | None:
    """Give the key by which a call came, of the metadata that its record keeps; None where it came by none."""
    kept = None if metadata is None else json.loads(metadata)
    named = kept.get(KEY) if isinstance(kept, dict) else None
    try:
        return UUID(named) if isinstance(named, str) else None
    except ValueError:
        return None
