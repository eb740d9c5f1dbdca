"""What a run says while it goes on, and in the end."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.torture.plan import Kind
from tests.torture.points import POINTS
from tests.torture.tally import Tally

__all__ = ["figures", "progress_to", "shown"]

_PROGRESS_SECONDS = 5
_WRONG_MOST = 20


def progress_to(say: Callable[[str], object] = sys.stderr.write) -> Callable[[Tally], None]:
    """Give what says a line every few seconds."""
    next_at = time.monotonic() + _PROGRESS_SECONDS

    def progress(tally: Tally) -> None:
        nonlocal next_at
        if time.monotonic() < next_at:
            return
        next_at = time.monotonic() + _PROGRESS_SECONDS
        say(
            f"{tally.seconds:6.0f} s: {tally.killed:,} kills ({tally.kills[Kind.GATEWAY]:,} of gateways),"
            f" {tally.restarts} restarts, {tally.ambiguous.total():,} ambiguous commits,"
            f" {tally.committed['flush'] + tally.committed['drain']:,} flushes, {tally.looks:,} looks,"
            f" {len(tally.wrong)} wrong\n"
        )

    return progress


def figures(tally: Tally) -> dict[str, Any]:
    """Give all figures, for a file."""
    return {
        "seconds": round(tally.seconds, 1),
        "kills": tally.killed,
        "kills_by_kind": _plain(tally.kills),
        "kills_at_points": {name: tally.points[name] for name in POINTS},
        "ready": tally.ready,
        "restarts": tally.restarts,
        "server_start_seconds_worst": _worst(tally, 0),
        "first_record_seconds_worst": _worst(tally, 1),
        "ambiguous": _plain(tally.ambiguous),
        "carried_out_after_death": tally.posthumous,
        "answers": tally.answers,
        "whole": tally.whole,
        "records": tally.records,
        "partial": tally.partial,
        "orphans": tally.orphans,
        "resolved": _plain(tally.resolved),
        "spooled_at_the_end": tally.spooled,
        "refused": _plain(tally.refused),
        "broken": _plain(tally.broken),
        "left": tally.left,
        "closed": tally.closed,
        "jumped": tally.jumped,
        "disks": _plain(tally.disks),
        "top_ups": tally.top_ups,
        "repeated_top_ups": tally.repeated_top_ups,
        "looks": tally.looks,
        "least_left": tally.least,
        "lost": tally.lost,
        "twice": tally.twice,
        "drift": tally.drift,
        "leaked": tally.leaked,
        "untraceable": tally.untraceable,
        "rounds": tally.rounds,
        "wrong": list(tally.wrong),
    }


def shown(tallies: Mapping[str, Tally], seed: int) -> None:
    """Print the report: one column for each design."""
    console = Console(width=100)
    table = Table(title=f"Torture, JANGBU_SEED={seed}", title_justify="left")
    table.add_column("")
    for name in tallies:
        table.add_column(name, justify="right")
    for what, figure in _ROWS:
        table.add_row(what, *(figure(tally) for tally in tallies.values()))
    console.print(table)
    first = next(iter(tallies.values()))
    if first.points:
        points = Table(title="Kills at named points", title_justify="left")
        points.add_column("point")
        points.add_column("kills", justify="right")
        for name in POINTS:
            points.add_row(name, f"{first.points[name]:,}")
        console.print(points)
    for wrong in first.wrong[:_WRONG_MOST]:
        console.print(f"WRONG: {wrong}", markup=False)
    if len(first.wrong) > _WRONG_MOST:
        console.print(f"and {len(first.wrong) - _WRONG_MOST:,} more")


def _worst(tally: Tally, which: int) -> float | None:
    return round(max(times[which] for times in tally.starts), 2) if tally.starts else None


def _plain(counts: Mapping[str, int]) -> dict[str, int]:
    return {str(name): number for name, number in sorted(counts.items()) if number}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in _plain(counts).items()) or "0"


_ROWS: Sequence[tuple[str, Callable[[Tally], str]]] = (
    ("seconds", lambda tally: f"{tally.seconds:,.0f}"),
    ("kill -9", lambda tally: _listed(tally.kills)),
    ("of them at named points", lambda tally: f"{tally.points.total():,}"),
    ("kills a second", lambda tally: f"{tally.killed / max(tally.seconds, 1):.1f}"),
    ("pg_ctl -m immediate", lambda tally: f"{tally.restarts:,}"),
    ("worst start of the server", lambda tally: f"{_worst(tally, 0)} s"),
    ("worst start to the first record", lambda tally: f"{_worst(tally, 1)} s"),
    ("commits nobody was told of", lambda tally: _listed(tally.ambiguous)),
    ("carried out when the sender was dead", lambda tally: f"{tally.posthumous:,}"),
    ("processes whose clock jumped", lambda tally: f"{tally.jumped:,}"),
    ("processes on a small disk", lambda tally: _listed(tally.disks)),
    ("answers of the fake", lambda tally: f"{tally.answers:,}"),
    ("received whole", lambda tally: f"{tally.whole:,}"),
    ("recorded, before the last were resolved", lambda tally: f"{tally.records:,}"),
    ("recorded by nobody who called", lambda tally: f"{tally.orphans:,}"),
    ("left by their clients", lambda tally: f"{tally.left:,}"),
    ("meters that closed in order", lambda tally: f"{tally.closed:,}"),
    ("broken off, or errors", lambda tally: f"{tally.broken.total():,}"),
    ("unknown holds, resolved", lambda tally: _listed(tally.resolved)),
    ("spooled by the dead at the end", lambda tally: f"{tally.spooled:,}"),
    ("refused", lambda tally: _listed(tally.refused)),
    ("top-ups (and repeated)", lambda tally: f"{tally.top_ups:,} ({tally.repeated_top_ups:,})"),
    ("bank test, looks", lambda tally: f"{tally.looks:,}"),
    ("LOST: received, not recorded", lambda tally: f"{tally.lost:,}"),
    ("TWICE", lambda tally: f"{tally.twice:,}"),
    ("DRIFT: tokens, or figures that differ", lambda tally: f"{tally.drift:,}"),
    ("TOKENS BELOW ZERO, at worst", lambda tally: f"{max(0, -(tally.least or 0)):,}"),
    ("LEAKED HOLDS", lambda tally: f"{tally.leaked:,}"),
    ("ORPHANS WITHOUT A TRACE", lambda tally: f"{tally.untraceable:,}"),
)
