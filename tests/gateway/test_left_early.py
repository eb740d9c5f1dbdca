"""Clients that leave before their answer has begun: it is waited for within the bounds of one that had begun."""

import asyncio
import json
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import pytest

from jangbu import telemetry
from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call
from jangbu.gateway.calls import MeteredCall
from jangbu.gateway.client import Client
from jangbu.gateway.drains import Drains, Reading
from jangbu.gateway.upstream import UpstreamFailure
from jangbu.testing import FakeGemini
from tests.gateway.book import asked as query
from tests.gateway.book import holds
from tests.gateway.raw import PATIENCE_SECONDS, none_open, post, provider, said, until, wire
from tests.gateway.stage import FLASH, Stage, asked, stage
from tests.gateway.test_limits import ANSWER, is_under_way

CALL = f"/v1beta/models/{FLASH}:generateContent"
STREAM = f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"
BODY = json.dumps(asked(maxOutputTokens=1_000))
TOTAL = 2
"""What ANSWER reports."""
WAITED_NO_LONGER = "the client left, and the answer was waited for no longer"


async def reasons(served: Stage) -> list[str]:
    """Give why calls have an unknown outcome."""
    return [row["reason"] for row in await query(served, "SELECT reason FROM jangbu.holds WHERE state = 'unknown'")]


@contextmanager
def drains_seen() -> Iterator[list[int]]:
    """Note how many answers are read on for nobody, each time that it changes."""
    seen: list[int] = []
    end = telemetry.subscribe(lambda _, facts: seen.append(facts["under_way"]), "gateway.drains")
    try:
        yield seen
    finally:
        end()


class Silent:
    """A provider that answers nothing until it is let, and tells when who asked has gone."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked = 0
        self.left = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Wait with the answer, or until nobody wants it."""
        self.asked += 1
        gone = asyncio.create_task(reader.read(1))
        may = asyncio.create_task(self.may_answer.wait())
        await asyncio.wait((gone, may), return_when=asyncio.FIRST_COMPLETED)
        if not may.done():
            self.left += 1
        else:
            writer.write(said(json.dumps(ANSWER).encode(), "connection: close"))
        gone.cancel()
        may.cancel()
        writer.close()

    async def was_left(self) -> bool:
        """Tell whether somebody who asked has gone."""
        return self.left > 0

    def was_asked(self, times: int) -> Callable[[], Any]:
        """Tell whether so many calls have come."""

        async def true() -> bool:
            return self.asked == times

        return true


@pytest.mark.parametrize("path", [CALL, STREAM])
async def test_an_answer_that_did_not_begin_is_waited_for_as_long_as_one_that_did_is_read(
    database_url: str, gemini: FakeGemini, path: str
) -> None:
    silent = Silent()
    async with (
        provider(silent.converse) as upstream,
        stage(database_url, gemini, upstream_url=upstream.url, drain_seconds_max=1) as served,
    ):
        await served.open("kim")
        _, narrow = await served.ledger.keys.create_for_app("narrow", concurrent_calls=1)
        with drains_seen() as seen:
            async with wire(served.url) as client:
                await client.send(post(path, BODY, narrow))
                await until(silent.was_asked(1))
            await until(lambda: is_under_way(served, 0), seconds=PATIENCE_SECONDS / 6)
            assert seen == [1, 0]
        assert silent.left == 1
        # Nobody knows what came of it, so it stays held; the key may make its next call.
        assert await reasons(served) == [WAITED_NO_LONGER]
        used, held = await served.used()
        assert used == 0
        assert held > 1_000
        silent.may_answer.set()
        assert (await served.post(CALL, asked(), key=narrow))[0] == 200


