"""A session that is resumed: by its own user alone, and held for with all that was said before."""

import json
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from jangbu.providers.gemini.limits import output_limit
from jangbu.testing import FakeGemini
from tests.gateway.live import (
    MODEL,
    SETUP,
    closed,
    connected,
    eventually,
    is_unknown,
    is_used,
    provider,
    reported,
    said,
    scripted,
    session,
    spoken,
    turn,
)
from tests.gateway.stage import Stage

HANDLE = "CiQ0Mi1oYW5kbGU/" + "x" * 600
RESUMABLE = {"sessionResumptionUpdate": {"newHandle": HANDLE, "resumable": True}}
BEFORE = 50_000
"""What the earlier session reported last, in tokens."""


def resuming(handle: str, name: str = "sessionResumption") -> dict[str, Any]:
    """Give the setup of a session that goes on from another."""
    return {"setup": {**SETUP["setup"], name: {"handle": handle}}}


class ResumableGemini:
    """Tells a handle after each turn. ``setups`` are those that came to it."""

    def __init__(self) -> None:
        self.setups: list[dict[str, Any]] = []

    async def script(self, upstream: ServerConnection) -> None:
        self.setups.append(json.loads(await upstream.recv())["setup"])
        await upstream.send('{"setupComplete": {}}')
        async for _ in upstream:
            for message in (spoken("hi"), reported(BEFORE), RESUMABLE):
                await upstream.send(json.dumps(message))


async def speak_once(served: Stage, user: str) -> None:
    """Converse for one turn, and hear the handle."""
    async with session(served, user=user) as client:
        await turn(client)
        assert json.loads((await client.receive()).data) == RESUMABLE
    await eventually(lambda: is_used(served, (BEFORE, 0), user))


async def test_the_first_turn_of_a_resumed_session_is_held_for_with_its_context(
    database_url: str, gemini: FakeGemini
) -> None:
    google = ResumableGemini()
    async with provider(google.script) as url, scripted(database_url, gemini, url) as served:
        async with session(served):
            afresh = (await served.used())[1]
        await speak_once(served, "kim")
        async with session(served, resuming(HANDLE)):
            held = (await served.used())[1]
        # The handle is part of the setup, whose bytes are held for.
        assert BEFORE <= held - afresh <= BEFORE + 1_000
    assert google.setups[-1] == resuming(HANDLE)["setup"]


async def test_who_cannot_pay_for_the_context_resumes_nothing(database_url: str, gemini: FakeGemini) -> None:
    google = ResumableGemini()
    async with provider(google.script) as url, scripted(database_url, gemini, url) as served:
        await served.open("lee", tokens=BEFORE + 20_000)
        await speak_once(served, "lee")
        async with connected(served, user="lee") as client:
            await client.send_json(resuming(HANDLE))
            code, reason = await closed(client)
        assert (code, reason.partition(":")[0]) == (1008, "INSUFFICIENT_BALANCE")
    assert len(google.setups) == 1


@pytest.mark.parametrize("name", ["sessionResumption", "session_resumption"])
@pytest.mark.parametrize("handle", [HANDLE, "of-nobody"])
async def test_a_session_is_resumed_by_its_own_user_alone(
    database_url: str, gemini: FakeGemini, name: str, handle: str
) -> None:
    google = ResumableGemini()
    async with provider(google.script) as url, scripted(database_url, gemini, url) as served:
        await served.open("eve")
        await speak_once(served, "kim")
        async with connected(served, user="eve") as client:
            await client.send_json(resuming(handle, name))
            code, reason = await closed(client)
        assert (code, reason.partition(":")[0]) == (1008, "NOT_FOUND")
        assert handle not in reason
        assert await served.used("eve") == (0, 0)
    assert len(google.setups) == 1


async def test_a_handle_that_names_nothing_begins_a_session(database_url: str, gemini: FakeGemini) -> None:
    google = ResumableGemini()
    async with provider(google.script) as url, scripted(database_url, gemini, url) as served:
        async with session(served, resuming("")):
            pass
        async with session(served, {"setup": {**SETUP["setup"], "sessionResumption": {}}}):
            pass


async def test_a_handle_that_is_told_amid_a_turn_stands_for_all_that_the_turn_may_come_to(
    database_url: str, gemini: FakeGemini
) -> None:
    async def script(upstream: ServerConnection) -> None:
        setup = json.loads(await upstream.recv())["setup"]
        await upstream.send('{"setupComplete": {}}')
        if "sessionResumption" not in setup:
            await upstream.recv()
            for message in (spoken("hi"), RESUMABLE):
                await upstream.send(json.dumps(message))
        await upstream.wait_closed()

    async with provider(script) as url, scripted(database_url, gemini, url, drain_seconds_max=0) as served:
        async with session(served) as client:
            afresh = (await served.used())[1]
            await client.send_json(said("hi"))
            for message in (spoken("hi"), RESUMABLE):
                assert json.loads((await client.receive()).data) == message
        await eventually(lambda: is_unknown(served, 1))
        _, unreported = await served.used()
        async with session(served, resuming(HANDLE)):
            held = (await served.used())[1] - unreported
        assert held - afresh > output_limit(MODEL)
