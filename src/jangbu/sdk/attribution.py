"""Who pays for the calls that are made now, for which service, and with which tags.

The attribution is a context variable. It flows by itself into asyncio tasks (``create_task``, ``gather``,
``TaskGroup``) and into ``asyncio.to_thread``, which copy the context where they are called. A thread that is started by
hand begins with an empty context, and so does a worker of a plain ``ThreadPoolExecutor``: give it a function that was
made by ``bind``. A stream keeps the attribution of the moment in which it was asked for, wherever it is consumed.

A generator function that is decorated, such as the body of a response that is streamed, runs each of its steps inside
its block, whichever task or thread makes them; what its reader does in between is outside. What the block leaves out it
inherits where the first step is made, which a web framework does when the route's own blocks are over: name the user in
the decorator, or ``bind`` the function where the user is known. A plain function that returns a generator has left its
block by then: decorate the generator function itself.
"""

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from jangbu.domain.ledger import USER_LENGTH_MAX
from jangbu.errors import JangbuError, MissingUser
from jangbu.metering.attached_tags import checked_tags, checked_text
from jangbu.metering.content import SERVICE_LENGTH_MAX

__all__ = ["Attribution", "attribute", "bind", "checked_service", "current", "required", "scope"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Begin = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who pays, for what. ``user`` is None where a block named only a service or tags; so is ``service``."""

    user: str | None = None
    service: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)


_NOBODY = Attribution()
_current: ContextVar[Attribution] = ContextVar("jangbu_attribution", default=_NOBODY)


class Attributing(AbstractContextManager[Attribution]):
    """A block of ``attribute``, and the decorator that puts each call of a function into one of its own.

    A generator, asynchronous or not, is in it during its steps, and not while its reader has the turn.
    A block is entered once: of two tasks that shared it, the end of one would be taken for the other's, and calls be
    somebody else's.
    """

    def __init__(self, begin: Callable[[], AbstractContextManager[Attribution]]) -> None:
        self._begin = begin
        self._block: AbstractContextManager[Attribution] | None = None

    def __enter__(self) -> Attribution:
        if self._block is not None:
            raise JangbuError("this block of attribute was entered before", hint="call attribute() for each block")
        self._block = self._begin()
        return self._block.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._block is not None, "a block that ends was entered"
        return self._block.__exit__(kind, error, traceback)

    def __call__(self, function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        return _inside(self._begin, function)


def attribute(
    *, user: str | None = None, service: str | None = None, tags: Mapping[str, str] | None = None
) -> Attributing:
    """Attribute the calls that are made inside. What an inner block leaves out it inherits; tags are merged.

    Raises InvalidMetadata where a name or the tags break a bound.
    """
    return Attributing(functools.partial(_attributed, user, service, tags))


@contextmanager
def _attributed(user: str | None, service: str | None, tags: Mapping[str, str] | None) -> Iterator[Attribution]:
    outer = _current.get()
    given: object = tags or {}
    merged = MappingProxyType(dict(checked_tags({**outer.tags, **given} if isinstance(given, Mapping) else given)))
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


def required(attribution: Attribution | None = None) -> Attribution:
    """Give the attribution that holds here and now, or a given one back. Raises MissingUser where it names nobody."""
    attribution = attribution or _current.get()
    if attribution.user is None:
        raise MissingUser(
            "the call names no user",
            hint="make it inside `with meter.attribute(user=...)`; another thread takes that over by `meter.bind`",
        )
    return attribution


@contextmanager
def scope(attribution: Attribution) -> Iterator[None]:
    """Let exactly this attribution hold inside, whatever held outside."""
    outer = _current.get()
    token = _current.set(attribution)
    try:
        yield
    finally:
        try:
            _current.reset(token)
        except ValueError:
            # It ends in another context than it began in: web frameworks run each step of a generator in a copy.
            if _current.get() is attribution:
                _current.set(outer)


def bind(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Give a function that runs under the attribution that holds now, whichever thread calls it.

    So does a generator function in each of its steps.
    """
    return _inside(functools.partial(scope, _current.get()), function)


def _inside(begin: Begin, function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Give a function each call of which is inside a block; of a coroutine function, until it has returned.

    It is of the function's own kind: frameworks ask for that, to await it, to read it, or to call it in a thread.
    """

    @functools.wraps(function)
    def called(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with begin():
            return function(*args, **kwargs)

    @functools.wraps(function)
    async def awaited(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        with begin():
            return await cast(Awaitable[Any], function(*args, **kwargs))

    @functools.wraps(function)
    def stepped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        return (yield from _stepped(_Steps(begin), cast(Generator[Any, Any, Any], function(*args, **kwargs))))

    if inspect.iscoroutinefunction(function):
        return cast(Callable[Parameters, Result], awaited)
    if inspect.isgeneratorfunction(function):
        return cast(Callable[Parameters, Result], stepped)
    if inspect.isasyncgenfunction(function):
        return cast(Callable[Parameters, Result], _awaited_stepped(begin, function))
    return called


class _Steps:
    """The block of one generator: entered for each step, and left before its reader goes on.

    What an inner block says stays said until the next step, as it does in a function that is not interrupted.
    """

    def __init__(self, begin: Begin) -> None:
        with begin():
            self._inside = _current.get()

    @contextmanager
    def step(self) -> Iterator[None]:
        with scope(self._inside):
            try:
                yield
            finally:
                self._inside = _current.get()


def _stepped(block: _Steps, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Hand a generator on as ``yield from`` does, with each of its steps inside its block."""
    step, given = generator.send, None
    while True:
        with block.step():
            try:
                piece = step(given)
            except StopIteration as end:
                return end.value
            finally:
                # An exception that passes through would else be kept by this frame, which it names.
                given = None
        step, given = generator.send, None
        try:
            given = yield piece
        except GeneratorExit:
            with block.step():
                generator.close()
            raise
        except BaseException as error:
            step, given = generator.throw, error


def _awaited_stepped(
    begin: Begin, function: Callable[Parameters, AsyncGenerator[Any, Any]]
) -> Callable[Parameters, AsyncGenerator[Any, Any]]:
    """Give an asynchronous generator function that hands on another's, with each of its steps inside its block."""

    @functools.wraps(function)
    async def stepped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> AsyncGenerator[Any, Any]:
        block, generator = _Steps(begin), function(*args, **kwargs)
        step: Callable[[Any], Awaitable[Any]] = functools.partial(_begun, generator)
        given: Any = None
        while True:
            with block.step():
                try:
                    piece = await step(given)
                except StopAsyncIteration:
                    return
                finally:
                    given = None
            step, given = generator.asend, None
            try:
                given = yield piece
            except GeneratorExit:
                with block.step():
                    await generator.aclose()
                raise
            except BaseException as error:
                step, given = generator.athrow, error

    return stepped


def _begun(generator: AsyncGenerator[Any, Any], given: None) -> Awaitable[Any]:
    """Make the first step of a generator that nobody closes but the one around it.

    An event loop that ends would close both at the same time: this one outside its block, and the other in vain.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(given)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def checked_service(service: str) -> str:
    """Give the service's name back. Raises InvalidMetadata where it is empty, too long or not storable."""
    checked_text("the service", service, SERVICE_LENGTH_MAX)
    return service


def _checked_user(user: str) -> str:
    if user == "":
        raise MissingUser("the user is an empty string", hint="name the user who pays")
    checked_text("the user", user, USER_LENGTH_MAX)
    return user
