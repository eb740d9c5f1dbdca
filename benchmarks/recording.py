"""Recording, measured beside the guide's design and beside COPY, in one run on one server.

    python -m benchmarks.recording [--seconds N] [--rounds N]

Every figure is a ratio of two measurements that took turns, so that a machine that slows down slows both.
"""

import argparse
import asyncio
import gc
import os
import random
import statistics
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import asyncpg

from benchmarks.guide_design import GuideDesign, make_tables
from benchmarks.results import Measure, write_results
from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.usage import Breakdown, ByModality, Counts, Source, Surface, Tier, Usage
from jangbu.metering.meter import Metering
from jangbu.storage import accounts, migrate, usage
from jangbu.storage.embedded import EmbeddedServer, stop
from jangbu.storage.usage import UsageRow
from jangbu.wiring import open_metering

USERS = 10_000
CALLERS = 256
GUIDE_CONNECTIONS = 16
BULK_ROWS = 1000
_ANSWERS_A_SECOND = 40_000
_METADATA = '{"requestType": "script_generation"}'
RAW = {"promptTokenCount": 150, "candidatesTokenCount": 300, "totalTokenCount": 450}
USAGE = Usage(
    Surface.GENERATE_CONTENT,
    Counts(prompt=150, candidates=300, total=450),
    Source.REPORTED,
    model="gemini-2.5-flash",
    tier=Tier.STANDARD,
    by_modality=ByModality(prompt=Breakdown(text=150), candidates=Breakdown(text=300)),
    raw=(RAW,),
)


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured: the product, the guide's design, and who uses them."""

    metering: Metering
    guide: GuideDesign
    guide_tuned: GuideDesign
    users: Sequence[str]
    ids: Sequence[UUID]
    seconds: float
    answers: deque[Usage]

    async def record(self, number: int) -> None:
        """Record one call the product's way: durable when this returns."""
        await self.metering.record(self.users[number], "text_generation", self.answers.pop())

    async def record_by_guide(self, number: int) -> None:
        """Record one call the guide's way."""
        await self.guide.record(self.ids[number], 150, 300, 450, 795_000, _METADATA)

    async def record_by_guide_tuned(self, number: int) -> None:
        """Record one call the guide's way, with Jangbu's own settings of the pool."""
        await self.guide_tuned.record(self.ids[number], 150, 300, 450, 795_000, _METADATA)

    async def rate(self, callers: int, users: Sequence[int], work: Callable[[int], Awaitable[None]]) -> float:
        """Give the calls a second of callers who each wait for durability before they call again."""
        done = 0
        missing = int(self.seconds * _ANSWERS_A_SECOND) - len(self.answers)
        self.answers.extend(replace(USAGE, response_id=os.urandom(12).hex()) for _ in range(missing))
        gc.collect()
        end = time.perf_counter() + self.seconds

        async def caller() -> None:
            nonlocal done
            while time.perf_counter() < end:
                await work(random.choice(users))
                done += 1

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        return done / (time.perf_counter() - began)

    async def against_guide(
        self, what: str, to_reach: float | None, rounds: int, callers: int, users: Sequence[int], *, tuned: bool = False
    ) -> Measure:
        """Measure the product and the guide's design in turns."""
        other = self.record_by_guide_tuned if tuned else self.record_by_guide
        return await in_turns(
            what,
            to_reach,
            rounds,
            lambda: self.rate(callers, users, self.record),
            lambda: self.rate(callers, users, other),
        )

    async def bulk(self) -> float:
        """Give the rows a second of two writers that record many at once."""
        return await self.rate(2, [0], self._flush_many) * BULK_ROWS

    async def copy(self, pool: asyncpg.Pool) -> float:
        """Give the rows a second of one binary COPY after another into a table of the same shape and key."""
        columns = ("account_id", "id", *_PLAIN)
        plain = (1, 1, 150, 300, 0, 0, 0, 450, 795_000, 45_000, 795_000, 1, 0, "", '{"usage":[]}')

        async def copy_many(_number: int) -> None:
            clock = SystemClock()
            rows = [(random.choice(self.ids), new_id(clock), *plain) for _ in range(BULK_ROWS)]
            async with pool.acquire() as connection:
                await connection.copy_records_to_table("copied", schema_name="guide", records=rows, columns=columns)

        return await self.rate(2, [0], copy_many) * BULK_ROWS

    async def _flush_many(self, _number: int) -> None:
        clock = SystemClock()
        rows = [self._row(new_id(clock)) for _ in range(BULK_ROWS)]
        async with self.metering.database.connection() as connection:
            await usage.flush(connection, rows, "default", 1)

    def _row(self, usage_id: UUID) -> UsageRow:
        return UsageRow(
            random.choice(self.ids), usage_id, 1, 1, "generate_content", "gemini_api", "standard", "reported",
            150, 300, 0, 0, 0, 450, 795_000, 45_000, 795_000, 1, False, None, None, '{"usage":[]}', None,
        )  # fmt: skip


