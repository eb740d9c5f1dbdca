"""``spool``: records that wait on the local disk until the database has them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from jangbu.cli.commands import command, group
from jangbu.cli.money import counted
from jangbu.cli.session import Session
from jangbu.cli.tables import table

if TYPE_CHECKING:
    from jangbu.metering.spool import Sight

__all__ = ["register"]

spool = group("spool", "Look at the records that wait on the local disk.")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(spool)


@command(spool, "status")
def status(session: Session) -> None:
    """Show what waits to be recorded, for how long, and what could not be read; needs no database."""
    from jangbu.clock import SystemClock
    from jangbu.metering.spool import look, spools_below
    from jangbu.wiring import spool_root

    clock = SystemClock()
    seen = [look(directory, clock) for directory in spools_below(spool_root(session.settings()))]
    session.show(_facts(seen), lambda: _text(seen))


def _facts(seen: "Sequence[Sight]") -> dict[str, object]:
    ages = [each.oldest_seconds for each in seen if each.oldest_seconds is not None]
    return {
        "waiting": sum(each.waiting for each in seen),
        "oldest_seconds": max(ages, default=None),
        "kept": sum(each.kept for each in seen),
        "quarantined": sum(each.quarantined for each in seen),
        "bytes": sum(each.bytes for each in seen),
        "spools": [asdict(each) for each in seen],
    }


def _text(seen: "Sequence[Sight]") -> str:
    if not any(each.waiting or each.quarantined for each in seen):
        kept = sum(each.kept for each in seen)
        return "nothing waits to be recorded" + (f" ({counted(kept, 'record')} kept for a fail-over)" if kept else "")
    columns = ("spool", "waiting>", "oldest s>", "kept>", "quarantined>", "bytes>", "owner")
    return table(columns, [_cells(each) for each in seen])


def _cells(sight: "Sight") -> tuple[str, ...]:
    return (
        str(sight.directory),
        f"{sight.waiting:,}",
        "" if sight.oldest_seconds is None else f"{sight.oldest_seconds:,}",
        f"{sight.kept:,}",
        f"{sight.quarantined:,}",
        f"{sight.bytes:,}",
        "lives" if sight.is_owned else "none",
    )
