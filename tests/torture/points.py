"""The named points: each step between the provider's last byte and the commit, and inside the drain.

A process that is to die at a point puts itself in the place of the functions there, in its own memory only: the
product knows nothing of it. A name that is no more is an error at once.
"""

import asyncio
import functools
import importlib
import inspect
import os
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.torture.plan import Kind
from tests.torture.words import Say

__all__ = ["POINTS", "Point", "arm", "check", "points_of"]

Moment = Literal["before", "during", "after"]
_UNDER_WAY_SECONDS = 0.0015
"""Within this time after its start a statement is under way, most of the time."""

_BOTH = (Kind.SDK, Kind.GATEWAY)


@dataclass(frozen=True, slots=True)
class Point:
    """Before, during or after any of some functions. ``counts`` tells from arguments and result whether it is one."""

    moment: Moment
    functions: Sequence[str]
    kinds: Sequence[Kind] = _BOTH
    counts: Callable[[tuple[Any, ...], Any], bool] = lambda _arguments, _result: True


def _is_settle(arguments: tuple[Any, ...], _result: Any) -> bool:
    return type(arguments[1]).__name__ == "Settle"


def _has_records(arguments: tuple[Any, ...], _result: Any) -> bool:
    return bool(arguments[1])


def _gave_records(_arguments: tuple[Any, ...], result: Any) -> bool:
    return bool(result)


_SETTLING = "jangbu.metering.meter:Metering.execute"
_FLUSH = "jangbu.storage.usage:flush"
_RECORD = "jangbu.metering.recorder:Recorder.record"
_READ = (
    "jangbu.sdk.hook:Hook.outcome",
    "jangbu.sdk.streams:StreamReading.outcome",
    "jangbu.gateway.relay:Relay._judge",
)
_END = ("jangbu.gateway.client:Client.end", "jangbu.gateway.client:Client.answer")
_HOLD = "jangbu.storage.holds:take"
_RELEASE = "jangbu.storage.holds:release"
_WRITE = "jangbu.metering.draining:Draining.write"

POINTS: Mapping[str, Point] = {
    "hold under way": Point("during", (_HOLD,)),
    "hold committed": Point("after", (_HOLD,)),
    "call leaves": Point(
        "after", ("jangbu.sdk.drivers:CallInProgress.sending", "jangbu.gateway.calls:MeteredCall.leaves")
    ),
    "answer read": Point("before", _READ),
    "answer parsed": Point("after", _READ),
    "settling begins": Point("before", (_SETTLING,), counts=_is_settle),
    "record submitted": Point("before", (_RECORD,)),
    "flush begins": Point("before", (_FLUSH,)),
    "flush under way": Point("during", (_FLUSH,)),
    "flush committed": Point("after", (_FLUSH,)),
    "record acknowledged": Point("after", (_RECORD,)),
    "hold closed": Point("after", (_SETTLING,), counts=_is_settle),
    "last byte due": Point("after", ("jangbu.sdk.drivers:CallInProgress.finish",), (Kind.SDK,)),
    "last bytes leave": Point("before", _END, (Kind.GATEWAY,)),
    "last byte released": Point("after", (*_END, "tests.torture.sdk_worker:received")),
    "release under way": Point("during", (_RELEASE,)),
    "release committed": Point("after", (_RELEASE,)),
    "spool append begins": Point("before", ("jangbu.metering.spool:Spool.append_each",)),
    "spool written": Point("after", ("jangbu.metering.spool.segment:Segment.write",)),
    "spool synced": Point("after", ("jangbu.metering.spool.segment:Segment.sync",)),
    "spool acknowledged": Point("after", ("jangbu.metering.spooling:Spooling.keep",)),
    "drain read": Point("after", ("jangbu.metering.spool:Spool.pending",), counts=_gave_records),
    "drain flush begins": Point("before", (_WRITE,), counts=_has_records),
    "drain under way": Point("during", (_WRITE,), counts=_has_records),
    "drain committed": Point("after", (_WRITE,), counts=_has_records),
    "drain noted": Point("after", ("jangbu.metering.spool:Spool.note_committed",), counts=_has_records),
}


def points_of(kind: Kind) -> Sequence[str]:
    """Give the names of the points that a kind of process passes."""
    return [name for name, point in POINTS.items() if kind in point.kinds]


def arm(name: str, passes: int, dice: random.Random, say: Say) -> None:
    """Have this process die at a point, when it passes it for the so many-th time."""
    point, left = POINTS[name], passes

    def passed(arguments: tuple[Any, ...], result: Any) -> bool:
        nonlocal left
        if not point.counts(arguments, result):
            return False
        left -= 1
        return left == 0

    def die() -> None:
        say("point", name=name)
        os.kill(os.getpid(), signal.SIGKILL)

    for function in point.functions:
        owner, attribute, original = _found(function)
        setattr(owner, attribute, _wrapped(original, point.moment, passed, die, dice))


def check() -> None:
    """Raise AttributeError or ImportError where a function that a point names is no more."""
    for point in POINTS.values():
        for function in point.functions:
            _found(function)


def _found(function: str) -> tuple[Any, str, Callable[..., Any]]:
    module, _, path = function.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, attribute = path.split(".")
    for name in outer:
        owner = getattr(owner, name)
    return owner, attribute, getattr(owner, attribute)


Passed = Callable[[tuple[Any, ...], Any], bool]


def _wrapped(
    original: Callable[..., Any], moment: Moment, passed: Passed, die: Callable[[], None], dice: random.Random
) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(original):
        return _wrapped_coroutine(original, moment, passed, die, dice)
    assert moment != "during", "only what waits is under way"

    @functools.wraps(original)
    def call(*arguments: Any, **named: Any) -> Any:
        if moment == "before" and passed(arguments, None):
            die()
        result = original(*arguments, **named)
        if moment == "after" and passed(arguments, result):
            die()
        return result

    return call


def _wrapped_coroutine(
    original: Callable[..., Any], moment: Moment, passed: Passed, die: Callable[[], None], dice: random.Random
) -> Callable[..., Any]:
    @functools.wraps(original)
    async def call(*arguments: Any, **named: Any) -> Any:
        if moment == "before" and passed(arguments, None):
            die()
        if moment == "during" and passed(arguments, None):
            working = asyncio.ensure_future(original(*arguments, **named))
            await asyncio.wait({working}, timeout=dice.uniform(0, _UNDER_WAY_SECONDS))
            die()
        result = await original(*arguments, **named)
        if moment == "after" and passed(arguments, result):
            die()
        return result

    return call
