"""Tools that Google runs feed back what no request tells: while the balance is small, such calls come one at a time."""

import asyncio
import json
from typing import Any

import pytest

from jangbu.testing import Behaviour, Recorded
from tests.gateway.stage import FLASH, Stage, asked

CALL = f"/v1beta/models/{FLASH}:generateContent"
BALANCE = 20_000
READING: dict[str, Any] = {**asked("read the page", maxOutputTokens=10), "tools": [{"urlContext": {}}]}
SEARCHING: dict[str, Any] = {**asked("look it up", maxOutputTokens=10), "tools": [{"googleSearch": {}}]}


def fed_back(tokens: int) -> Behaviour:
    """Answer with as many tokens fed back by tools, after a moment."""
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 7, "toolUsePromptTokenCount": tokens}
    answer = {
        "candidates": [{"content": {"parts": [{"text": "read"}]}, "finishReason": "STOP"}],
        "usageMetadata": {**usage, "totalTokenCount": tokens + 12},
    }
    return Behaviour(delay=0.3, recorded=Recorded(json.dumps(answer).encode()))


async def answers(served: Stage, user: str, body: dict[str, Any], times: int) -> list[int]:
    """Make so many calls at once; give their statuses, in order of size."""
    made = await asyncio.gather(*(served.post(CALL, body, user=user) for _ in range(times)))
    return sorted(status for status, _, _ in made)


@pytest.mark.parametrize(("tokens", "left"), [(1_000, BALANCE - 1_012), (900_000, BALANCE - 900_012)])
async def test_of_calls_that_read_what_they_like_one_has_all_that_is_left(
    served: Stage, tokens: int, left: int
) -> None:
    await served.open("lee", BALANCE)
    served.gemini.when(fed_back(tokens))
    assert await answers(served, "lee", READING, 16) == [200, *[402] * 15]
    balance = await served.ledger.accounts.balance("lee")
    assert (balance.available, balance.held) == (left, 0)


async def test_who_has_enough_for_several_searches_makes_several_at_once(served: Stage) -> None:
    await served.open("lee", 100_000)
    served.gemini.when(fed_back(1_500))
    assert (await answers(served, "lee", SEARCHING, 7)).count(200) >= 6


async def test_a_cache_brings_no_tool_along_that_reads_what_it_likes(served: Stage) -> None:
    body = {"model": f"models/{FLASH}", **asked("long " * 5_000)}
    for tool, expected in (("codeExecution", 400), ("googleSearch", 200)):
        status, _, _ = await served.post("/v1beta/cachedContents", {**body, "tools": [{tool: {}}]})
        assert status == expected
