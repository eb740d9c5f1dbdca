"""What lives at the provider and is an account's, as it is written down."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from jangbu.storage.resources import ResourceRow

__all__ = ["LaterCall", "Owned", "ResourceKind", "owned"]


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

    ``key`` is the key into whose tokens a minute the result counts; None where there is no such limit.
    """

    id: UUID
    service: str
    model: str
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    key: UUID | None = None


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
    def place(self) -> str:
        """Where the resource stands in its owner's list: what ``Resources.page`` goes on after."""
        return f"{self.created_at.isoformat()} {self.name}"


def owned(row: ResourceRow) -> Owned:
    """Read a row."""
    call = None
    if row.call is not None:
        metadata = json.loads(row.metadata) if row.metadata else {}
        call = LaterCall(row.call, row.service or "", row.model or "", metadata, row.key)
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
