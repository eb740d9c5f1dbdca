"""What a function gives, and what interrupts the model: answered in the turn that is open, or in one of its own."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.server import ServerConnection

from jangbu.testing import FakeGemini
from tests.gateway.live import (
    Script,
    abandon,
    closed,
    eventually,
    is_used,
    provider,
    reported,
    said,
    scripted,
    session,
    set_up,
    spoken,
    unknown,
)
from tests.gateway.stage import Stage

CALL = {"toolCall": {"functionCalls": [{"id": "1", "name": "weather", "args": {}}]}}
GIVEN = {"toolResponse": {"functionResponses": [{"id": "1", "name": "weather", "response": {"sun": True}}]}}
SILENT = {"toolResponse": {"functionResponses": [{"id": "1", "name": "weather", "scheduling": "SILENT"}]}}
INTERRUPTED = {"serverContent": {"interrupted": True}}
HEAR: dict[str, Any] = {}
"""Where a script hears a message instead of saying one."""


def script(*messages: dict[str, Any]) -> Script:
    """Give a provider that says these messages."""

    async def play(upstream: ServerConnection) -> None:
        await set_up(upstream)
        for message in messages:
            if message is HEAR:
                await upstream.recv()
            else:
                await upstream.send(json.dumps(message))
        await upstream.wait_closed()

    return play


async def hear(client: aiohttp.ClientWebSocketResponse, *messages: dict[str, Any]) -> None:
    """Require that these messages come next."""
    for message in messages:
        assert json.loads((await client.receive()).data) == message


async def is_held(served: Stage, used: int) -> bool:
    """Tell whether kim has used so many tokens, and more is held."""
    found, held = await served.used()
    return found == used and held > 0


@pytest.mark.parametrize(
    ("given", "answer"),
    [(GIVEN, [spoken("sunny"), reported(100)]), (GIVEN, [CALL, reported(100)]), (SILENT, [reported(100)])],
)
async def test_what_is_answered_in_the_turn_that_called_asks_for_no_other(
    database_url: str, gemini: FakeGemini, given: dict[str, Any], answer: list[dict[str, Any]]
) -> None:
    play = script(HEAR, CALL, HEAR, *answer)
    async with provider(play) as url, scripted(database_url, gemini, url, drain_seconds_max=600) as served:
        async with session(served) as client:
            await client.send_json(said("hi"))
            await hear(client, CALL)
            await client.send_json(given)
            await hear(client, *answer)
            assert await served.used() == (100, 0)
        await served.gateway.close(10)
        assert (await served.used(), await unknown(served)) == ((100, 0), 0)


async def test_what_is_answered_in_the_next_turn_is_held_for_and_read_on_when_its_client_leaves(
    database_url: str, gemini: FakeGemini
) -> None:
    has_left = asyncio.Event()

    async def play(upstream: ServerConnection) -> None:
        await set_up(upstream)
        await upstream.recv()
        await upstream.send(json.dumps(CALL))
        await upstream.recv()
        await upstream.send(json.dumps(reported(30)))
        await has_left.wait()
        for message in (spoken("sunny"), reported(100)):
            await upstream.send(json.dumps(message))
        await upstream.wait_closed()

    async with provider(play) as url, scripted(database_url, gemini, url) as served, session(served) as client:
        await client.send_json(said("hi"))
        await hear(client, CALL)
        await client.send_json(GIVEN)
        await hear(client, reported(30))
        await eventually(lambda: is_held(served, 30))
        abandon(client)
        has_left.set()
        await eventually(lambda: is_used(served, (130, 0)))
        assert await unknown(served) == 0


async def test_a_next_turn_that_cannot_be_paid_for_ends_the_session_after_the_report(
    database_url: str, gemini: FakeGemini
) -> None:
    play = script(HEAR, CALL, HEAR, reported(9_000), spoken("secret"), reported(9_500))
    async with provider(play) as url, scripted(database_url, gemini, url) as served:
        await served.open("lee", tokens=10_000)
        async with session(served, user="lee") as client:
            await client.send_json(said("hi"))
            await hear(client, CALL)
            await client.send_json(GIVEN)
            await hear(client, reported(9_000))
            code, reason = await closed(client)
        assert (code, reason.partition(":")[0]) == (1008, "INSUFFICIENT_BALANCE")
        await eventually(lambda: is_used(served, (18_500, 0), "lee"))


async def test_one_report_may_stand_for_the_turn_that_was_interrupted_and_for_the_one_that_followed(
    database_url: str, gemini: FakeGemini
) -> None:
    heard = [INTERRUPTED, spoken("two"), reported(100)]
    play = script(HEAR, spoken("one"), HEAR, *heard)
    async with provider(play) as url, scripted(database_url, gemini, url) as served, session(served) as client:
        await client.send_json(said("hi"))
        await hear(client, spoken("one"))
        await client.send_json(said("no, wait"))
        await hear(client, *heard)
        assert await served.used() == (100, 0)


async def test_who_interrupts_is_owed_a_turn_where_the_one_before_was_reported(
    database_url: str, gemini: FakeGemini
) -> None:
    first = [spoken("still one"), INTERRUPTED, reported(40)]
    second = [spoken("two"), reported(60)]
    play = script(HEAR, spoken("one"), HEAR, *first, HEAR, *second)
    async with provider(play) as url, scripted(database_url, gemini, url) as served, session(served) as client:
        await client.send_json(said("hi"))
        await hear(client, spoken("one"))
        await client.send_json(said("no, wait"))
        await hear(client, *first)
        await eventually(lambda: is_held(served, 40))
        await client.send_json(said("and now", complete=False))
        await hear(client, *second)
        assert await served.used() == (100, 0)
