"""Who pays for the calls that are made now, for which service, and with which tags.

The attribution is a context variable. It flows by itself into asyncio tasks (``create_task``, ``gather``,
``TaskGroup``) and into ``asyncio.to_thread``, which copy the context where they are called. A thread that is started by
hand begins with an empty context, and so does a worker of a plain ``ThreadPoolExecutor``: give it a function that was
made by ``bind``. A stream keeps the attribution of the moment in which it was asked for, wherever it is consumed.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ParamSpec, TypeVar

from jangbu.errors import MissingUser
from jangbu.metering.attached_tags import checked_tags, checked_text

__all__ = ["SERVICE_LENGTH_MOST", "Attribution", "attribute", "bind", "checked_service", "current", "required", "scope"]

SERVICE_LENGTH_MOST = 50
"""Characters of a service's name: the guide's VARCHAR(50)."""
USER_LENGTH_MOST = 200

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
    merged = MappingProxyType(dict(checked_tags({**outer.tags, **(tags or {})})))
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
    checked_text("the service", service, SERVICE_LENGTH_MOST)
    return service


def _checked_user(user: str) -> str:
    if user == "":
        raise MissingUser("the user is an empty string", hint="name the user who pays")
    checked_text("the user", user, USER_LENGTH_MOST)
    return user
