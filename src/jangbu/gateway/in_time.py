"""A bound on how long something may take that hardly ever waits, like passing a piece of an answer on to a client."""

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

__all__ = ["InTime"]

Result = TypeVar("Result")


class InTime(Generic[Result]):
    """Awaits ``work``, no longer than ``seconds`` from when it first waits; raises TimeoutError then.

    What is done without waiting is not bounded, and costs no timer: one for every piece of a stream cost 6% more of a
    processor.
    """

    __slots__ = ("_seconds", "_work")

    def __init__(self, work: Awaitable[Result], seconds: float) -> None:
        self._work = work
        self._seconds = seconds

    def __await__(self) -> Generator[Any, Any, Result]:
        steps = self._work.__await__()
        try:
            waited_for = next(steps)
        except StopIteration as ended:
            result: Result = ended.value
            return result
        return (yield from self._rest(steps, waited_for).__await__())

    async def _rest(self, steps: Generator[Any, Any, Result], waited_for: Any) -> Result:
        async with asyncio.timeout(self._seconds):
            return await _Begun(steps, waited_for)


class _Begun(Generic[Result]):
    """Awaits what is left of work that waits for something already."""

    __slots__ = ("_steps", "_waited_for")

    def __init__(self, steps: Generator[Any, Any, Result], waited_for: Any) -> None:
        self._steps = steps
        self._waited_for = waited_for

    def __await__(self) -> Generator[Any, Any, Result]:
        try:
            yield self._waited_for
        except BaseException as error:
            try:
                self._waited_for = self._steps.throw(error)
            except StopIteration as ended:
                result: Result = ended.value
                return result
            return (yield from self.__await__())
        return (yield from self._steps)
