"""What lives at the provider and is an account's, as it is written down."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from jangbu.storage.resources import ResourceRow

__all__ = ["LaterCall", "Owned", "ResourceKind", "kind_of", "owned", "short_name"]


class ResourceKind(StrEnum):
    """What a resource is."""

    FILE = "file"
    CACHE = "cache"
    BATCH = "batch"
    OPERATION = "operation"
    INTERACTION = "interaction"
    UPLOAD = "upload"
    """An upload under way, until its file has a name."""


@dataclass(frozen=True, slots=True)
class LaterCall:
    """A call whose hold waits for a result that comes later. ``id`` becomes the id of its usage record.

    ``key`` is the key into whose tokens a minute the result counts; None where there is no such limit. What was
    ``begun_by_app``, through its own client, no gateway asks for.
    """

    id: UUID
    service: str
    model: str
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    key: UUID | None = None
    begun_by_app: bool = False


@dataclass(frozen=True, slots=True)
class Owned:
    """A resource, and whose it is. ``settled_at`` tells when the result that ``call`` waited for was seen.

    ``target`` is where an upload goes on at the provider; whoever has it can write there.
    """

    account: UUID
    user: str
    name: str
    kind: ResourceKind
    call: LaterCall | None
    target: str | None = field(repr=False)
    created_at: datetime
    settled_at: datetime | None
    key: UUID | None = None
    """The key with which an upload was begun; None for all else."""
    size: int | None = None
    """The bytes that an uploaded file takes of the provider's room, or an upload so far; None for all else."""

    @property
    def is_owed(self) -> bool:
        """Whether a result tells what a call used that is not recorded yet."""
        return self.call is not None and self.settled_at is None

    @property
    def place(self) -> str:
        """Where the resource stands in its owner's list: what ``Resources.page`` goes on after."""
        return f"{self.created_at.isoformat()} {self.name}"


_KINDS = {
    "files": ResourceKind.FILE,
    "cachedContents": ResourceKind.CACHE,
    "batches": ResourceKind.BATCH,
    "interactions": ResourceKind.INTERACTION,
}


def kind_of(name: str) -> ResourceKind:
    """Tell what a resource is by its name (``files/…``); what is nothing else is an operation."""
    return _KINDS.get(name.strip("/").split("/")[-2:][0], ResourceKind.OPERATION)


def short_name(name: str) -> str:
    """Give the name by which a resource is owned: its kind and its id, an operation's with its model."""
    parts = name.strip("/").split("/")
    return "/".join(parts[-4:] if parts[-4:-3] == ["models"] and parts[-2] == "operations" else parts[-2:])


def owned(row: ResourceRow) -> Owned:
    """Read a row."""
    call = None
    if row.call is not None:
        metadata = json.loads(row.metadata) if row.metadata else {}
        call = LaterCall(row.call, row.service or "", row.model or "", metadata, row.key, row.begun_by_app)
    return Owned(
        row.account,
        row.user,
        row.name,
        ResourceKind(row.kind),
        call,
        row.target,
        row.created_at,
        row.settled_at,
        key=row.key if call is None else None,
        size=row.size,
    )
