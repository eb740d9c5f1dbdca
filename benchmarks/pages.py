"""What the dashboard's pages ask for, measured at one and at ten million calls.

    python -m benchmarks.pages DIRECTORY DIRECTORY [--runs N]

The directories are those of two ledgers that `python -m benchmarks.seed` made, the smaller one first.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg

from benchmarks.results import measured_on, table, write_section
from benchmarks.seeding import DAYS
from jangbu.domain.ledger import account_id
from jangbu.domain.windows import Preset, Window
from jangbu.metering import calendars, call_search, directory, series, stretches, tags, tops, what_if
from jangbu.metering.directory import Order, Place
from jangbu.metering.logs import calls_of
from jangbu.metering.snapshots import EVERYTHING, Filters, Snapshot, Span, snapshot
from jangbu.metering.stretches import Stretch
from jangbu.storage import reports
from jangbu.storage import stretches as stored
from jangbu.storage.database import Database, Reader
from jangbu.storage.embedded import EmbeddedServer
from jangbu.storage.usage import first_id

_PROJECT = "default"
_SEOUL, _KOLKATA, _KATHMANDU, _NEW_YORK = (
    ZoneInfo(name) for name in ("Asia/Seoul", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York")
)
_FIRST, _HUNDREDTH, _LATE = "user-000001", "user-000100", "user-005000"
_RARE, _COMMON = ("image_prompt", "gemini-99-preview"), ("text_generation", "gemini-2.5-flash")
"""The pair of service and model that the fewest calls are of, and that which the most are of."""
_SELDOM = Filters(services=(_RARE[0],), models=(_RARE[1],))
_TO_REACH_MS = 20
_METHOD = """\
`python -m benchmarks.pages` prints these and writes this section. Two ledgers were made by `make seed`: the calls of
10,000 users in {days} days, drawn by Zipf, so that the first user made about 7% of them and the 5,000th about 0.002%;
for 5 services with 5 models, in 12 pairs. Everything is asked for as a page asks, in one snapshot, through the driver
and into objects; a page asks for some of these. Figures are milliseconds: the median of {runs} runs, in brackets the
least, and then what of a processor the server had for one, to within a tick. The server has the settings that it is
shipped with (128 MB of buffers). The first run of each, which may read from the disk, is left out.

What everybody used takes as long however many calls there are. What users did takes longer with more calls until every
quarter of an hour in which they could have called has its row, and no longer from then on. For who used most, those of
the last six hours of everybody are added up; an hour by minutes, and a quarter that a window cuts, are read from calls.
"""

Ask = Callable[[Snapshot], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger that was made up: its connections, how many calls are in it, and when the last one was made."""

    database: Database
    rows: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Time:
    """How long something took, in milliseconds."""

    median: float
    least: float
    server_cpu: float
    """What the server's process had of a processor, which others on the machine do not add to."""

    def shown(self) -> str:
        """Give all for a table's cell."""
        return f"{self.median:.1f} ({self.least:.1f}); {self.server_cpu:.1f}"


async def _asks(ledger: Ledger) -> dict[str, Ask]:
    """Give what pages ask for, by what it is."""
    return {**_of_all(ledger.now), **_of_users(ledger.now), **_of_calls(ledger.now), **await _of_lists(ledger)}


def _of_all(now: datetime) -> dict[str, Ask]:
    found: dict[str, Ask] = {}
    for preset in Preset:
        for zone in (_SEOUL, _KOLKATA):
            window = Window.preset(preset, now, zone)
            found[f"all users, {preset.value} by {window.bucket.value}, by model, {zone.key}"] = _series(window)
    year = Window.days(now.date().replace(year=now.year - 1), now.date(), _NEW_YORK)
    found["all users, a year by week, by service, America/New_York"] = _series(year, by="service")
    for preset in (Preset.MONTH, Preset.QUARTER):
        window = Window.preset(preset, now, _KOLKATA)
        found[f"all users, {preset.value} by service and model, Asia/Kolkata"] = _breakdown(window)
    for preset in Preset:
        window = Window.preset(preset, now, _KATHMANDU)
        found[f"the 10 users of most tokens, {preset.value}, Asia/Kathmandu"] = _top(window, "tokens")
    for preset in (Preset.LAST_DAY, Preset.MONTH):
        label = f"all users, how large the calls were, {preset.value}, by a sample"
        found[label] = _spreads(Window.preset(preset, now, _SEOUL), EVERYTHING)
    found["the 10 users who cost most, 30d, Asia/Seoul"] = _top(Window.preset(Preset.MONTH, now, _SEOUL), "cost")
    return found


