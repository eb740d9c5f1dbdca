"""An app whose database dies under it: its calls go on, and the book has every answer once."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google import genai

from jangbu import DatabaseUnreachable, Meter, Settings
from jangbu.locations import ledger_spool
from jangbu.storage import migrate
from jangbu.testing import FakeGemini
from jangbu.wiring import open_metering
from tests.faults.gate import gate
from tests.faults.server import KillableServer, killable_server
from tests.faults.waiting import become

FLASH = "gemini-2.5-flash"
GRANT = 10**9


@pytest.fixture(scope="module")
def server() -> Iterator[KillableServer]:
    with killable_server() as server:
        asyncio.run(migrate.upgrade(server.dsn))
        yield server


@pytest.fixture
def settings(server: KillableServer, tmp_path: Path) -> Settings:
    return Settings.load(database_url=server.dsn, project=tmp_path.name, spool_dir=tmp_path / "spool")


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as gemini:
        yield gemini


async def opened(settings: Settings) -> Meter:
    meter = Meter.open(settings=settings)
    await meter.acreate("minji")
    await meter.agrant("minji", GRANT, key="first")
    return meter


def wrapped(meter: Meter, url: str) -> Any:
    return meter.wrap(genai.Client(api_key="a-key", http_options={"base_url": url}))


async def close(client: Any) -> None:
    client._api_client._httpx_client.close()
    await client.aio.aclose()


def charged(gemini: FakeGemini) -> int:
    """Give the tokens that the fake counted, whole answers only."""
    return sum(answer.counted["totalTokenCount"] for answer in gemini.answers() if answer.counted)


async def use(meter: Meter, client: Any) -> tuple[str, ...]:
    """Make a call each way: synchronous, asynchronous, and both as streams."""

    def plain() -> str:
        return str(client.models.generate_content(model=FLASH, contents="hi").text)

    def stream() -> str:
        pieces = client.models.generate_content_stream(model=FLASH, contents="hi")
        return "".join(str(piece.text) for piece in pieces)

    async def streamed() -> str:
        pieces = await client.aio.models.generate_content_stream(model=FLASH, contents="hi")
        return "".join([str(piece.text) async for piece in pieces])

    async def asked() -> str:
        return str((await client.aio.models.generate_content(model=FLASH, contents="hi")).text)

    with meter.attribute(user="minji", service="script"):
        return await asyncio.gather(
            asyncio.to_thread(plain), asyncio.to_thread(stream), asyncio.create_task(asked()), streamed()
        )


async def test_answers_that_come_while_the_database_is_away_reach_the_app_and_later_the_book(
    server: KillableServer, settings: Settings, gemini: FakeGemini
) -> None:
    async with gate(gemini.url) as gated:
        meter = await opened(settings)
        client = wrapped(meter, gated.url)
        await use(meter, client)
        gated.is_open.clear()
        calls = asyncio.create_task(use(meter, client))
        await gated.answers_wait(4)
        await asyncio.to_thread(server.crash)
        gated.is_open.set()
        assert all(await calls)
        assert len(list(ledger_spool(settings).glob("*/*.segment"))) > 0
        await asyncio.to_thread(server.start)
        await become(lambda: _is_charged(meter, gemini))
        assert (await meter.abalance("minji")).held == 0
        await close(client)
        await meter.aclose()


async def _is_charged(meter: Meter, gemini: FakeGemini) -> bool:
    return (await meter.abalance("minji")).used == charged(gemini)


async def test_an_app_that_ends_while_the_database_is_away_loses_nothing(
    server: KillableServer, settings: Settings, gemini: FakeGemini
) -> None:
    async with gate(gemini.url) as gated:
        meter = await opened(settings)
        client = wrapped(meter, gated.url)
        gated.is_open.clear()
        calls = asyncio.create_task(use(meter, client))
        await gated.answers_wait(4)
        await asyncio.to_thread(server.crash)
        gated.is_open.set()
        assert all(await calls)
        await close(client)
        await meter.aclose()
    await asyncio.to_thread(server.start)
    async with open_metering(settings) as ledger:
        balance = await ledger.accounts.balance("minji")
        assert (balance.used, balance.held) == (charged(gemini), 0)


async def test_an_app_calls_again_as_soon_as_its_database_is_back(
    server: KillableServer, settings: Settings, gemini: FakeGemini
) -> None:
    """Under load: first everybody is refused, and nothing is sent; then records are settled, those that waited too."""
    hasty = settings.model_copy(update={"hold_wait_seconds_max": 1})
    meter = await opened(hasty)
    client = wrapped(meter, gemini.url)
    refused: set[int] = set()
    answered, is_over = 0, False

    async def call_on(number: int) -> None:
        nonlocal answered
        with meter.attribute(user="minji", service="script"):
            while not is_over:
                try:
                    await client.aio.models.generate_content(model=FLASH, contents="hi")
                    answered += 1
                except DatabaseUnreachable:
                    refused.add(number)
                    await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as callers:
        for number in range(16):
            callers.create_task(call_on(number))
        await become(lambda: _is(answered > 50))
        await asyncio.to_thread(server.crash)
        await become(lambda: _is(len(refused) == 16))
        sent, settled = len(gemini.answers()), answered
        await asyncio.sleep(1)
        assert len(gemini.answers()) == sent, "without a hold nothing is sent"
        assert answered == settled
        await asyncio.to_thread(server.start)
        await become(lambda: _is(answered > settled + 16))
        is_over = True
    await become(lambda: _is_charged(meter, gemini))
    assert (await meter.abalance("minji")).held == 0
    await close(client)
    await meter.aclose()


async def _is(value: bool) -> bool:
    return value
