"""What a client changes of a session's context: tools that feed back are held for from then on."""

import asyncio
import json
from typing import Any

import pytest

from jangbu.testing import FakeGemini
from tests.gateway.live import SETUP, Client, eventually, provider, reported, said, scripted, session, set_up
from tests.gateway.stage import Stage

CONTEXT = 131_072
NATIVE = {"setup": {**SETUP["setup"], "model": "models/gemini-3.8-live"}}
READING: dict[str, Any] = {"contextUpdate": {"tools": {"tools": [{"urlContext": {}}]}}}
NONE: dict[str, Any] = {"contextUpdate": {"tools": {"tools": []}}}
TOKENS = 1_000_000


async def answering(upstream: Any) -> None:
    """Answer each message that asks."""
    await set_up(upstream)
    async for message in upstream:
        if json.loads(message).get("clientContent", {}).get("turnComplete"):
            await upstream.send(json.dumps(reported(100)))


async def is_held(served: Stage, least: int, most: int) -> bool:
    """Tell whether about as much is held of lee's tokens."""
    return least <= (await served.used("lee"))[1] <= most


async def asked(client: Client) -> None:
    """Say something and hear it reported."""
    await client.send_json(said("hi"))
    assert json.loads((await client.receive()).data) == reported(100)


async def test_tools_that_an_update_brings_are_held_for_in_the_turn_that_is_open_and_those_that_follow(
    database_url: str, gemini: FakeGemini
) -> None:
    async with provider(answering) as url, scripted(database_url, gemini, url) as served:
        await served.open("lee", tokens=TOKENS)
        async with session(served, NATIVE, user="lee") as client:
            plain = (await served.used("lee"))[1]
            assert plain < CONTEXT
            await client.send_json(READING)
            await eventually(lambda: is_held(served, plain + CONTEXT, plain + CONTEXT + 3_000))
            await asked(client)
            await client.send_json(said("and now", complete=False))
            await eventually(lambda: is_held(served, plain + CONTEXT, TOKENS))
            await client.send_json(NONE)
            await client.send_json(said("and now"))
            assert json.loads((await client.receive()).data) == reported(100)
        await eventually(lambda: is_held(served, 0, 0))
        assert await served.used("lee") == (200, 0)


async def test_of_what_tools_may_feed_back_as_much_is_held_as_there_is(database_url: str, gemini: FakeGemini) -> None:
    async with provider(answering) as url, scripted(database_url, gemini, url) as served:
        await served.open("lee", tokens=20_000)
        async with session(served, NATIVE, user="lee") as client:
            await client.send_json(READING)
            await eventually(lambda: is_held(served, 20_000, 20_000))
            await client.send_json(READING)
            await asked(client)
        await eventually(lambda: is_held(served, 0, 0))
        assert await served.used("lee") == (100, 0)


@pytest.mark.parametrize("message", [NONE, {"contextUpdate": {"systemInstruction": {"parts": [{"text": "be brief"}]}}}])
async def test_an_update_without_tools_that_feed_back_holds_for_none(
    database_url: str, gemini: FakeGemini, message: dict[str, Any]
) -> None:
    async with provider(answering) as url, scripted(database_url, gemini, url) as served:
        await served.open("lee", tokens=TOKENS)
        async with session(served, NATIVE, user="lee") as client:
            before = await served.used("lee")
            await client.send_json(message)
            await asyncio.sleep(0.2)
            assert await served.used("lee") == before
