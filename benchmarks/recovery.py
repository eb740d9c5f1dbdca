"""How soon calls are settled again after the database crashed, measured under load.

    python -m benchmarks.recovery [--rounds N]

16 callers call without a pause, over the SDK's meter or over a gateway in a process of its own. PostgreSQL is stopped
as by a crash (`pg_ctl -m immediate stop`), stays away for a while and is started; the clock runs from the first
connection that it takes.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg
from google import genai
from tests.faults.server import KillableServer, killable_server
from tests.gateway.outage import CALLERS, USERS, prepared, serving
from tests.gateway.stage import FLASH, asked

from benchmarks.results import measured_on, table, write_section
from jangbu import Meter, Settings
from jangbu.errors import JangbuError
from jangbu.storage import migrate
from jangbu.testing import FakeGemini

AWAY_SECONDS = (0, 3, 20)
_LOAD_SECONDS = 2
_PAUSE_SECONDS = 0.05
_WATCHDOG_SECONDS = 120
_ABOUT = f"""\
`python -m benchmarks.recovery` prints these and writes this section. {CALLERS} callers call a fake Gemini without a
pause, over the SDK's meter or over `jangbu serve`, with the settings as they are shipped; who is refused asks again
after {_PAUSE_SECONDS} s. PostgreSQL is stopped as by a crash under that load, stays away for so long, and is started.
Seconds are counted from the first connection that it takes. The record that is committed first may be one that had
waited in the spool; the first call is one that was begun after that moment, and its caller has its answer.
"""

Call = Callable[[int], Awaitable[bool]]
"""Makes one call of a caller; tells whether it was answered."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from the server's first connection until something was settled again."""

    record: float
    call: float


class Load:
    """Callers that go on until they are told to stop, and the moments at which the calls that were answered began."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_over = False
        self.answered: list[tuple[float, float]] = []

    async def run(self) -> None:
        await asyncio.gather(*(self._call_on(number) for number in range(CALLERS)))

    def stop(self) -> None:
        self._is_over = True

    async def _call_on(self, number: int) -> None:
        while not self._is_over:
            began = time.monotonic()
            if await self._call(number):
                self.answered.append((began, time.monotonic()))
            else:
                await asyncio.sleep(_PAUSE_SECONDS)


async def recover(server: KillableServer, call: Call, away: float) -> Recovery:
    """Crash the server under load and start it again; give how soon calls were settled."""
    load = Load(call)
    running = asyncio.create_task(load.run())
    await asyncio.sleep(_LOAD_SECONDS)
    await asyncio.to_thread(server.crash)
    await asyncio.sleep(away)
    starting = asyncio.create_task(asyncio.to_thread(server.start))
    async with asyncio.timeout(_WATCHDOG_SECONDS):
        connection = await connected(server.dsn)
        up_at = time.monotonic()
        before = await connection.fetchval("SELECT count(*) FROM jangbu.usage")
        while True:
            if await connection.fetchval("SELECT count(*) FROM jangbu.usage") > before:
                break
            await asyncio.sleep(0.005)
        recorded_at = time.monotonic()
        while not (after := [ended for began, ended in load.answered if began > up_at]):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        load.stop()
        await running
    await connection.close()
    await starting
    return Recovery(recorded_at - up_at, min(after) - up_at)


async def connected(dsn: str) -> asyncpg.Connection:
    """Connect as soon as the server lets anybody in."""
    while True:
        with suppress(OSError, asyncpg.PostgresError):
            return await asyncpg.connect(dsn)
        await asyncio.sleep(0.005)


@asynccontextmanager
async def over_sdk(server: KillableServer, gemini: FakeGemini) -> AsyncIterator[Call]:
    """Give calls over the SDK's meter."""
    with tempfile.TemporaryDirectory() as folder:
        meter = Meter.open(settings=Settings.load(database_url=server.dsn, spool_dir=Path(folder)))
        for user in USERS:
            await meter.acreate(user)
            await meter.agrant(user, 10**12, key="first")
        client = meter.wrap(genai.Client(api_key="a-key", http_options={"base_url": gemini.url}))

        async def call(number: int) -> bool:
            try:
                with meter.attribute(user=USERS[number % len(USERS)], service="text_generation"):
                    await client.aio.models.generate_content(model=FLASH, contents="hi")
            except JangbuError:
                return False
            return True

        yield call
        await client.aio.aclose()
        await meter.aclose()


@asynccontextmanager
async def over_gateway(server: KillableServer, gemini: FakeGemini) -> AsyncIterator[Call]:
    """Give calls over a gateway."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        settings, key = await stack.enter_async_context(prepared(server, "default", Path(folder)))
        url = await stack.enter_async_context(serving(settings | {"JANGBU_UPSTREAM_URL": gemini.url}))
        http = await stack.enter_async_context(aiohttp.ClientSession(headers={"x-goog-api-key": key}))

        async def call(number: int) -> bool:
            headers = {"x-jangbu-user": USERS[number % len(USERS)]}
            path = f"{url}/v1beta/models/{FLASH}:generateContent"
            async with http.post(path, json=asked("hi"), headers=headers) as answer:
                await answer.read()
                return answer.status == 200

        yield call


async def measure(rounds: int) -> list[list[str]]:
    """Measure each way of calling with each time away; give the rows of the table."""
    rows: list[list[str]] = []
    for name, opened in (("the SDK", over_sdk), ("a gateway", over_gateway)):
        for away in AWAY_SECONDS:
            with killable_server() as server, FakeGemini() as gemini:
                await migrate.upgrade(server.dsn)
                async with opened(server, gemini) as call:
                    found = [await recover(server, call, away) for _ in range(rounds)]
            rows.append(
                [name, f"{away} s", shown([each.record for each in found]), shown([each.call for each in found])]
            )
            print(*rows[-1], sep=" | ")
    return rows


def shown(seconds: list[float]) -> str:
    """Give the median with the least and the greatest."""
    return f"**{statistics.median(seconds):.2f}** s ({min(seconds):.2f} to {max(seconds):.2f})"


def main() -> None:
    """Measure, print and write RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    heads = ["over", "away for", "first record committed, median (range)", "first call settled, median (range)"]
    rows = asyncio.run(measure(rounds))
    about = f"Measured {measured_on()}, {rounds} crashes each; less than 5 s is to be reached:"
    write_section("Recovery", "\n".join([_ABOUT, about, "", table(heads, rows), ""]))


if __name__ == "__main__":
    main()
