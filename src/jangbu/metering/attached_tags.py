"""The one rule of tags: names and values that are text, so many and so long, whoever attaches them by whatever way."""

import json
from collections.abc import Mapping
from typing import Any

from jangbu.errors import InvalidMetadata
from jangbu.metering.content import metadata_text
from jangbu.metering.keyed import refuse_named_key

__all__ = ["TAGS_BYTES_MOST", "TAGS_MOST", "admitted_metadata", "checked_tags", "checked_text"]

TAGS_MOST = 32
TAGS_BYTES_MOST = 4096


def admitted_metadata(metadata: Mapping[str, Any]) -> str | None:
    """Check metadata that is new, and its tags; give its JSON text, or None for none. Raises InvalidMetadata.

    Reports sum by tags: what cannot be told apart there would count as a call without any. They sum by keys, too: of
    those a caller names none.
    """
    refuse_named_key(metadata)
    if "tags" in metadata:
        checked_tags(metadata["tags"])
    return metadata_text(metadata)


def checked_tags(tags: object) -> Mapping[str, str]:
    """Give the tags back. Raises InvalidMetadata where they break a bound, or are no names with a text each."""
    if not isinstance(tags, Mapping):
        said = "null" if tags is None else type(tags).__name__
        raise InvalidMetadata(f"tags are {said}, no names with values", hint='write them like {"feature": "chat"}')
    for name, value in tags.items():
        checked_text("a tag's name", name, TAGS_BYTES_MOST)
        checked_text(f"tag {name[:40]!r}", value, TAGS_BYTES_MOST, empty_allowed=True)
    if len(tags) > TAGS_MOST:
        raise InvalidMetadata(f"{len(tags)} tags are more than {TAGS_MOST}", hint=f"keep it to {TAGS_MOST}")
    size = len(json.dumps(dict(tags), ensure_ascii=False).encode())
    if size > TAGS_BYTES_MOST:
        raise InvalidMetadata(f"tags of {size:,} bytes are larger than {TAGS_BYTES_MOST:,} bytes")
    return tags


def checked_text(what: str, text: object, length_most: int, *, empty_allowed: bool = False) -> None:
    """PostgreSQL stores neither NUL nor lone surrogates: refuse them here, before a call is made and paid for."""
    if not isinstance(text, str):
        raise InvalidMetadata(f"{what} is {type(text).__name__}, not text")
    if not text and not empty_allowed:
        raise InvalidMetadata(f"{what} is empty")
    if len(text) > length_most:
        raise InvalidMetadata(f"{what} has {len(text):,} characters, more than {length_most:,}")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        raise InvalidMetadata(f"{what} holds a NUL or a lone surrogate")