@pytest.mark.parametrize(
    ("most", "users", "whole"),
    [
        pytest.param(2, ("kim", "lee", "park") * 2, 2, id="in all"),
        pytest.param(8, ("kim",) * 6, 2, id="a quarter of them for one user"),
    ],
)
async def test_only_so_many_answers_are_waited_for_at_once(
    database_url: str, gemini: FakeGemini, most: int, users: tuple[str, ...], whole: int
) -> None:
    silent = Silent()
    async with (
        provider(silent.converse) as upstream,
        stage(database_url, gemini, upstream_url=upstream.url, drains_max=most) as served,
    ):
        for user in set(users):
            await served.open(user)
        with drains_seen() as seen:
            async with AsyncExitStack() as clients:
                for user in users:
                    client = await clients.enter_async_context(wire(served.url))
                    await client.send(post(CALL, BODY, served.key, user=user))
                await until(silent.was_asked(len(users)))
            await until(lambda: are_given_up(served, len(users) - whole))
            silent.may_answer.set()
            await until(lambda: none_open(served.ledger))
            await until(lambda: nobody_waits(seen))
        assert max(seen) == whole
        assert silent.left == len(users) - whole
        assert await reasons(served) == [WAITED_NO_LONGER] * (len(users) - whole)
        charged = sum([(await served.used(user))[0] for user in set(users)])
        assert charged == whole * TOTAL


async def are_given_up(served: Stage, calls: int) -> bool:
    """Tell whether so many calls have an unknown outcome."""
    return len(await reasons(served)) == calls


async def nobody_waits(seen: list[int]) -> bool:
    """Tell whether no answer is read on for nobody."""
    return seen[-1] == 0


async def test_the_time_goes_on_when_the_answer_begins(database_url: str, gemini: FakeGemini) -> None:
    """What came until then is charged."""
    gemini.when("delay=1; chunks=60; chunk_delay=0.1; prompt=100; candidates=6000")
    async with stage(database_url, gemini, drain_seconds_max=2) as served:
        await served.open("kim")
        with drains_seen() as seen:
            async with wire(served.url) as client:
                await client.send(post(STREAM, json.dumps(asked()), served.key))
                await until(lambda: someone_asks(gemini))
            await until(lambda: none_open(served.ledger), seconds=5)
            assert seen == [1, 0]
        used, held = await served.used()
        assert 100 < used < 100 + 6_000 / 2
        assert held == 0


async def someone_asks(gemini: FakeGemini) -> bool:
    """Tell whether a call has come."""
    return bool(gemini.requests())


async def test_what_is_free_is_waited_for_only_while_its_client_is_there(database_url: str, gemini: FakeGemini) -> None:
    silent = Silent()
    async with provider(silent.converse) as upstream, stage(database_url, gemini, upstream_url=upstream.url) as served:
        await served.open("kim")
        with drains_seen() as seen:
            async with wire(served.url) as client:
                await client.send(post(f"/v1beta/models/{FLASH}:countTokens", json.dumps(asked()), served.key))
                await until(silent.was_asked(1))
            await until(silent.was_left, seconds=PATIENCE_SECONDS / 6)
        assert seen == []


async def test_a_call_that_had_not_left_yet_when_its_client_did_costs_nothing(served: Stage) -> None:
    bounds = Bounds(10, 100, output_chosen=True)
    call = MeteredCall(served.ledger, Call(new_id(served.ledger.clock), "kim", "text_generation", FLASH, bounds))
    with pytest.raises(UpstreamFailure, match=WAITED_NO_LONGER):
        await left(call)
    assert await holds(served) == ["released"]


async def left(call: MeteredCall) -> None:
    """Have the client of a call leave that is never made."""
    client = Client(nowhere, seconds=1)
    async with call.held(nothing), Reading(client, never, Drains(0, seconds=60), "kim") as reading:
        asyncio.get_running_loop().call_later(0.1, client.leave)
        await reading.begun(never())


async def nothing() -> None:
    """Count nothing."""


async def never() -> Any:
    """Wait in vain."""
    await asyncio.Event().wait()


async def nowhere(_message: MutableMapping[str, Any]) -> None:
    """Send to nobody."""
    raise OSError


async def test_a_client_that_is_given_up_after_its_answer_was_read_takes_no_place_of_others() -> None:
    client, drains = Client(nowhere, seconds=1), Drains(4, seconds=60)
    async with Reading(client, never, drains, "kim"):
        pass
    await client.answer(200, b"{}")
    assert client.is_gone
    assert drains.under_way == 0
