"""Clients that leave while an error, or an answer that costs nothing, trickles in: it is bounded as others are."""

import asyncio
import json
from contextlib import suppress

import pytest

from jangbu.testing import FakeGemini
from tests.gateway.book import holds
from tests.gateway.raw import PATIENCE_SECONDS, post, provider, until, wire
from tests.gateway.stage import FLASH, asked, stage
from tests.gateway.test_left_early import drains_seen
from tests.gateway.test_limits import is_under_way

SOON_SECONDS = PATIENCE_SECONDS / 6


class Trickling:
    """A provider whose answers begin at once and never end, and that notes when who asked has gone."""

    def __init__(self, status: str) -> None:
        self._head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n".encode()
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say a byte now and then."""
        gone = asyncio.create_task(reader.read(1))
        writer.write(self._head)
        self.asked.set()
        with suppress(ConnectionError):
            while not gone.done():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        self.left.set()
        writer.close()


@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden", "429 Too Many Requests", "500 Oops"])
async def test_a_call_that_was_refused_gives_its_hold_and_its_places_back_however_long_the_error_is(
    database_url: str, gemini: FakeGemini, status: str
) -> None:
    trickling = Trickling(status)
    async with (
        provider(trickling.converse) as upstream,
        stage(database_url, gemini, upstream_url=upstream.url, drain_seconds_max=1, stop_seconds_max=1) as served,
    ):
        await served.open("kim")
        _, narrow = await served.ledger.keys.create_for_app("narrow", concurrent_calls=1)
        with drains_seen() as seen:
            async with wire(served.url) as client:
                await client.send(post(f"/v1beta/models/{FLASH}:generateContent", json.dumps(asked()), narrow))
                await trickling.asked.wait()
            await until(lambda: is_under_way(served, 0), seconds=SOON_SECONDS)
            assert seen == [1, 0]
        await asyncio.wait_for(trickling.left.wait(), SOON_SECONDS)
        assert await holds(served) == ["released"]
        assert await served.used() == (0, 0)


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "500 Oops"])
async def test_what_is_free_ends_with_its_client_also_where_it_has_begun(
    database_url: str, gemini: FakeGemini, status: str
) -> None:
    trickling = Trickling(status)
    async with (
        provider(trickling.converse) as upstream,
        stage(database_url, gemini, upstream_url=upstream.url, stop_seconds_max=1) as served,
    ):
        await served.open("kim")
        with drains_seen() as seen:
            async with wire(served.url) as client:
                await client.send(post(f"/v1beta/models/{FLASH}:countTokens", json.dumps(asked()), served.key))
                await trickling.asked.wait()
            await asyncio.wait_for(trickling.left.wait(), SOON_SECONDS)
        assert seen == []
