"""Clients that are slow, or leave: nothing piles up for them, and what they called for is charged all the same."""

import asyncio
import json
from pathlib import Path

import aiohttp

from jangbu.metering.meter import Metering
from jangbu.testing import FakeGemini
from tests.gateway.raw import none_open, open_holds, post, provider, running, said, until, wire
from tests.gateway.stage import FLASH, Stage, asked, stage

CALL = f"/v1beta/models/{FLASH}:generateContent"
STREAM = f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"
MEGABYTE = 1_000_000
TOTAL = 1_300


def image(size: int) -> bytes:
    """Write an answer with an image of so many bytes."""
    head = b'{"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "'
    tail = b'"}}]}}], "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 1290, "totalTokenCount": 1300}}'
    return head + b"A" * size + tail


async def some_open(ledger: Metering) -> bool:
    """Tell whether a call is under way."""
    return await open_holds(ledger) != []


async def test_an_answer_that_nobody_reads_takes_no_memory_and_is_given_up(database_url: str, tmp_path: Path) -> None:
    async with (
        provider(said(image(50 * MEGABYTE))) as up,
        running(database_url, up.url, tmp_path, client_seconds_max=2) as served,
        wire(served.url, receive_buffer=4_096) as client,
    ):
        served.service.forget_most()
        before = served.service.resident
        await client.send(post(CALL, json.dumps(asked()), served.key))
        await until(lambda: some_open(served.ledger))
        await until(lambda: none_open(served.ledger))
        assert await served.used() == (TOTAL, 0)
        assert served.service.resident_most - before < 10 * MEGABYTE
        assert len(await client.until_closed()) < 10 * MEGABYTE


async def test_64_images_at_once_pass_through_little_memory_which_is_given_back(
    database_url: str, tmp_path: Path
) -> None:
    answer = image(2 * MEGABYTE)
    async with provider(said(answer)) as up, running(database_url, up.url, tmp_path) as served:
        headers = {"x-goog-api-key": served.key, "x-jangbu-user": "kim"}
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

            async def fetch() -> bytes:
                async with http.post(served.url + CALL, json=asked(), headers=headers) as response:
                    return await response.read()

            await fetch()
            served.service.forget_most()
            before = served.service.resident
            assert set(await asyncio.gather(*(fetch() for _ in range(64)))) == {answer}
        assert served.service.resident_most < 120 * 2**20
        assert served.service.resident < before + 16 * MEGABYTE
        assert await served.used() == (65 * TOTAL, 0)


async def test_a_client_that_leaves_mid_stream_is_charged_for_the_whole_of_it(
    served: Stage, gemini: FakeGemini
) -> None:
    gemini.when("chunks=10; chunk_delay=0.03; prompt=100; candidates=900")
    async with wire(served.url) as client:
        await client.send(post(STREAM, json.dumps(asked()), served.key))
        await client.reader.readuntil(b"data:")
    [logged] = gemini.wait_for_answers(1)
    assert logged.completely_sent
    assert logged.counted is not None
    await until(lambda: none_open(served.ledger))
    assert await served.used() == (logged.counted["totalTokenCount"], 0)


async def test_a_stream_without_a_client_is_read_on_for_a_bounded_time(database_url: str, gemini: FakeGemini) -> None:
    gemini.when("chunks=40; chunk_delay=0.1; prompt=100; candidates=4000")
    async with stage(database_url, gemini, drain_seconds_max=1) as served:
        await served.open("kim")
        async with wire(served.url) as client:
            await client.send(post(STREAM, json.dumps(asked()), served.key))
            await client.reader.readuntil(b"data:")
        await until(lambda: none_open(served.ledger))
        used, held = await served.used()
        assert 100 < used < 4_100, "what was reported until then is charged"
        assert held == 0


async def test_only_so_many_streams_are_read_on_at_once(database_url: str, gemini: FakeGemini) -> None:
    gemini.when("chunks=10; chunk_delay=0.1; prompt=100; candidates=900")
    async with stage(database_url, gemini, drains_max=2) as served:
        await served.open("kim", tokens=10_000_000)
        for _ in range(6):
            async with wire(served.url) as client:
                await client.send(post(STREAM, json.dumps(asked(maxOutputTokens=1_000)), served.key))
                await client.reader.readuntil(b"data:")
        await until(lambda: none_open(served.ledger))
        whole = [answer for answer in gemini.wait_for_answers(6) if answer.completely_sent]
        assert len(whole) == 2
        used, held = await served.used()
        assert 2 * 1_000 < used < 6 * 1_000
        assert held == 0


async def test_a_stream_that_reported_nothing_before_it_was_given_up_has_an_unknown_outcome(
    database_url: str, gemini: FakeGemini
) -> None:
    gemini.when("delay=5")
    async with stage(
        database_url, gemini, drain_seconds_max=0, upstream_seconds_max=1, upstream_idle_seconds_max=1
    ) as served:
        await served.open("kim")
        async with wire(served.url) as client:
            await client.send(post(STREAM, json.dumps(asked()), served.key))
            await until(lambda: some_open(served.ledger))
        await until(lambda: none_open(served.ledger))
        used, held = await served.used()
        assert used == 0
        assert held > 0
