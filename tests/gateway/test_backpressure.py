"""Clients that are slow, or leave: nothing piles up for them, and what they called for is charged all the same."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from jangbu.metering.meter import Metering
from jangbu.metering.resources import ResourceKind
from jangbu.testing import FakeGemini
from tests.gateway.raw import PATIENCE_SECONDS, get, none_open, open_holds, post, provider, running, said, until, wire
from tests.gateway.stage import FLASH, Stage, asked, stage

CALL = f"/v1beta/models/{FLASH}:generateContent"
STREAM = f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"
MEGABYTE = 1_000_000
TOTAL = 1_300
GIVEN_BACK_TO = 8 * MEGABYTE
"""How much more than before the calls a gateway may keep when they are over."""


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

        async def given_back() -> bool:
            return served.service.resident < before + GIVEN_BACK_TO

        await until(given_back, seconds=10)
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


@pytest.mark.parametrize(
    ("most", "users", "whole"),
    [
        pytest.param(2, ("kim", "lee", "park") * 2, 2, id="in all"),
        pytest.param(8, ("kim",) * 6, 2, id="a quarter of them for one user"),
    ],
)
async def test_only_so_many_streams_are_read_on_at_once(
    database_url: str, gemini: FakeGemini, most: int, users: tuple[str, ...], whole: int
) -> None:
    gemini.when("chunks=10; chunk_delay=0.5; prompt=100; candidates=900")
    async with stage(database_url, gemini, drains_max=most) as served:
        for user in set(users):
            await served.open(user, tokens=10_000_000)
        for user in users:
            async with wire(served.url) as client:
                await client.send(post(STREAM, json.dumps(asked(maxOutputTokens=1_000)), served.key, user=user))
                await client.reader.readuntil(b"data:")
        await until(lambda: none_open(served.ledger))
        assert sum(answer.completely_sent for answer in gemini.wait_for_answers(6)) == whole
        balances = [await served.used(user) for user in set(users)]
        assert whole * 1_000 < sum(used for used, _ in balances) < 6 * 1_000
        assert sum(held for _, held in balances) == 0


async def test_what_nobody_pays_for_is_let_go_when_its_client_leaves(database_url: str, gemini: FakeGemini) -> None:
    is_let_go = asyncio.Event()

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: 100000000000\r\n\r\n")
        try:
            while True:
                writer.write(b"v" * 100_000)
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            is_let_go.set()

    async with (
        provider(endless) as up,
        stage(database_url, gemini, upstream_url=up.url, drain_seconds_max=600) as served,
    ):
        await served.open("kim")
        account = served.ledger.accounts.id_of("kim")
        await served.ledger.resources.claim(account, "files/film", ResourceKind.FILE, seconds=600)
        async with wire(served.url) as client:
            await client.send(get("/v1beta/files/film:download?alt=media", served.key))
            await client.reader.readuntil(b"vvvv")
        await asyncio.wait_for(is_let_go.wait(), PATIENCE_SECONDS)


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


async def test_a_call_that_is_thought_about_for_longer_than_an_answer_may_be_silent_is_answered(
    database_url: str, gemini: FakeGemini
) -> None:
    gemini.when("delay=2.5")
    async with stage(database_url, gemini, upstream_idle_seconds_max=1) as served:
        await served.open("kim")
        status, answer, _ = await served.generate()
        assert status == 200
        assert await served.used() == (answer["usageMetadata"]["totalTokenCount"], 0)
