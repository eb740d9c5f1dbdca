"""What it costs to have every record in the spool, too: the same calls with the setting off and on, in turns.

    python -m benchmarks.every_record [--seconds N] [--rounds N]

Both ledgers record for the same users in one database; what differs is `JANGBU_SPOOL_EVERY_RECORD`.
"""

import argparse
import asyncio
import gc
import os
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.recording import USAGE, in_turns, server_in
from jangbu.config import Settings
from jangbu.metering.meter import Metering
from jangbu.storage import migrate
from jangbu.wiring import open_metering

_USERS = tuple(f"user-{number}" for number in range(1_000))
_WORKLOADS = ((1, _USERS), (64, _USERS), (256, _USERS), (256, _USERS[:1]))


async def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each measurement lasts")
    parser.add_argument("--rounds", type=int, default=5, help="how often the two take turns")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jangbu-bench-") as folder:
        async with server_in(Path(folder)) as dsn:
            await migrate.upgrade(dsn)
            await _measure(Settings.load(database_url=dsn, spool_dir=Path(folder) / "spool"), options)


async def _measure(off: Settings, options: argparse.Namespace) -> None:
    on = off.model_copy(update={"spool_every_record": True})
    async with open_metering(off) as without, open_metering(on) as with_copies:
        for user in _USERS:
            await without.accounts.create(user)
        for metering in (without, with_copies):
            await _rate(metering, 64, _USERS, options.seconds)
        for callers, users in _WORKLOADS:
            await in_turns(
                f"{callers} callers, {len(users):,} users, every record in the spool against none",
                None,
                options.rounds,
                lambda: _rate(with_copies, callers, users, options.seconds),  # noqa: B023 - awaited at once
                lambda: _rate(without, callers, users, options.seconds),  # noqa: B023 - awaited at once
            )


async def _rate(metering: Metering, callers: int, users: Sequence[str], seconds: float) -> float:
    """Give the records a second of callers who each wait for durability before they record again."""
    done = 0
    gc.collect()
    began = time.perf_counter()

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < began + seconds:
            answer = replace(USAGE, response_id=os.urandom(12).hex())
            await metering.record(random.choice(users), "text_generation", answer)
            done += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (time.perf_counter() - began)


if __name__ == "__main__":
    asyncio.run(main())
