"""A gateway of its own process whose database goes away for a while, with callers under way: what they see, in figures.

``python -m tests.gateway.outage --seconds 60`` carries it out with the settings as they are shipped and prints them.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import aiohttp

from jangbu.config import Settings
from jangbu.metering.meter import Metering
from jangbu.storage import migrate
from jangbu.testing import FakeGemini
from jangbu.wiring import open_metering
from tests.faults.gate import Gate, gate
from tests.faults.server import KillableServer, killable_server
from tests.faults.waiting import become
from tests.gateway.stage import FLASH, UPSTREAM_KEY, asked
from tests.ports import free_port

USERS = ("kim", "lee", "park", "choi")
CALLERS = 16
GRANT = 10_000_000
PATHS = (f"/v1beta/models/{FLASH}:generateContent", f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse")
_REQUEST_SECONDS_MAX = 60
_PAUSE_SECONDS = 0.2


@dataclass
class Figures:
    """What the callers saw. Seconds are counted from the moment in which the database went, or was back."""

    answered: int = 0
    under_way: int = 0
    """Calls whose answers came while the database was away."""
    refused: int = 0
    first_refusal_seconds: float = 0.0
    slowest_refusal_seconds: float = 0.0
    slowest_refusal_later_seconds: float = 0.0
    """Of those that were asked for when everybody had been refused once."""
    sent_unheld: int = 0
    """Calls that reached the provider after everybody had been refused once."""
    answered_again_seconds: float = 0.0
    bodies: dict[str, bytes] = field(default_factory=dict, repr=False)
    statuses: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    refusals: list[tuple[bytes, str | None]] = field(default_factory=list, repr=False)


@asynccontextmanager
async def serving(environment: dict[str, str]) -> AsyncIterator[str]:
    """Give the address of a gateway in a process of its own, which is stopped in order."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jangbu", "serve", "--json", "--port", str(free_port())),
        env={**os.environ, **environment},
        stdout=PIPE,
        stderr=DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())["url"]
    finally:
        process.terminate()
        await process.wait()
    assert process.returncode == 0


class Outage:
    """Callers before a gateway, a gate before the fake Gemini behind it, and a server that can be taken away."""

    def __init__(self, url: str, key: str, server: KillableServer, gated: Gate, gemini: FakeGemini) -> None:
        self._url = url
        self._headers = {"x-goog-api-key": key}
        self._server = server
        self._gated = gated
        self._gemini = gemini
        self._is_over = False
        self._is_away = False
        self._were_refused: set[int] = set()
        self._back_at = 0.0
        self._away_at = 0.0
        self.figures = Figures()

    async def run(self, seconds: float) -> Figures:
        """Have the database away for so many seconds."""
        figures = self.figures
        async with asyncio.TaskGroup() as callers:
            for number in range(CALLERS):
                callers.create_task(self._call_on(number))
            await become(lambda: _is(figures.answered >= 5 * CALLERS))
            self._gated.is_open.clear()
            await self._gated.answers_wait(CALLERS // 2)
            await asyncio.to_thread(self._server.crash)
            self._is_away, self._away_at = True, time.monotonic()
            self._gated.is_open.set()
            await become(lambda: _is(len(self._were_refused) == CALLERS))
            sent = len(self._gemini.answers())
            await asyncio.sleep(max(0.0, self._away_at + seconds - time.monotonic()))
            figures.sent_unheld = len(self._gemini.answers()) - sent
            self._is_away = False
            await asyncio.to_thread(self._server.start)
            self._back_at, before = time.monotonic(), figures.answered
            await become(lambda: _is(figures.answered >= before + 5 * CALLERS))
            self._is_over = True
        return figures

    async def _call_on(self, number: int) -> None:
        headers = self._headers | {"x-jangbu-user": USERS[number % len(USERS)]}
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS_MAX)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
            while not self._is_over:
                if await self._call(http, number) != 200:
                    await asyncio.sleep(_PAUSE_SECONDS)

    async def _call(self, http: aiohttp.ClientSession, number: int) -> int:
        figures, began_at = self.figures, time.monotonic()
        was_refused = len(self._were_refused) == CALLERS
        async with http.post(self._url + PATHS[number % 2], json=asked("hi")) as answer:
            body = await answer.read()
        ended_at = time.monotonic()
        figures.statuses[answer.status] += 1
        if answer.status == 200:
            figures.answered += 1
            figures.bodies[response_id(body)] = body
            figures.under_way += self._is_away
            if self._back_at and began_at > self._back_at and not figures.answered_again_seconds:
                figures.answered_again_seconds = ended_at - self._back_at
        else:
            figures.refused += 1
            figures.refusals.append((body, answer.headers.get("retry-after")))
            figures.first_refusal_seconds = figures.first_refusal_seconds or ended_at - self._away_at
            figures.slowest_refusal_seconds = max(figures.slowest_refusal_seconds, ended_at - began_at)
            if was_refused:
                later = max(figures.slowest_refusal_later_seconds, ended_at - began_at)
                figures.slowest_refusal_later_seconds = later
            self._were_refused.add(number)
        return answer.status


def response_id(body: bytes) -> str:
    """Give the id of an answer, or of the last event of a stream, which has to have come."""
    text = body.decode().strip()
    last = text.rpartition("data: ")[2] if text.startswith("data: ") else text
    answer: dict[str, Any] = json.loads(last)
    assert answer["candidates"][0]["finishReason"] == "STOP", "an answer has its end"
    return str(answer["responseId"])


@asynccontextmanager
async def prepared(server: KillableServer, project: str, folder: Path) -> AsyncIterator[tuple[dict[str, str], str]]:
    """Open the users' accounts; give the settings of a gateway for them, and an app's key."""
    settings = {
        "JANGBU_DATABASE_URL": server.dsn,
        "JANGBU_PROJECT": project,
        "JANGBU_SPOOL_DIR": str(folder / "spool"),
        "GEMINI_API_KEY": UPSTREAM_KEY,
    }
    async with ledger(settings) as metering:
        for user in USERS:
            await metering.accounts.create(user)
            await metering.accounts.grant(user, GRANT, key="first")
        _, key = await metering.keys.create_for_app("shop")
    yield settings, key


@asynccontextmanager
async def ledger(settings: dict[str, str]) -> AsyncIterator[Metering]:
    """Open the ledger that a gateway's settings name."""
    chosen = Settings.load(
        database_url=settings["JANGBU_DATABASE_URL"],
        project=settings["JANGBU_PROJECT"],
        spool_dir=settings["JANGBU_SPOOL_DIR"],
    )
    async with open_metering(chosen) as metering:
        yield metering


async def _is(value: bool) -> bool:
    return value


async def _carry_out(seconds: float) -> Figures:
    with killable_server() as server, FakeGemini() as gemini, tempfile.TemporaryDirectory() as folder:
        await migrate.upgrade(server.dsn)
        async with (
            gate(gemini.url) as gated,
            prepared(server, "outage", Path(folder)) as (settings, key),
            serving(settings | {"JANGBU_UPSTREAM_URL": gated.url}) as url,
        ):
            return await Outage(url, key, server, gated, gemini).run(seconds)


def main() -> None:
    """Carry out one outage and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    figures = asyncio.run(_carry_out(parser.parse_args().seconds))
    sys.stdout.write(f"{figures}\n")


if __name__ == "__main__":
    main()
