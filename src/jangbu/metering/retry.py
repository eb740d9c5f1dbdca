"""Repeating a statement that may succeed the next time: serialisation, deadlock, restart, ambiguous commit.

Every writing statement of Jangbu is harmless to repeat, so an ambiguous commit is simply sent again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import stamina

from jangbu import telemetry
from jangbu.storage.failures import is_transient, is_unreachable

Result = TypeVar("Result")

_WAIT_FIRST_SECONDS = 0.02
_WAIT_MOST_SECONDS = 1.0


async def repeated(what: str, attempt: Callable[[], Awaitable[Result]], *, seconds: float) -> Result:
    """Run ``attempt`` until it succeeds, fails for good, or ``seconds`` are over; the last error passes through."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    # Nearly every attempt is the only one, and setting up a retry costs more than it does.
    try:
        return await _until(deadline, attempt)
    except Exception as error:
        if not is_transient(error) or loop.time() + _WAIT_FIRST_SECONDS >= deadline:
            raise
        cause = type(error).__name__
    await asyncio.sleep(_WAIT_FIRST_SECONDS)
    return await _repeated(what, attempt, deadline, is_transient, cause)


async def repeated_while_reachable(what: str, attempt: Callable[[], Awaitable[Result]], *, seconds: int) -> Result:
    """Run ``attempt`` as ``repeated`` does, but no longer than the database can be reached.

    A connection that was lost is tried again once: a server that is there takes the next one. Whoever calls this sees
    to it that the time ends.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        return await attempt()
    except Exception as error:
        if not is_transient(error):
            raise
        cause = type(error).__name__
    await asyncio.sleep(_WAIT_FIRST_SECONDS)
    return await _repeated(
        what, attempt, deadline, lambda error: is_transient(error) and not is_unreachable(error), cause
    )


async def has_ended(task: asyncio.Future[Any], *, seconds: float) -> bool:
    """Wait for a task, but no longer than so many seconds, and leave it as it is; tell whether it has ended.

    For each flush this is done once, and ``asyncio.wait`` takes twice as long for it.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_task: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_later(seconds, wake)
    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        timer.cancel()
        task.remove_done_callback(wake)
    return task.done()


async def _until(deadline: float, attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Wait for an attempt until a moment of the loop's clock, and raise TimeoutError then.

    That holds also in a task that was cancelled and goes on, to write down what it must: up to Python 3.11.3
    ``asyncio.timeout_at`` raises CancelledError there (https://github.com/python/cpython/issues/102780).
    """
    task = asyncio.current_task()
    assert task is not None, "coroutines run in tasks"
    cancelled, limit = task.cancelling(), asyncio.timeout_at(deadline)
    try:
        async with limit:
            return await attempt()
    except asyncio.CancelledError:
        if limit.expired() and task.cancelling() <= cancelled:
            raise TimeoutError from None
        raise


async def _repeated(
    what: str,
    attempt: Callable[[], Awaitable[Result]],
    deadline: float,
    repeats_on: Callable[[Exception], bool],
    cause: str,
) -> Result:
    """Go on with what failed once. ``cause`` is the kind of error that it failed of: the log tells it each time."""
    loop = asyncio.get_running_loop()
    # The deadline is one of the loop's clock, which need not be the one that the retries are timed by.
    retries = stamina.retry_context(
        on=lambda error: repeats_on(error) and loop.time() < deadline,
        attempts=None,
        timeout=None,
        wait_initial=_WAIT_FIRST_SECONDS,
        wait_max=_WAIT_MOST_SECONDS,
    )
    async for each in retries:
        with each:
            number = each.num + 1
            telemetry.warn(f"{what}.retried", f"attempt {number} is made after {cause}", attempt=number)
            try:
                return await _until(deadline, attempt)
            except Exception as error:
                cause = type(error).__name__
                raise
    raise AssertionError("a retry context gives a result or raises")
