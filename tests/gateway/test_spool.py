"""A gateway whose database dies under it: what Google answered reaches the client and the book, once."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from jangbu.api.app import open_app
from jangbu.config import Settings
from jangbu.metering.meter import Metering
from jangbu.metering.verify import Verification
from jangbu.storage import migrate
from jangbu.testing import FakeGemini
from jangbu.wiring import open_metering
from tests.api.test_pages import Pages
from tests.faults.gate import Gate, gate
from tests.faults.server import KillableServer, killable_server, set_everywhere
from tests.faults.waiting import become
from tests.gateway.stage import FLASH, UPSTREAM_KEY, Stage, asked, stage
from tests.metering.outage import is_drained
from tests.ports import free_port

GENERATE = f"/v1beta/models/{FLASH}:generateContent"
STREAM = f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"


@pytest.fixture(scope="module")
def server() -> Iterator[KillableServer]:
    with killable_server() as server:
        asyncio.run(migrate.upgrade(server.dsn))
        yield server


@pytest.fixture
async def gated(gemini: FakeGemini) -> AsyncIterator[Gate]:
    async with gate(gemini.url) as gated:
        yield gated


@pytest.fixture
async def served(server: KillableServer, gemini: FakeGemini, gated: Gate, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(
        server.dsn,
        gemini,
        upstream_url=gated.url,
        project=tmp_path.name,
        spool_dir=tmp_path / "spool",
        hold_wait_seconds_max=60,
    ) as served:
        await served.open("kim", 10**12)
        yield served


async def book(metering: Metering, project: str) -> dict[str, int]:
    """Give the tokens of each recorded answer by its id."""
    async with metering.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT u.response_id, u.total FROM jangbu.usage AS u JOIN jangbu.accounts AS a USING (account_id)"
            " WHERE a.project = $1",
            project,
        )
    assert len({row[0] for row in rows}) == len(rows), "an answer is recorded twice"
    return dict(map(tuple, rows))


def truth(gemini: FakeGemini) -> dict[str, int]:
    """Give what the fake answered: the tokens of each answer by its id."""
    return {
        str(answer.response_id): answer.counted["totalTokenCount"]
        for answer in gemini.answers()
        if answer.counted and answer.status == 200
    }


async def agree(metering: Metering, project: str, gemini: FakeGemini) -> None:
    await become(lambda: is_drained(metering))
    assert await book(metering, project) == truth(gemini)
    assert (await Verification(metering.database, project).run()).mismatches == ()


@pytest.mark.parametrize("path", [GENERATE, STREAM])
async def test_an_answer_that_comes_while_the_database_is_away_is_passed_on_without_a_balance(
    served: Stage, server: KillableServer, gated: Gate, gemini: FakeGemini, tmp_path: Path, path: str
) -> None:
    await served.generate()
    gated.is_open.clear()
    calls = [asyncio.create_task(served.post(path, asked("hi"))) for _ in range(3)]
    await gated.answers_wait(3)
    await asyncio.to_thread(server.crash)
    gated.is_open.set()
    for status, _, headers in await asyncio.gather(*calls):
        assert status == 200
        assert "x-jangbu-balance-left" not in headers
        assert ("x-jangbu-tokens-charged" in headers) is (path == GENERATE)
    await asyncio.to_thread(server.start)
    await agree(served.ledger, tmp_path.name, gemini)
    assert (await served.used())[1] == 0


async def test_an_error_of_the_provider_costs_nothing_although_the_database_was_away(
    served: Stage, server: KillableServer, gated: Gate, gemini: FakeGemini, tmp_path: Path
) -> None:
    gemini.next("503")
    gated.is_open.clear()
    call = asyncio.create_task(served.post(GENERATE, asked("hi")))
    await gated.answers_wait(1)
    await asyncio.to_thread(server.crash)
    gated.is_open.set()
    status, answer, _ = await call
    assert (status, answer["error"]["message"]) == (503, "The model is overloaded. Please try again later.")
    await asyncio.to_thread(server.start)
    await become(lambda: _nothing_is_held(served))
    await agree(served.ledger, tmp_path.name, gemini)


async def _nothing_is_held(served: Stage) -> bool:
    return await served.used() == (0, 0)


async def test_a_call_whose_key_is_not_remembered_waits_for_the_database_as_long_as_others(
    served: Stage, server: KillableServer, gemini: FakeGemini, tmp_path: Path
) -> None:
    await asyncio.to_thread(server.crash)
    call = asyncio.create_task(served.generate())
    await asyncio.sleep(3)
    assert not call.done()
    await asyncio.to_thread(server.start)
    assert (await call)[0] == 200
    await agree(served.ledger, tmp_path.name, gemini)


async def test_crashes_under_load_lose_and_double_nothing(
    served: Stage, server: KillableServer, gemini: FakeGemini, tmp_path: Path
) -> None:
    answered, crashes = 0, 0

    async def client() -> None:
        nonlocal answered
        while crashes < 3:
            status, _, _ = await served.post(STREAM if answered % 2 else GENERATE, asked("hi"))
            assert status == 200
            answered += 1

    async with asyncio.TaskGroup() as clients:
        for _ in range(12):
            clients.create_task(client())
        for crash in (server.crash, server.kill, server.crash):
            before = answered
            await become(lambda: _is(answered > before + 30))  # noqa: B023
            await asyncio.to_thread(crash)
            await asyncio.to_thread(server.start)
            crashes += 1
    await agree(served.ledger, tmp_path.name, gemini)


async def _is(value: bool) -> bool:
    return value


async def test_the_pages_tell_of_what_waits(served: Stage, server: KillableServer, gated: Gate, tmp_path: Path) -> None:
    async with open_app(_settings(server, tmp_path), served.ledger) as app:
        pages = Pages(app)
        assert json.loads((await pages.get("/readyz"))[1])["spool"] == {"waiting": 0, "oldest_seconds": 0}
        gated.is_open.clear()
        call = asyncio.create_task(served.generate())
        await gated.answers_wait(1)
        await asyncio.to_thread(server.crash)
        gated.is_open.set()
        assert (await call)[0] == 200
        assert await pages.value("jangbu_spool_records") == 1
        assert await pages.value("jangbu_spool_kept_total") == 1
        assert json.loads((await pages.get("/readyz"))[1])["code"] == "database_unreachable"
        await asyncio.to_thread(server.start)
        await become(lambda: is_drained(served.ledger))
        await become(lambda: _is_ready(pages))
        assert await pages.value("jangbu_spool_records") == 0


async def test_a_gateway_whose_database_only_reads_is_not_ready_and_soon_refuses_at_once(
    server: KillableServer, gemini: FakeGemini, tmp_path: Path
) -> None:
    stand = stage(server.dsn, gemini, project=tmp_path.name, spool_dir=tmp_path / "spool", hold_wait_seconds_max=8)
    async with stand as served, open_app(_settings(server, tmp_path), served.ledger) as app:
        await served.open("kim", 10**12)
        pages = Pages(app)
        await set_everywhere(server, "default_transaction_read_only", "on")
        try:
            status, page = await pages.get("/readyz")
            assert (status, json.loads(page)["code"]) == (503, "database_unreachable")
            assert "takes no writes" in json.loads(page)["message"]
            assert (await served.generate())[0] == 503
            # It answers whoever only asks for its time, which is no reason to wait for it again.
            await asyncio.sleep(2)
            async with asyncio.timeout(4):
                assert (await served.generate())[0] == 503
        finally:
            await set_everywhere(server, "default_transaction_read_only", "off")
        await become(lambda: _is_ready(pages))
        await become(lambda: _is_answered(served))
        await agree(served.ledger, tmp_path.name, gemini)


async def _is_answered(served: Stage) -> bool:
    return (await served.generate())[0] == 200


def _settings(server: KillableServer, directory: Path) -> Settings:
    return Settings.load(database_url=server.dsn, project=directory.name, gemini_api_key="a-key")


async def _is_ready(pages: Pages) -> bool:
    return (await pages.get("/readyz"))[0] == 200


async def test_a_gateway_without_room_in_its_spool_makes_no_call_and_is_not_ready(
    server: KillableServer, gemini: FakeGemini, tmp_path: Path
) -> None:
    (tmp_path / "spool").write_text("this is no directory")
    async with stage(server.dsn, gemini, project=tmp_path.name, spool_dir=tmp_path / "spool") as served:
        await served.open("kim")
        status, answer, _ = await served.generate()
        assert (status, answer["error"]["details"][0]["reason"]) == (503, "SPOOL_UNUSABLE")
        assert "JANGBU_SPOOL_DIR" not in answer["error"]["message"]
        assert gemini.answers() == []
        assert await served.used() == (0, 0)
        async with open_app(_settings(server, tmp_path), served.ledger) as app:
            status, page = await Pages(app).get("/readyz")
            assert (status, json.loads(page)["code"]) == (503, "spool_unusable")


async def test_a_gateway_that_is_killed_with_records_in_its_spool_loses_none(
    server: KillableServer, gated: Gate, gemini: FakeGemini, tmp_path: Path
) -> None:
    settings = {
        "JANGBU_DATABASE_URL": server.dsn,
        "JANGBU_PROJECT": tmp_path.name,
        "JANGBU_SPOOL_DIR": str(tmp_path / "spool"),
        "JANGBU_UPSTREAM_URL": gated.url,
        "GEMINI_API_KEY": UPSTREAM_KEY,
    }
    chosen = Settings.load(database_url=server.dsn, project=tmp_path.name, spool_dir=tmp_path / "spool")
    async with open_metering(chosen) as ledger:
        await ledger.accounts.create("kim")
        await ledger.accounts.grant("kim", 1_000_000, key="first")
        _, key = await ledger.keys.create_for_app("shop")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jangbu", "serve", "--json", "--port", str(free_port())),
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    url = json.loads(await process.stdout.readline())["url"]
    gated.is_open.clear()
    async with aiohttp.ClientSession(headers={"x-goog-api-key": key, "x-jangbu-user": "kim"}) as http:
        calls = [asyncio.create_task(_answer(http, url + GENERATE)) for _ in range(8)]
        await gated.answers_wait(8)
        await asyncio.to_thread(server.crash)
        gated.is_open.set()
        assert await asyncio.gather(*calls) == [200] * 8
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await asyncio.to_thread(server.start)
    async with open_metering(chosen) as ledger:
        await agree(ledger, tmp_path.name, gemini)
        balance = await ledger.accounts.balance("kim")
        assert (balance.used, balance.held) == (sum(truth(gemini).values()), 0)


async def _answer(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.post(url, json=asked("hi")) as answer:
        await answer.read()
        return answer.status
