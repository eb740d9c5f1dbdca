"""What is bounded in time: it hardly ever waits, and then for so long only."""

import asyncio
from typing import Any

import pytest

from jangbu.gateway.in_time import in_time

LONG = 60


class Work:
    """Waits as often as it is told to, each time until it is let go on, and notes how it ended."""

    def __init__(self, waits: int = 0, error: Exception | None = None) -> None:
        self.opened = [asyncio.Event() for _ in range(waits)]
        self.begun = asyncio.Event()
        self.ended_by: str | None = None
        self._error = error

    async def do(self) -> str:
        self.begun.set()
        try:
            for each in self.opened:
                await each.wait()
            if self._error is not None:
                raise self._error
        except BaseException as error:
            self.ended_by = type(error).__name__
            raise
        return "done"

    def open(self) -> None:
        for each in self.opened:
            each.set()


async def test_what_does_not_wait_is_done_at_once_and_without_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[object] = []
    loop = asyncio.get_running_loop()
    call_at = loop.call_at

    def counted(*given: Any, **named: Any) -> asyncio.TimerHandle:
        timers.append(given)
        return call_at(*given, **named)

    monkeypatch.setattr(loop, "call_at", counted)
    turned = False

    def turn() -> None:
        nonlocal turned
        turned = True

    loop.call_soon(turn)
    assert await in_time(Work().do(), LONG) == "done"
    assert not turned
    assert timers == []


@pytest.mark.parametrize("waits", [1, 3])
async def test_what_waits_is_waited_for(waits: int) -> None:
    work = Work(waits)
    waiting = asyncio.ensure_future(in_time(work.do(), LONG))
    await work.begun.wait()
    for each in work.opened:
        await asyncio.sleep(0)
        assert not waiting.done()
        each.set()
    assert await waiting == "done"


@pytest.mark.parametrize("waits", [1, 3])
async def test_what_takes_too_long_is_ended(waits: int) -> None:
    work = Work(waits)
    for each in work.opened[:-1]:
        each.set()
    with pytest.raises(TimeoutError):
        await in_time(work.do(), 0.01)
    assert work.ended_by == "CancelledError"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_the_time_is_over_for_what_should_have_ended_before() -> None:
    with pytest.raises(TimeoutError):
        await in_time(Work(1).do(), -1)


@pytest.mark.parametrize("waits", [0, 1, 3])
async def test_errors_pass(waits: int) -> None:
    work = Work(waits, ValueError("its own"))
    asyncio.get_running_loop().call_soon(work.open)
    with pytest.raises(ValueError, match="its own"):
        await in_time(work.do(), LONG)
    assert work.ended_by == "ValueError"


@pytest.mark.parametrize("waits", [1, 3])
async def test_who_is_cancelled_ends_the_work(waits: int) -> None:
    work = Work(waits)
    for each in work.opened[:-1]:
        each.set()
    waiting = asyncio.ensure_future(in_time(work.do(), LONG))
    await work.begun.wait()
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.ended_by == "CancelledError"


async def test_work_that_holds_on_to_its_end_may_give_a_result() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "done all the same"

    waiting = asyncio.ensure_future(in_time(stubborn(), LONG))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await waiting == "done all the same"


async def test_a_future_is_waited_for_as_well() -> None:
    loop = asyncio.get_running_loop()
    made: asyncio.Future[str] = loop.create_future()
    loop.call_later(0.01, made.set_result, "done")
    assert await in_time(made, LONG) == "done"
    with pytest.raises(TimeoutError):
        await in_time(loop.create_future(), 0.01)
