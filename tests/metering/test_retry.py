"""A repetition says what is repeated."""

import asyncio

import asyncpg
import pytest

from jangbu.metering.retry import repeated


async def test_the_log_says_what_is_tried_again_and_why(caplog: pytest.LogCaptureFixture) -> None:
    attempts = 0
    causes = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

    async def attempt() -> int:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise causes[attempts - 1]("two at once")
        return attempts

    assert await repeated("resources", attempt, seconds=30) == 4
    ours = [record.getMessage() for record in caplog.records if record.name == "jangbu"]
    assert ours == [
        f"resources.retried: attempt {number} is made after {cause.__name__}" for number, cause in enumerate(causes, 2)
    ]


async def test_who_was_cancelled_and_goes_on_is_told_of_the_time_and_of_being_cancelled_again() -> None:
    begun = asyncio.Event()

    async def go_on(seconds: float) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            begun.set()
        try:
            return await repeated("meter", lambda: asyncio.sleep(60, "in time"), seconds=seconds)
        except TimeoutError:
            return "too late"

    async def cancelled_once(seconds: float) -> "asyncio.Task[str]":
        begun.clear()
        task = asyncio.create_task(go_on(seconds))
        await asyncio.sleep(0)
        task.cancel()
        await begun.wait()
        return task

    assert await (await cancelled_once(0.05)) == "too late"
    again = await cancelled_once(60)
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again
