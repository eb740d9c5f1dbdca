"""One request with all the fake knows about it, and the reply to it: what every surface takes and gives."""

import itertools
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jangbu.testing.behaviours import Behaviour

__all__ = ["JSON", "Chunk", "Exchange", "Ids", "Reply", "Request", "Route", "encode", "json_reply"]

JSON = "application/json; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, whole. Header names are in lower case; ``head`` is the raw text before the body."""

    method: str
    target: str
    path: str
    query: Mapping[str, str] = field(hash=False)
    headers: Mapping[str, str] = field(hash=False)
    body: bytes = b""
    head: bytes = field(default=b"", repr=False)
    version: str = "HTTP/1.1"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a path leads: the surface, and what the path names."""

    surface: str
    version: str = ""
    model: str = ""
    name: str = ""
    vertex: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a body. ``usage`` is the usage object that a reader of this piece has seen last."""

    data: bytes
    usage: Mapping[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: one chunk is sent with its length, several (``streamed``) as they come.

    ``counted`` is what Google would charge for, ``members`` the single answers of a batch.
    """

    chunks: tuple[Chunk, ...]
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    streamed: bool = False
    response_id: str | None = None
    model: str | None = None
    counted: Mapping[str, Any] | None = field(default=None, hash=False)
    members: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)


class Ids:
    """Ids that no other answer has had, also not of another fake on the same log."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def new(self, kind: str = "") -> str:
        """Give a new id."""
        return f"{kind}{self._prefix}{next(self._numbers):08x}"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, where it leads and how it is to be treated. ``origin`` is the fake's own scheme, host and port."""

    request: Request
    route: Route
    body: Mapping[str, Any] = field(hash=False)
    behaviour: Behaviour
    ids: Ids
    now: datetime
    origin: str

    @property
    def moment(self) -> str:
        """The present moment as Google writes it."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    @property
    def model_version(self) -> str:
        """The model that answers: what an alias stands for."""
        model = self.behaviour.model_version or self.route.model
        return _ALIASES.get(model, model)


_ALIASES = {
    "gemini-flash-latest": "gemini-2.5-flash",
    "gemini-flash-lite-latest": "gemini-2.5-flash-lite",
    "gemini-pro-latest": "gemini-2.5-pro",
}


def encode(value: object) -> bytes:
    """Write a value as compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def json_reply(
    value: object,
    *,
    usage: Mapping[str, Any] | None = None,
    counted: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    members: Iterable[Mapping[str, Any]] = (),
    response_id: str | None = None,
    model: str | None = None,
) -> Reply:
    """Reply with one JSON value; ``usage`` is the usage object in it, ``counted`` the true one where they differ."""
    return Reply(
        (Chunk(encode(value), usage),),
        headers=headers or {},
        response_id=response_id,
        model=model,
        counted=(usage if counted is None else counted) or None,
        members=tuple(members),
    )
