"""Jangbu's gateway, measured beside the upstream itself, nginx, LiteLLM and Portkey, in one run with the same load.

    python -m benchmarks.gateway [--quick] [--seconds N] [--rounds N] [--only WORD ...]

The targets take turns in rounds. All traffic stays on 127.0.0.1. With --only or --quick, nothing is written.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvloop

from benchmarks import gateway_targets as targets
from benchmarks.gateway_install import Unavailable, wrk_program
from benchmarks.gateway_ledger import Ledger, open_ledger
from benchmarks.gateway_load import until_ready
from benchmarks.gateway_processes import busy_share, start, stop
from benchmarks.gateway_report import Report
from benchmarks.gateway_targets import Site, Target
from benchmarks.gateway_turn import USER_NAMES, Extent, take_turn
from jangbu.errors import JangbuError

_QUICK = Extent(seconds=1, warm_up_seconds=1, image_waves=1)
_IMAGE_WAVES = 4
_WARM_UP_SECONDS = 2
_UPSTREAM_SECONDS_MAX = 20
_QUIET_SECONDS = 2


async def main() -> None:
    """Measure every target and write benchmarks/RESULTS.md."""
    options = _options()
    extent = _QUICK if options.quick else Extent(options.seconds, _WARM_UP_SECONDS, _IMAGE_WAVES)
    rounds = 1 if options.quick else options.rounds
    try:
        wrk_program()
    except Unavailable as error:
        sys.exit(f"nothing can be measured: {error}")
    busy = await asyncio.to_thread(busy_share, _QUIET_SECONDS)
    with tempfile.TemporaryDirectory(prefix="jangbu-bench-") as folder:
        async with _upstream(Path(folder)) as site, AsyncExitStack() as stack:
            report = Report(extent, rounds, busy)
            ledger = await _ledger(site, stack, report)
            found = _targets(site, ledger, report, options.only)
            for number in range(rounds):
                # Each round begins with another target, so that no one always follows the same.
                for target in (*found[number % len(found) :], *found[: number % len(found)]):
                    await _take_turn(number, target, site, extent, ledger, report)
    print(report.text())
    if not (options.only or options.quick):
        report.write()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each level is measured")
    parser.add_argument("--rounds", type=int, default=3, help="how often the targets take turns")
    parser.add_argument("--quick", action="store_true", help="one round of one second: shows that it works")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="only the targets whose name holds one")
    return parser.parse_args()


async def _take_turn(
    number: int, target: Target, site: Site, extent: Extent, ledger: Ledger | None, report: Report
) -> None:
    began = time.monotonic()
    try:
        turn = await take_turn(target, site, extent, ledger)
    except (Unavailable, OSError, TimeoutError, ValueError) as error:
        report.fail(target.title, f"{error}" or type(error).__name__)
        print(f"{target.title}: not measured: {error}", flush=True)
        return
    report.add(number, turn)
    rates = ", ".join(f"{level.plain.rate:,.0f}" for level in turn.levels.values())
    print(f"{target.title}: {rates} calls/s ({time.monotonic() - began:.0f} s)", flush=True)


async def _ledger(site: Site, stack: AsyncExitStack, report: Report) -> Ledger | None:
    try:
        return await stack.enter_async_context(open_ledger(site.folder / "ledger", USER_NAMES))
    except JangbuError as error:
        report.fail("Jangbu", str(error))
        return None


def _targets(site: Site, ledger: Ledger | None, report: Report, only: Sequence[str]) -> list[Target]:
    """Give the targets that can be started here; the others are reported."""
    makers: list[tuple[str, Callable[[], Target]]] = [
        ("nginx, plain proxy", lambda: targets.nginx(site)),
        ("LiteLLM, pass-through", lambda: targets.litellm(site)),
        ("Portkey, chat", lambda: targets.portkey(site)),
    ]
    if ledger is not None:
        folder = ledger.data_dir
        makers[1:1] = [
            ("Jangbu, 1 worker", lambda: targets.jangbu(site, folder, 1)),
            ("Jangbu, 2 workers", lambda: targets.jangbu(site, folder, 2)),
        ]
    # Everything is told apart from what the upstream itself takes, so it is always measured.
    found = [targets.direct(site)]
    for title, make in makers:
        if only and not any(word.lower() in title.lower() for word in only):
            continue
        try:
            found.append(make())
        except (Unavailable, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            report.fail(title, str(error))
            print(f"{title}: not available: {error}", flush=True)
    return found


@asynccontextmanager
async def _upstream(folder: Path) -> AsyncIterator[Site]:
    """Run the fake upstream for as long as the context lasts."""
    site = Site(folder, targets.free_port())
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "benchmarks.gateway_upstream", str(site.upstream)]
    process = start(command, {}, root, folder / "upstream.log")
    try:
        call = b"GET /tally HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        if reason := await until_ready(lambda: process.poll() is None, call, site.upstream, _UPSTREAM_SECONDS_MAX):
            sys.exit(f"the upstream did not come up: {reason}")
        yield site
    finally:
        await asyncio.to_thread(stop, process)


if __name__ == "__main__":
    uvloop.run(main())
