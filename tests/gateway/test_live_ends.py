"""How a session ends otherwise: by the provider, by its bounds, by the gateway that stops."""

import asyncio
import json
import socket

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from jangbu.domain.flow import Settle
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.testing import FakeGemini
from tests.gateway.live import (
    PATH,
    SETUP,
    abandon,
    closed,
    connected,
    eventually,
    is_used,
    provider,
    reported,
    said,
    scripted,
    session,
    set_up,
    spoken,
    turn,
)
from tests.gateway.stage import UPSTREAM_KEY, Stage, stage


async def test_the_provider_is_not_followed_elsewhere(database_url: str, gemini: FakeGemini) -> None:
    elsewhere: list[Request] = []

    def redirect(request: Request) -> Response:
        elsewhere.append(request)
        headers = Headers({"location": "/elsewhere", "content-length": "0", "connection": "close"})
        return Response(307, "Temporary Redirect", headers)

    async with provider(set_up, redirect) as url, scripted(database_url, gemini, url) as served:
        async with connected(served) as client:
            await client.send_json(SETUP)
            code, reason = await closed(client)
        assert code == 1011
        assert "307" in reason
        assert [request.path for request in elsewhere] == [PATH]
        assert await served.used() == (0, 0)


async def test_the_providers_words_do_not_tell_the_gateways_key(database_url: str, gemini: FakeGemini) -> None:
    async def script(upstream: ServerConnection) -> None:
        await set_up(upstream)
        await upstream.send(json.dumps({"error": {"message": f"Consumer 'api_key:{UPSTREAM_KEY}' has been suspended"}}))
        await upstream.close(1008, f"Consumer 'api_key:{UPSTREAM_KEY[:-3]}")

    async with provider(script) as url, scripted(database_url, gemini, url) as served, session(served) as client:
        told = (await client.receive()).data
        assert "suspended" in told
        assert UPSTREAM_KEY not in told
        assert await closed(client) == (1008, "Consumer 'api_key:***")


async def test_a_key_that_is_tired_is_followed_by_the_next(database_url: str, gemini: FakeGemini) -> None:
    keys: list[str] = []

    def tired(request: Request) -> Response | None:
        keys.append(request.headers["x-goog-api-key"])
        return None if len(keys) > 1 else Response(429, "Too Many Requests", Headers({"content-length": "0"}))

    async def script(upstream: ServerConnection) -> None:
        await set_up(upstream)
        await upstream.wait_closed()

    async with (
        provider(script, tired) as url,
        scripted(database_url, gemini, url, upstream_keys="one,two") as served,
        session(served),
    ):
        assert sorted(keys) == ["one", "two"]


async def test_a_provider_that_is_not_there_ends_the_session_and_costs_nothing(
    database_url: str, gemini: FakeGemini
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with scripted(database_url, gemini, url) as served:
        async with connected(served) as client:
            await client.send_json(SETUP)
            assert (await closed(client))[0] == 1011
        assert await served.used() == (0, 0)


async def test_a_silent_session_ends(database_url: str, gemini: FakeGemini) -> None:
    async with stage(database_url, gemini, live_idle_seconds_max=1) as served:
        await served.open("kim")
        async with session(served) as client:
            assert await closed(client) == (1001, "the session was silent too long")


async def test_a_session_lasts_no_longer_than_it_may(database_url: str, gemini: FakeGemini) -> None:
    async with stage(database_url, gemini, live_seconds_max=1) as served:
        await served.open("kim")
        async with session(served) as client:
            assert await closed(client) == (1001, "the session lasted as long as it may")


async def test_a_turn_that_was_settled_by_other_evidence_ends_no_session(database_url: str, gemini: FakeGemini) -> None:
    is_settled = asyncio.Event()

    async def script(upstream: ServerConnection) -> None:
        await set_up(upstream)
        for total in (100, 300):
            await upstream.recv()
            await is_settled.wait()
            await upstream.send(json.dumps(reported(total)))
        await upstream.wait_closed()

    async with provider(script) as url, scripted(database_url, gemini, url) as served:
        async with session(served) as client:
            await client.send_json(said("hi"))
            ledger = served.ledger
            [hold] = await ledger.holds.page(ledger.accounts.id_of("kim"), ["open"], 10)
            evidence = Usage(Surface.LIVE, Counts(prompt=49, candidates=1, total=50), Source.REPORTED)
            await ledger.execute(Settle(await ledger.holds.call_of(hold.id), evidence))
            is_settled.set()
            assert json.loads((await client.receive()).data) == reported(100)
            assert await turn(client) == 300
        await eventually(lambda: is_used(served, (350, 0)))


async def test_a_gateway_that_stops_tells_its_clients_and_records_the_open_turn(served: Stage) -> None:
    served.gemini.next("chunk_delay=0.1; prompt=70; candidates=30")
    async with session(served) as client, session(served) as idle:
        await client.send_json(said("hi"))
        await client.receive()
        async with asyncio.TaskGroup() as both:
            both.create_task(served.gateway.close(10))
            ends = [both.create_task(closed(each)) for each in (client, idle)]
        assert [end.result()[0] for end in ends] == [1012, 1012]
        assert await served.used() == (100, 0)


async def test_a_client_that_takes_nothing_stops_the_provider(database_url: str, gemini: FakeGemini) -> None:
    sent = 0

    async def script(upstream: ServerConnection) -> None:
        nonlocal sent
        await set_up(upstream)
        for _ in range(400):
            await upstream.send(json.dumps(spoken("x" * 500_000)))
            sent += 1
        await upstream.wait_closed()

    async with (
        provider(script) as url,
        scripted(database_url, gemini, url, drain_seconds_max=0) as served,
        session(served) as client,
    ):
        await asyncio.sleep(2)
        assert sent < 100, "what nobody takes waits at the provider"
        abandon(client)
