"""Who pays for the calls that are made now, for which service, and with which tags.

The attribution is a context variable. It flows by itself into asyncio tasks (``create_task``, ``gather``,
``TaskGroup``) and into ``asyncio.to_thread``, which copy the context where they are called. A thread that is started by
hand begins with an empty context, and so does a worker of a plain ``ThreadPoolExecutor``: give it a function that was
made by ``bind``. A stream keeps the attribution of the moment in which it was asked for, wherever it is consumed.
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ParamSpec, TypeVar

from jangbu.errors import InvalidMetadata, MissingUser

__all__ = ["SERVICE_LENGTH_MOST", "Attribution", "attribute", "bind", "checked_service", "current", "required", "scope"]

SERVICE_LENGTH_MOST = 50
"""Characters of a service's name: the guide's VARCHAR(50)."""
USER_LENGTH_MOST = 200
TAGS_MOST = 32
TAGS_BYTES_MOST = 4096

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who pays, for what. ``user`` is None where a block named only a service or tags; so is ``service``."""

    user: str | None = None
    service: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)


_NOBODY = Attribution()
_current: ContextVar[Attribution] = ContextVar("jangbu_attribution", default=_NOBODY)


@contextmanager
def attribute(
    *, user: str | None = None, service: str | None = None, tags: Mapping[str, str] | None = None
) -> Iterator[Attribution]:
    """Attribute the calls that are made inside. What an inner block leaves out it inherits; tags are merged.

    Raises InvalidMetadata where a name or the tags break a bound.
    """
    outer = _current.get()
    merged = MappingProxyType({**outer.tags, **_checked_tags(tags or {})})
    _check_size(merged)
    attribution = Attribution(
        user=outer.user if user is None else _checked_user(user),
        service=outer.service if service is None else checked_service(service),
        tags=merged,
    )
    with scope(attribution):
        yield attribution


def current() -> Attribution:
    """Give the attribution that holds here and now."""
    return _current.get()


def required() -> Attribution:
    """Give the attribution that holds here and now. Raises MissingUser where it names nobody."""
    attribution = _current.get()
    if attribution.user is None:
        raise MissingUser("the call names no user", hint="make it inside `with meter.attribute(user=...)`")
    return attribution


@contextmanager
def scope(attribution: Attribution) -> Iterator[None]:
    """Let exactly this attribution hold inside, whatever held outside."""
    token = _current.set(attribution)
    try:
        yield
    finally:
        _current.reset(token)


def bind(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Give a function that runs under the attribution that holds now, whichever thread calls it."""
    captured = _current.get()

    @functools.wraps(function)
    def bound(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with scope(captured):
            return function(*args, **kwargs)

    return bound


def checked_service(service: str) -> str:
    """Give the service's name back. Raises InvalidMetadata where it is empty, too long or not storable."""
    _check_text("the service", service, SERVICE_LENGTH_MOST)
    return service


def _checked_user(user: str) -> str:
    if user == "":
        raise MissingUser("the user is an empty string", hint="name the user who pays")
    _check_text("the user", user, USER_LENGTH_MOST)
    return user


def _checked_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in tags.items():
        _check_text("a tag's name", name, TAGS_BYTES_MOST)
        _check_text(f"tag {name!r}", value, TAGS_BYTES_MOST, empty_allowed=True)
    return tags


def _check_size(tags: Mapping[str, str]) -> None:
    if len(tags) > TAGS_MOST:
        raise InvalidMetadata(f"{len(tags)} tags are more than {TAGS_MOST}")
    size = len(json.dumps(dict(tags), ensure_ascii=False).encode())
    if size > TAGS_BYTES_MOST:
        raise InvalidMetadata(f"tags of {size:,} bytes are larger than {TAGS_BYTES_MOST:,} bytes")


def _check_text(what: str, text: object, length_most: int, *, empty_allowed: bool = False) -> None:
    """PostgreSQL stores neither NUL nor lone surrogates: refuse them here, before a call is made and paid for."""
    if not isinstance(text, str):
        raise InvalidMetadata(f"{what} is {type(text).__name__}, not text")
    if not text and not empty_allowed:
        raise InvalidMetadata(f"{what} is empty")
    if len(text) > length_most:
        raise InvalidMetadata(f"{what} has {len(text):,} characters, more than {length_most:,}")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        raise InvalidMetadata(f"{what} holds a NUL or a lone surrogate")