def _of_users(now: datetime) -> dict[str, Ask]:
    found: dict[str, Ask] = {}
    for name, user in (("the first user", _FIRST), ("the 100th user", _HUNDREDTH), ("the 5,000th user", _LATE)):
        for preset in Preset:
            for zone in (_SEOUL, _KOLKATA):
                window = Window.preset(preset, now, zone)
                label = f"{name}, {preset.value} by {window.bucket.value}, by model, {zone.key}"
                found[label] = _series(window, Filters(user))
        window = Window.preset(Preset.QUARTER, now, _KATHMANDU)
        found[f"{name}, 90d by service and model, Asia/Kathmandu"] = _breakdown(window, Filters(user))
        found[f"{name}, all time by service and model"] = _totals(user)
        found[f"{name}, the latest 100 calls"] = _calls(user)
        found |= _of_page(now, name, user)
    days = Window.preset(Preset.MONTH, now, _SEOUL)
    found["the first user, 30d by day, of everything, Asia/Seoul"] = _series(days, Filters(_FIRST), by=None)
    window = Window.preset(Preset.QUARTER, now, _SEOUL)
    for name, user in (("the first user", _FIRST), ("the 5,000th user", _LATE)):
        found[f"{name}, how large the calls were, 90d"] = _spreads(window, Filters(user))
    return found


def _of_page(now: datetime, name: str, user: str) -> dict[str, Ask]:
    """Give what a user's page asks for besides: a year by days, and a page of their calls."""
    found = {f"{name}, a year by days, {zone.key}": _year(now, user, zone) for zone in (_SEOUL, _KOLKATA, _NEW_YORK)}
    found[f"{name}, the latest 51 calls, with how they ended"] = _log(user)
    quarter = Window.preset(Preset.QUARTER, now, _SEOUL)
    for label, pair in (("rarest", _RARE), ("commonest", _COMMON)):
        found[f"{name}, the latest 51 calls of the {label} service and model, 90d"] = _log(user, quarter, *pair)
    return found


def _of_calls(now: datetime) -> dict[str, Ask]:
    """Give what the cost page asks of calls themselves: of each, the first stretch of about so many of them.

    A page goes on so for seconds, so that these say how far it comes.
    """
    window = Window.preset(Preset.MONTH, now, _KATHMANDU)
    found: dict[str, Ask] = {}
    for name, filters in (("all users", EVERYTHING), ("the first user", Filters(_FIRST)), ("a seldom pair", _SELDOM)):
        for what, size, ask in (
            (f"stretch of {what_if.SIZE:,} whole records", what_if.SIZE, stored.records),
            (f"stretch of {tags.SIZE:,} records by a tag", tags.SIZE, _by_tag(window)),
            (f"calls with a tag in a stretch of {tags.SIZE:,} records", tags.SIZE, _tagged),
        ):
            found[f"{name}, the latest {what}, 30d"] = _stretch(window, filters, ask, size)
    found["the names of the tags of the latest 1,000 calls, 30d"] = lambda look: tags.tag_names(look, window)
    # Of the last quarter of an hour only what has passed of it is looked at, as it is while calls are made.
    return {name: _as_of(now, ask) for name, ask in found.items()}


def _stretch(window: Window, filters: Filters, ask: Callable[[Reader, Stretch], Awaitable[object]], size: int) -> Ask:
    async def once(reader: Reader, stretch: Stretch) -> tuple[int, object]:
        # As many calls as are asked for, so that no other stretch is asked.
        return size, await ask(reader, stretch)

    return lambda look: stretches.latest(look, window, filters, once, size)


def _as_of(now: datetime, ask: Ask) -> Ask:
    return lambda look: ask(replace(look, as_of=now))


def _by_tag(window: Window) -> Callable[[Reader, Stretch], Awaitable[object]]:
    edges = [first_id(edge) for edge in window.edges()]
    return lambda reader, stretch: stored.by_tag(reader, stretch, "feature", edges)


def _tagged(reader: Reader, stretch: Stretch) -> Awaitable[object]:
    return stored.tagged(reader, stretch, "feature", "none", 50)


async def _of_lists(ledger: Ledger) -> dict[str, Ask]:
    window = Window.preset(Preset.MONTH, ledger.now, _SEOUL)
    days = Window.preset(Preset.MONTH, datetime.now(UTC) + timedelta(days=1), _SEOUL)
    found: dict[str, Ask] = {}
    for order in Order:
        found[f"the first 50 users by {order.value}, with 30d"] = _page(window, order)
    after = None
    async with snapshot(ledger.database, _PROJECT) as look:
        for _ in range(5):
            after = (await directory.page(look, window, after=after, limit=1_000)).next
        latest, *_ = await reports.calls(look.reader, account_id(_PROJECT, _LATE), None, 1)
    found["50 users by used, from the 5,000th on, with 30d"] = _page(window, Order.USED, after=after)
    for prefix in ("user-00", "user-0012"):
        label = f"50 users by used, of those who begin with {prefix}, with 30d"
        found[label] = _page(window, Order.USED, prefix=prefix)
    accounts = [account_id(_PROJECT, f"user-{number:06}") for number in range(1, 51)]
    found["the 30 days of the first 50 users"] = lambda look: directory.sparks(
        replace(look, as_of=ledger.now), accounts
    )
    found["a call by its id"] = _search(str(latest.id))
    found["how many users used how much"] = directory.histogram
    found["how many users called, 30d"] = lambda look: directory.active(look, days)
    return found


