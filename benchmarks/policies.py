"""What it costs Jangbu to be bound by row-level security: the same calls as the owner and as a role of one project.

    python -m benchmarks.policies [--seconds N] [--rounds N]

Both meters serve the same users of one database, in turns; what differs is the role that they connect as.
"""

import argparse
import asyncio
import gc
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from tests.faults.server import killable_server

from benchmarks.recording import USAGE
from benchmarks.results import Measure, measured_on, table, write_section
from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Held, Settle, TakeHold
from jangbu.metering.meter import Metering
from jangbu.storage import migrate
from jangbu.storage.policies import apply, worker_sql
from jangbu.wiring import open_metering

_ROLE = "jangbu_app"
_SERVICE = "text_generation"
_USERS = tuple(f"user-{number}" for number in range(1_000))
_CALLERS = (1, 16, 64)
_GRANT = 10**12
_HELD = 2_000
_ABOUT = f"""\
`python -m benchmarks.policies` prints these and writes this section. Both sides are the ledger's own meter with the
settings as they are shipped, for the same {len(_USERS):,} users of one database: one connects as a role that
`jangbu db policies --whole-project --writes` bound to its project, the other as the tables' owner, whom no policy
binds. A call is a hold that is taken and then settled by an answer, each durable before the next begins.
"""


async def main() -> None:
    """Measure, print the ratios and write them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each measurement lasts")
    parser.add_argument("--rounds", type=int, default=7, help="how often the two take turns")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jangbu-bench-") as folder, killable_server() as postgresql:
        dsn = postgresql.dsn
        await migrate.upgrade(dsn)
        server = await asyncpg.connect(dsn)
        await server.execute(f"CREATE ROLE {_ROLE} LOGIN")
        await server.close()
        await apply(dsn, worker_sql(role=_ROLE, project="default"))
        bound = urlunsplit(urlsplit(dsn)._replace(netloc=f"{_ROLE}@{urlsplit(dsn).netloc.rpartition('@')[2]}"))
        one, other = (
            Settings.load(database_url=each, spool_dir=Path(folder) / "spool", project="default")
            for each in (bound, dsn)
        )
        measures = await _measure(one, other, options)
    rows = [
        [
            each.what,
            f"{each.ours:,.0f}",
            f"{each.other:,.0f}",
            f"**{each.ratio:.2f}** ({each.ratios[0]:.2f} to {each.ratios[-1]:.2f})",
        ]
        for each in measures
    ]
    heads = ["calls", "bound by the policies", "the owner", "ratio, median (range)"]
    about = f"Measured {measured_on()}, {options.rounds} turns of {options.seconds:g} s:"
    write_section("Row-level security", "\n".join([_ABOUT, about, "", table(heads, rows), ""]))


async def _measure(bound: Settings, owner: Settings, options: argparse.Namespace) -> list[Measure]:
    measures = []
    async with open_metering(bound, delivers=False) as ours, open_metering(owner, delivers=False) as other:
        for user in _USERS:
            await other.accounts.create(user)
            await other.accounts.grant(user, _GRANT, key="bench")
        for step, named in ((_call, "held and settled"), (_record, "recorded without a hold")):
            for metering in (ours, other):
                await _rates(metering, step, 16, options.seconds)
            for callers in _CALLERS:
                turns = [
                    (
                        await _rates(ours, step, callers, options.seconds),
                        await _rates(other, step, callers, options.seconds),
                    )
                    for _ in range(options.rounds)
                ]
                what = f"{named}, {callers} callers" if callers > 1 else f"{named}, one caller"
                for number, unit in enumerate(("a second", "a second of the server's processors")):
                    pairs = [(one[number], two[number]) for one, two in turns]
                    measure = Measure(
                        f"{what}, {unit}",
                        None,
                        statistics.median(one for one, _ in pairs),
                        statistics.median(two for _, two in pairs),
                        tuple(sorted(one / two for one, two in pairs)),
                    )
                    print(measure.line(), flush=True)
                    measures.append(measure)
    return measures


async def _rates(
    metering: Metering, step: Callable[[Metering, str], Awaitable[None]], callers: int, seconds: float
) -> tuple[float, float]:
    """Give how often callers take a step who each wait for durability before they take the next.

    That is in a second, and in a second that the server's processes for this meter were at work: what else the machine
    does meanwhile has no part in that.
    """
    done = 0
    gc.collect()
    worked = await _worked(metering)
    began = time.perf_counter()

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < began + seconds:
            await step(metering, random.choice(_USERS))
            done += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    took = time.perf_counter() - began
    return done / took, done / (await _worked(metering) - worked)


async def _worked(metering: Metering) -> float:
    """Give how many seconds the server's processes that this meter is connected to have been at work so far."""
    async with metering.database.connection() as connection:
        found = await connection.fetch("SELECT pid FROM pg_stat_activity WHERE usename = current_user")
    return sum(_seconds(row["pid"]) for row in found)


def _seconds(pid: int) -> float:
    """Give how many seconds a process has been at work, for itself and in the kernel; none for one that is gone."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(ticks) for ticks in said.rpartition(")")[2].split()[11:13]) / os.sysconf("SC_CLK_TCK")


async def _call(metering: Metering, user: str) -> None:
    call = Call(new_id(metering.clock), user, _SERVICE, "gemini-2.5-flash", Bounds(_HELD, 0, output_chosen=True))
    held = await metering.execute(TakeHold(call, 0, _HELD, _HELD))
    assert held == Held(_HELD), held
    await metering.execute(Settle(call, replace(USAGE, response_id=os.urandom(12).hex())))


async def _record(metering: Metering, user: str) -> None:
    await metering.record(user, _SERVICE, replace(USAGE, response_id=os.urandom(12).hex()))


if __name__ == "__main__":
    asyncio.run(main())
