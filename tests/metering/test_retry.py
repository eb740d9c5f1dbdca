"""A repetition says what is repeated."""

import asyncpg
import pytest

from jangbu.metering.retry import repeated


async def test_the_log_says_what_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    attempts = 0

    async def attempt() -> int:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise asyncpg.exceptions.SerializationError("two at once")
        return attempts

    assert await repeated("resources", attempt, seconds=30) == 4
    ours = [record.getMessage() for record in caplog.records if record.name == "jangbu"]
    assert ours == [f"resources.retried: attempt {number} is made" for number in (2, 3, 4)]
