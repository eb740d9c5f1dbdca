"""However a call comes to its end, it counts as under way no longer, and what it was charged counts for its key."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest
from websockets.asyncio.server import ServerConnection

from jangbu.testing import FakeGemini
from tests.gateway import raw
from tests.gateway.book import asked as asked_database
from tests.gateway.live import (
    SETUP,
    closed,
    connected,
    eventually,
    provider,
    reported,
    scripted,
    session,
    set_up,
    spoken,
    turn,
)
from tests.gateway.live import said as says
from tests.gateway.raw import post, until, wire
from tests.gateway.stage import FLASH, Stage, asked, stage
from tests.gateway.test_limits import ANSWER, in_a_fresh_minute

CALL = f"/v1beta/models/{FLASH}:generateContent"
STREAM = f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"
BATCH = f"/v1beta/models/{FLASH}:batchGenerateContent"
BODY = json.dumps(asked())


async def under_way(served: Stage) -> int:
    """Count the calls under way, which is one number however it is counted."""
    [row] = await asked_database(
        served,
        "SELECT (SELECT count(*) FROM jangbu.key_calls) AS rows,"
        " (SELECT coalesce(sum(calls), 0) FROM jangbu.key_uses) AS counted",
    )
    assert row["rows"] == row["counted"]
    return int(row["rows"])


async def none_under_way(served: Stage) -> bool:
    """Tell whether every call that was let in has ended."""
    return await under_way(served) == 0


async def tokens_counted(served: Stage) -> int:
    """Give the tokens of this minute that were counted for keys."""
    [row] = await asked_database(served, "SELECT coalesce(sum(tokens), 0)::bigint AS tokens FROM jangbu.key_uses")
    return int(row["tokens"])


async def limited(served: Stage) -> str:
    """Give a key with every limit, none of which is reached."""
    _, secret = await served.ledger.keys.create_for_app(
        "limited", requests_per_minute=1_000, tokens_per_minute=1_000_000, concurrent_calls=100
    )
    return secret


@pytest.fixture
async def key(served: Stage) -> AsyncIterator[str]:
    """Give a limited key; whatever a test does with it, nothing is left under way."""
    yield await limited(served)
    await until(lambda: none_under_way(served))


@pytest.mark.parametrize("behaviour", ["", "503", "429", "cut", "garbage", "usage=missing"])
@pytest.mark.parametrize("path", [CALL, STREAM, BATCH])
async def test_a_call_ends_however_the_provider_answers(served: Stage, key: str, behaviour: str, path: str) -> None:
    served.gemini.next(behaviour)
    with suppress(aiohttp.ClientPayloadError):
        await served.post(path, asked(), key=key)
    assert await none_under_way(served)
    assert await tokens_counted(served) == (await served.used())[0]


@pytest.mark.parametrize(
    ("path", "body", "user", "status"),
    [
        (CALL, b"{", "kim", 400),
        (CALL, asked(), "nobody", 404),
        (CALL, {"contents": [{"parts": [{"fileData": {"fileUri": "files/another"}}]}]}, "kim", 404),
        ("/v1beta/cachedContents", {"model": "models/x", "contents": []}, "nobody", 404),
        (f"/v1beta/models/{FLASH}:countTokens", asked(), "kim", 200),
    ],
)
async def test_a_call_ends_that_is_refused_or_free(
    served: Stage, key: str, path: str, body: object, user: str, status: int
) -> None:
    assert (await served.post(path, body, key=key, user=user))[0] == status
    assert await none_under_way(served)


async def test_a_call_ends_when_its_answer_was_read_on_for_nobody(database_url: str, gemini: FakeGemini) -> None:
    may_end = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        writer.write(f"data: {json.dumps({**ANSWER, 'usageMetadata': {}})}\r\n\r\n".encode())
        await may_end.wait()
        writer.write(f"data: {json.dumps(ANSWER)}\r\n\r\n".encode())
        writer.close()

    async with raw.provider(answer) as upstream, stage(database_url, gemini, upstream_url=upstream.url) as served:
        await served.open("kim")
        key = await limited(served)
        async with wire(served.url) as client:
            await client.send(post(STREAM, BODY, key))
            await client.reader.readuntil(b"\r\n\r\n")
        assert await under_way(served) == 1, "who left is still called for"
        may_end.set()
        await until(lambda: none_under_way(served))
        assert await tokens_counted(served) == 2


@pytest.mark.parametrize("milliseconds", [0, 2, 8, 32])
@pytest.mark.parametrize("path", [CALL, STREAM, BATCH])
async def test_a_call_ends_that_the_gateway_breaks_off(
    served: Stage, key: str, gemini: FakeGemini, milliseconds: int, path: str
) -> None:
    gemini.when("delay=0.02; chunk_delay=0.02")
    async with wire(served.url) as client:
        await client.send(post(path, BODY, key))
        await asyncio.sleep(milliseconds / 1_000)
        await served.gateway.close(0)
        await until(lambda: none_under_way(served))


async def test_an_idle_session_is_one_call_until_it_ends(served: Stage, key: str) -> None:
    async with session(served, key=key) as client:
        assert await under_way(served) == 1
        await turn(client)
        assert await none_under_way(served), "the turn was reported, and none was begun"
        assert await tokens_counted(served) == (await served.used())[0]
        await client.send_json(says("more", complete=False))
        await eventually(lambda: is_one_under_way(served))


async def is_one_under_way(served: Stage) -> bool:
    """Tell whether one call counts as under way."""
    return await under_way(served) == 1


async def test_a_session_that_the_gateway_ends_leaves_nothing_under_way(served: Stage, key: str) -> None:
    async with session(served, key=key) as client:
        await client.send_json(says("hi"))
        await served.gateway.close(10)
        assert (await closed(client))[0] == 1012
    assert await none_under_way(served)
    assert await tokens_counted(served) == (await served.used())[0]


async def test_a_session_that_never_began_leaves_nothing_under_way(database_url: str, gemini: FakeGemini) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with scripted(database_url, gemini, url) as served:
        await served.open("dry", tokens=1)
        key = await limited(served)
        for user, code in (("kim", 1011), ("dry", 1008)):
            async with connected(served, key=key, user=user) as client:
                await client.send_json(SETUP)
                assert (await closed(client))[0] == code
            await until(lambda: none_under_way(served))


async def test_a_turn_that_was_refused_and_reported_all_the_same_counts(database_url: str, gemini: FakeGemini) -> None:
    async def script(upstream: ServerConnection) -> None:
        await set_up(upstream)
        await upstream.recv()
        await upstream.send(json.dumps(reported(50)))
        await upstream.send(json.dumps(spoken("unasked")))
        await upstream.send(json.dumps(reported(60)))
        await upstream.wait_closed()

    async with provider(script) as url, scripted(database_url, gemini, url) as served:
        await in_a_fresh_minute(served)
        _, key = await served.ledger.keys.create_for_app("slow", tokens_per_minute=50)
        async with session(served, key=key) as client:
            await client.send_json(says("hi"))
            assert (await closed(client))[0] == 1013
        await until(lambda: none_under_way(served))
        await eventually(lambda: is_counted(served, 110))
        assert (await served.used())[0] == 110


async def is_counted(served: Stage, tokens: int) -> bool:
    """Tell whether so many tokens were counted for keys."""
    return await tokens_counted(served) == tokens


async def test_limits_hold_where_no_statement_is_prepared(database_url: str, gemini: FakeGemini) -> None:
    may_answer, refused = asyncio.Event(), 0

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await may_answer.wait()
        writer.write(raw.said(json.dumps(ANSWER).encode(), "connection: close"))
        writer.close()

    async def call(served: Stage, key: str) -> int:
        nonlocal refused
        status, _, _ = await served.post(CALL, asked(), key=key)
        refused += status == 429
        if refused == 6:
            may_answer.set()
        return status

    async with (
        raw.provider(answer) as upstream,
        stage(database_url, gemini, prepared_statements=False, upstream_url=upstream.url) as served,
    ):
        await served.open("kim")
        _, key = await served.ledger.keys.create_for_app("narrow", concurrent_calls=2)
        async with asyncio.timeout(raw.PATIENCE_SECONDS):
            statuses = await asyncio.gather(*(call(served, key) for _ in range(8)))
        assert sorted(statuses) == [200] * 2 + [429] * 6
