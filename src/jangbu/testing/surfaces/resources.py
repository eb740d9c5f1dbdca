"""What requests have left behind: caches, files, uploads, batches, operations, interactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jangbu.testing.composing.counting import Tokens
from jangbu.testing.composing.failure import Failure
from jangbu.testing.surfaces.exchange import Exchange, Reply, json_reply

__all__ = ["Batch", "Resources", "StoredInteraction", "Upload", "found", "page"]

Shown = dict[str, Any]
"""A resource as the API shows it."""


@dataclass(slots=True)
class Upload:
    """A resumable upload, and once it is done the reply that shows its file. ``name`` is one that was chosen for it."""

    content_type: str
    display_name: str
    data: bytearray = field(default_factory=bytearray)
    file: Reply | None = None
    name: str = ""


@dataclass(slots=True)
class Batch:
    """A batch: as it is shown while it runs and once it is done, and what its requests used."""

    running: Shown
    done: Shown
    members: tuple[Mapping[str, Any], ...]
    polls_left: int


@dataclass(frozen=True, slots=True)
class StoredInteraction:
    """An interaction: as it is shown when done, and the tokens that a following one has to read again."""

    shown: Shown = field(hash=False)
    context: Tokens = field(hash=False)


@dataclass(slots=True)
class Resources:
    """All that lives longer than one request. Names are full: ``cachedContents/…``, ``files/…``."""

    caches: dict[str, Shown] = field(default_factory=dict)
    cache_tokens: dict[str, Tokens] = field(default_factory=dict)
    files: dict[str, Shown] = field(default_factory=dict)
    file_data: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    operations: dict[str, Shown] = field(default_factory=dict)
    interactions: dict[str, StoredInteraction] = field(default_factory=dict)


def found(shelf: Mapping[str, Any], name: str) -> Any:
    """Give what the shelf holds under the name. Raises Failure, in Google's words, where it holds nothing."""
    value = shelf.get(name)
    if value is not None:
        return value
    match name.split("/", 1):
        case ["cachedContents", *_]:
            raise Failure(403, "CachedContent not found (or permission denied)")
        case ["files", file]:
            raise Failure(403, f"You do not have permission to access the File {file} or it may not exist.")
    raise Failure(404, f"{name} not found (or permission denied)")


def page(exchange: Exchange, name: str, members: Sequence[Shown]) -> Reply:
    """Answer a list page by page, or all of it where no size of a page is asked for."""
    begin = _number(exchange, "pageToken")
    end = begin + (_number(exchange, "pageSize") or len(members))
    follows = {"nextPageToken": str(end)} if end < len(members) else {}
    return json_reply({name: members[begin:end], **follows})


def _number(exchange: Exchange, name: str) -> int:
    text = exchange.request.query.get(name) or "0"
    if not text.isdecimal():
        raise Failure(400, f"Invalid value for {name}.")
    return int(text)
