"""Tools that Google runs feed back what no request tells: while the balance is small, such calls come one at a time."""

import asyncio
import json
from typing import Any

import pytest

from jangbu.testing import Behaviour, FakeGemini, Recorded
from tests.gateway.raw import Provider, provider, said, until
from tests.gateway.stage import FLASH, Stage, asked, stage

CALL = f"/v1beta/models/{FLASH}:generateContent"
BALANCE = 20_000
READING: dict[str, Any] = {**asked("read the page", maxOutputTokens=10), "tools": [{"urlContext": {}}]}
SEARCHING: dict[str, Any] = {**asked("look it up", maxOutputTokens=10), "tools": [{"googleSearch": {}}]}


def fed_back(tokens: int) -> bytes:
    """Give an answer with as many tokens fed back by tools."""
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 7, "toolUsePromptTokenCount": tokens}
    answer = {
        "candidates": [{"content": {"parts": [{"text": "read"}]}, "finishReason": "STOP"}],
        "usageMetadata": {**usage, "totalTokenCount": tokens + 12},
    }
    return json.dumps(answer).encode()


async def statuses(served: Stage, body: dict[str, Any], times: int) -> list[int]:
    """Make so many calls at once."""
    made = await asyncio.gather(*(served.post(CALL, body) for _ in range(times)))
    return [status for status, _, _ in made]


@pytest.mark.parametrize(("tokens", "left"), [(1_000, BALANCE - 1_012), (900_000, BALANCE - 900_012)])
async def test_of_calls_that_read_what_they_like_one_has_all_that_is_left(
    database_url: str, gemini: FakeGemini, tokens: int, left: int
) -> None:
    may_answer = asyncio.Event()

    async def reading(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b":countTokens" in up.heads[-1]:
            writer.write(said(b'{"totalTokens": 5}'))
        else:
            await may_answer.wait()
            writer.write(said(fed_back(tokens)))
        await writer.drain()
        writer.close()

    async with provider(reading) as up, stage(database_url, gemini, upstream_url=up.url) as served:
        await served.open("kim", BALANCE)
        first = asyncio.create_task(served.post(CALL, READING))
        await until(lambda: came(up))
        assert await statuses(served, READING, 15) == [402] * 15
        may_answer.set()
        status, answer, _ = await first
        assert status == 200, answer
        balance = await served.ledger.accounts.balance("kim")
        assert (balance.available, balance.held) == (left, 0)


async def came(up: Provider) -> bool:
    """Tell whether a call has come."""
    return bool(up.heads)


async def test_who_has_enough_for_several_searches_makes_several_at_once(served: Stage) -> None:
    await served.open("lee", 100_000)
    served.gemini.when(Behaviour(delay=0.3, recorded=Recorded(fed_back(1_500))))
    made = await asyncio.gather(*(served.post(CALL, SEARCHING, user="lee") for _ in range(6)))
    assert [status for status, _, _ in made] == [200] * 6


async def test_a_cache_brings_no_tool_along_that_reads_what_it_likes(served: Stage) -> None:
    body = {"model": f"models/{FLASH}", **asked("long " * 5_000)}
    for tool, expected in (("codeExecution", 400), ("googleSearch", 200)):
        status, _, _ = await served.post("/v1beta/cachedContents", {**body, "tools": [{tool: {}}]})
        assert status == expected