def _series(window: Window, filters: Filters = EVERYTHING, by: series.Part | None = "model") -> Ask:
    return lambda look: series.of(look, window, filters, by)


def _breakdown(window: Window, filters: Filters = EVERYTHING) -> Ask:
    return lambda look: tops.breakdown(look, window, filters)


def _top(window: Window, by: tops.By) -> Ask:
    return lambda look: tops.users(look, window, by)


def _spreads(window: Window, filters: Filters) -> Ask:
    return lambda look: tops.spreads(look, window, filters)


def _page(window: Window, order: Order, prefix: str = "", after: Place | None = None) -> Ask:
    return lambda look: directory.page(look, window, order=order, prefix=prefix, after=after)


def _search(name: str) -> Ask:
    return lambda look: call_search.search(look, name, limit=20)


def _year(now: datetime, user: str, zone: ZoneInfo) -> Ask:
    return lambda look: calendars.year_of(replace(look, as_of=now), user, zone)


def _log(user: str, window: Window | None = None, service: str | None = None, model: str | None = None) -> Ask:
    return lambda look: calls_of(look, user, span=Span.of(window), service=service, model=model, limit=51)


def _totals(user: str) -> Ask:
    return lambda look: reports.totals(look.reader, account_id(_PROJECT, user))


def _calls(user: str) -> Ask:
    return lambda look: reports.calls(look.reader, account_id(_PROJECT, user), None, 100)


async def _measure(ledger: Ledger, runs: int) -> dict[str, Time]:
    """Measure everything, one thing after another."""
    found = {}
    async with ledger.database.connection() as connection:
        server = Path(f"/proc/{connection.get_server_pid()}/stat")
    for name, ask in (await _asks(ledger)).items():
        times, used = [], 0.0
        for _ in range(runs + 1):
            async with snapshot(ledger.database, _PROJECT) as look:
                began = time.perf_counter()
                await ask(look)
                times.append((time.perf_counter() - began) * 1000)
            if len(times) == 1:
                used = _cpu_ms(server)
        found[name] = Time(statistics.median(times[1:]), min(times[1:]), (_cpu_ms(server) - used) / runs)
        print(f"{ledger.rows:>10,} calls: {name}: {found[name].shown()} ms", flush=True)
    return found


def _cpu_ms(process: Path) -> float:
    """Give how long a process had a processor so far, in milliseconds."""
    fields = process.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


async def _ledger(dsn: str) -> Ledger:
    connection = await asyncpg.connect(dsn)
    try:
        rows, ends_at = await connection.fetchrow("SELECT rows, ends_at FROM seed.project")
    finally:
        await connection.close()
    return Ledger(await Database.connect(dsn, size=1), rows, ends_at.astimezone(UTC))


async def _run(dsns: Sequence[str], runs: int) -> list[tuple[int, dict[str, Time]]]:
    found = []
    for dsn in dsns:
        ledger = await _ledger(dsn)
        try:
            found.append((ledger.rows, await _measure(ledger, runs)))
        finally:
            await ledger.database.close()
    return found


def _write(found: list[tuple[int, dict[str, Time]]], runs: int) -> None:
    """Write the section into RESULTS.md."""
    (fewer, before), (rows, after) = found
    over = [name for name, each in after.items() if each.median > _TO_REACH_MS]
    slower = [name for name, each in after.items() if each.median > 1.5 * before[name].median and each.median > 5]
    heads = ["what", f"{fewer:,} calls", f"{rows:,} calls"]
    lines = [[name, before[name].shown(), f"**{each.shown()}**"] for name, each in after.items()]
    about = (
        f"Measured {measured_on()}. Of {len(after)} things, {len(after) - len(over)} take at most {_TO_REACH_MS} ms at "
        f"{rows:,} calls" + (f"; more take: {'; '.join(over)}." if over else ".")
    )
    growth = (
        f"More than 5 ms, and half as much again as at {fewer:,} calls: {'; '.join(slower) if slower else 'nothing'}."
    )
    method = _METHOD.format(runs=runs, days=DAYS)
    write_section("Pages", "\n".join([method, about, growth, "", table(heads, lines), ""]))


def main() -> None:
    """Measure both ledgers and write benchmarks/RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", type=Path, nargs=2, help="the ledgers, the smaller one first")
    parser.add_argument("--runs", type=int, default=15, help="how often everything is asked for")
    options = parser.parse_args()
    with ExitStack() as servers:
        dsns = [servers.enter_context(EmbeddedServer(each)).dsn for each in options.directories]
        _write(asyncio.run(_run(dsns, options.runs)), options.runs)


if __name__ == "__main__":
    main()