_PLAIN = (
    "service_id", "model_id", "prompt", "candidates", "thoughts", "tool", "cached", "total", "cost_nano",
    "input_cost_nano", "charge_nano", "price_version", "posting", "response_id", "raw",
)  # fmt: skip


async def main() -> None:
    """Measure everything and write benchmarks/RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each measurement lasts")
    parser.add_argument("--rounds", type=int, default=5, help="how often the two sides take turns")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jangbu-bench-") as folder:
        async with server_in(Path(folder)) as dsn:
            await _measure(dsn, options.seconds, options.rounds)


@asynccontextmanager
async def server_in(folder: Path) -> AsyncIterator[str]:
    """Run an embedded server of a benchmark's own; give the address of its empty database."""
    server = EmbeddedServer(folder / "data")
    dsn = (await asyncio.to_thread(server.ensure)).dsn
    try:
        yield dsn
    finally:
        await asyncio.to_thread(server.leave)
        await asyncio.to_thread(stop, folder / "data")


async def _measure(dsn: str, seconds: float, rounds: int) -> None:
    await migrate.upgrade(dsn)
    async with open_metering(Settings.load(database_url=dsn)) as metering:
        users = [f"user-{number}" for number in range(USERS)]
        ids = [metering.accounts.id_of(user) for user in users]
        for user, account in zip(users, ids, strict=True):
            await accounts.create(metering.database, account, "default", user)
        await make_tables(dsn, ids)
        guide = await GuideDesign.open(dsn, GUIDE_CONNECTIONS, tuned=False)
        tuned = await GuideDesign.open(dsn, GUIDE_CONNECTIONS, tuned=True)
        await guide.pool.execute("CREATE TABLE guide.copied (LIKE jangbu.usage INCLUDING ALL)")
        await guide.pool.execute(
            "ALTER TABLE guide.copied "
            "ALTER surface DROP NOT NULL, ALTER platform DROP NOT NULL, ALTER source DROP NOT NULL"
        )
        bench = Bench(metering, guide, tuned, users, ids, seconds, deque())
        evenly, hot = range(USERS), [0]
        skewed = random.choices(evenly, [1 / (rank + 1) for rank in evenly], k=200_000)
        await bench.rate(CALLERS, evenly, bench.record)
        spread = f"{CALLERS} callers, {USERS:,} users"
        measures = [
            await bench.against_guide(f"{spread}, drawn by Zipf", 6.0, rounds, CALLERS, skewed),
            await bench.against_guide(f"{spread}, drawn evenly", 6.0, rounds, CALLERS, evenly),
            await bench.against_guide(f"{CALLERS} callers, one hot user", 10.0, rounds, CALLERS, hot),
            await bench.against_guide("one caller (the inverse of latency)", 1.0, rounds, 1, evenly),
            await bench.against_guide(
                f"{spread}, drawn evenly, the guide with a tuned pool", None, rounds, CALLERS, evenly, tuned=True
            ),
            await bench.against_guide(
                f"{CALLERS} callers, one hot user, the guide with a tuned pool", None, rounds, CALLERS, hot, tuned=True
            ),
            await in_turns(
                f"bulk, 2 writers of {BULK_ROWS:,} rows, against binary COPY with the same key",
                0.15,
                rounds,
                bench.bulk,
                lambda: bench.copy(guide.pool),
            ),
        ]
        await guide.close()
        await tuned.close()
    write_results(measures, seconds, rounds)


async def in_turns(
    what: str,
    to_reach: float | None,
    rounds: int,
    ours: Callable[[], Awaitable[float]],
    other: Callable[[], Awaitable[float]],
) -> Measure:
    """Let the two sides take turns; give the medians of their rates and all ratios."""
    pairs = [(await ours(), await other()) for _ in range(rounds)]
    measure = Measure(
        what,
        to_reach,
        statistics.median(ours for ours, _ in pairs),
        statistics.median(other for _, other in pairs),
        tuple(sorted(ours / other for ours, other in pairs)),
    )
    print(measure.line(), flush=True)
    return measure


if __name__ == "__main__":
    asyncio.run(main())
