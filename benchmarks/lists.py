"""The dashboard's lists, measured among a million users and 300,000 rows of each thing that lies beside calls.

    python -m benchmarks.lists [--runs N] [--data-dir DIRECTORY]

The ledger is made in some minutes, in a directory that is gone afterwards; one that is named is kept, and used again.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import asyncpg

from benchmarks.crowding import PROJECT, crowd, user_named
from benchmarks.results import measured_on, table, write_section
from jangbu.domain.ledger import Asset, EntryKind, account_id
from jangbu.domain.webhooks import EventKind
from jangbu.domain.windows import Preset, Window
from jangbu.metering import call_search, directory, history, refusals, tops, undeducted
from jangbu.metering.reports import Reports
from jangbu.metering.snapshots import Snapshot, snapshot
from jangbu.storage import alerts, findings, holds, webhooks
from jangbu.storage.database import Database
from jangbu.storage.embedded import EmbeddedServer

Ask = Callable[[], Awaitable[object]]

_SHOWN, _TO_REACH_MS = 51, 20
_FIRST, _SOMEBODY = user_named(1), user_named(31)
_ENDED = ("unknown", "released", "expired")
_METHOD = """\
`python -m benchmarks.lists` prints these and writes this section. The ledger is made up of a million users,
900,000 days on which they called, and 300,000 each of findings (a tenth open), holds without a deduction, refused
minutes, alerts, events, audit lines, keys and one user's entries, most of them of the last 90 days. Each is the first
page of a list of 50, or a count, through the driver and into objects. Figures are milliseconds of {runs} runs after a
first one.
"""


def _asks(database: Database) -> dict[str, Ask]:
    window = Window.preset(Preset.MONTH, datetime.now(UTC), ZoneInfo("Asia/Seoul"))
    return {
        **_of_outbox(database),
        **_of_findings(database),
        **_of_holds(database, window),
        **_of_users(database, window),
    }


def _of_findings(database: Database) -> dict[str, Ask]:
    def page(state: str, kind: str | None = None, user: str | None = None) -> Ask:
        return lambda: findings.page(database, PROJECT, state=state, kind=kind, user=user, before=None, limit=_SHOWN)

    found = {f"findings, {state or 'all'}": page(state) for state in ("open", "new", "acknowledged", "resolved", "")}
    return found | {
        "findings, open, of a kind": page("open", "late"),
        "findings, open, of a kind that there is none of": page("open", "unknown_outcome"),
        "findings, all of a user": page("", user=_SOMEBODY),
        "findings, counts and the newest 10": lambda: Reports(database, PROJECT).findings(limit=10),
    }


def _of_outbox(database: Database) -> dict[str, Ask]:
    def events(state: str | None, kinds: tuple[EventKind, ...] = tuple(EventKind), user: str | None = None) -> Ask:
        return lambda: webhooks.page(database, PROJECT, state=state, kinds=kinds, user=user, limit=_SHOWN)

    found = {f"events, {state or 'all'}": events(state) for state in (None, "undelivered", "waiting", "given_up")}
    return found | {
        "events, of a seldom kind": events(None, (EventKind.RECORD_FAILED,)),
        "events, of a user": events(None, user=_SOMEBODY),
        "events, how they stand": lambda: webhooks.standing(database, PROJECT),
        "alerts": lambda: alerts.page(database, PROJECT, only_undelivered=False, limit=_SHOWN),
        "alerts, undelivered": lambda: alerts.page(database, PROJECT, only_undelivered=True, limit=_SHOWN),
        "alerts, counts": lambda: alerts.sums(database, PROJECT, untried=True),
        "channels, one that no alert went by": lambda: database.rows("channel_list", PROJECT, ["mail", "new"]),
        "audit": lambda: database.rows("audit_list", PROJECT, None, None, _SHOWN),
        "audit, of a user": lambda: database.rows(
            "audit_of_target", PROJECT, None, None, _SHOWN, f"account:{_SOMEBODY}"
        ),
        "keys": lambda: database.rows("apikey_list", PROJECT, None, _SHOWN, None, None),
        "keys, of a user": lambda: database.rows(
            "apikey_list", PROJECT, account_id(PROJECT, _SOMEBODY), _SHOWN, None, None
        ),
        "editions of the prices": lambda: database.rows("price_version_list", PROJECT, _SHOWN, None),
    }


def _of_holds(database: Database, window: Window) -> dict[str, Ask]:
    def page(*states: str, user: str | None = None, which: holds.Which = holds.ANY) -> Ask:
        account = None if user is None else account_id(PROJECT, user)
        return lambda: holds.page(database, PROJECT, account, states, _SHOWN, None, which)

    return {
        "holds, held": page("open", "unknown"),
        "holds, without a deduction": page(*_ENDED),
        "holds, unknown": page("unknown"),
        "holds, without a deduction, 30d": page(*_ENDED, which=holds.Which(window.start, window.end, None, None)),
        "holds, without a deduction, of a user": page(*_ENDED, user=_SOMEBODY),
        "holds, without a deduction, of a seldom model": page(*_ENDED, which=holds.Which(None, None, None, "seldom")),
        "holds, what is held": lambda: holds.sums(database, PROJECT),
        "calls without a deduction, counted, 30d": _look(database, lambda look: undeducted.undeducted(look, window)),
        "refused calls": _look(database, refusals.refused_page),
        "refused calls, of a user": _look(database, lambda look: refusals.refused_page(look, user=_SOMEBODY)),
        "refused calls, counted, 30d": _look(database, lambda look: refusals.refused_in(look, window)),
    }


def _of_users(database: Database, window: Window) -> dict[str, Ask]:
    def page(
        order: directory.Order, after: directory.Place | None = None, prefix: str = "", *, bad: bool = False
    ) -> Ask:
        return _look(
            database,
            lambda look: directory.page(look, window, order=order, after=after, prefix=prefix, is_anomalous=bad),
        )

    used, deep = directory.Order.USED, directory.Place(20_000_000_000 // 500_000, user_named(500_000))
    found = {f"users by {order.value}": page(order) for order in directory.Order}
    return found | {
        "users by used, from the 500,000th on": page(used, deep),
        "users by used, of 100,000 by a beginning": page(used, prefix="user-00"),
        "users by used, of 100 by a beginning": page(used, prefix="user-00012"),
        "users by used, with an open finding": page(used, bad=True),
        "how many users used how much": _look(database, directory.histogram),
        "how many users called, 30d": _look(database, lambda look: directory.called(look, window)),
        "the 10 users of most tokens, 30d": _look(database, lambda look: tops.users(look, window, "tokens")),
        "entries of a user": _entries(database),
        "entries of a user, grants": _entries(database, EntryKind.GRANT),
        "entries of a user, 30d": _entries(database, window=window),
        "an entry and its calls": _look(database, lambda look: history.trace(look, _FIRST, Asset.TOKENS, 150_000)),
        "a call by the id of its answer": _search(database, md5(b"150000").hexdigest()),
        "a name of no call": _search(database, "nothing"),
        "accounts, from the 500,000th on": lambda: database.rows("account_list", PROJECT, user_named(500_000), _SHOWN),
    }


def _entries(database: Database, kind: EntryKind | None = None, window: Window | None = None) -> Ask:
    between = None if window is None else (window.start, window.end)
    return _look(
        database,
        lambda look: history.entries_of(look, _FIRST, Asset.TOKENS, kind=kind, between=between, limit=_SHOWN),
    )


def _search(database: Database, name: str) -> Ask:
    return _look(database, lambda look: call_search.search(look, name, limit=_SHOWN))


def _look(database: Database, ask: Callable[[Snapshot], Awaitable[object]]) -> Ask:
    async def look() -> object:
        async with snapshot(database, PROJECT) as book:
            return await ask(book)

    return look


async def _measure(dsn: str, runs: int) -> dict[str, tuple[float, float]]:
    """Give the median and the least of each, in milliseconds."""
    connection = await asyncpg.connect(dsn)
    is_made = await connection.fetchval("SELECT to_regclass('jangbu.accounts')") is not None
    await connection.close()
    if not is_made:
        await crowd(dsn)
    database = await Database.connect(dsn, size=1)
    found = {}
    try:
        for name, ask in _asks(database).items():
            times = []
            for _ in range(runs + 1):
                began = time.perf_counter()
                await ask()
                times.append((time.perf_counter() - began) * 1000)
            found[name] = statistics.median(times[1:]), min(times[1:])
            print(f"{name}: {found[name][0]:.1f} ({found[name][1]:.1f}) ms", flush=True)
    finally:
        await database.close()
    return found


def _write(found: dict[str, tuple[float, float]], runs: int) -> None:
    over = [name for name, (median, _) in found.items() if median > _TO_REACH_MS]
    about = f"Measured {measured_on()}. More than {_TO_REACH_MS} ms take: {'; '.join(over) if over else 'none'}."
    lines = [[name, f"{median:.1f} ({least:.1f})"] for name, (median, least) in found.items()]
    text = [_METHOD.format(runs=runs), about, "", table(["what", "median (least)"], lines), ""]
    write_section("Lists", "\n".join(text))


def main() -> None:
    """Make the ledger, measure, and write benchmarks/RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="how often everything is asked for")
    parser.add_argument("--data-dir", type=Path, help="where the ledger lies, to be used again")
    options = parser.parse_args()
    with TemporaryDirectory() as folder, EmbeddedServer(options.data_dir or Path(folder) / "data") as endpoint:
        _write(asyncio.run(_measure(endpoint.dsn, options.runs)), options.runs)


if __name__ == "__main__":
    main()
