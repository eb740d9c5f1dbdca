"""``spool``: records that wait on the local disk until the database has them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jangbu.cli.commands import command, group
from jangbu.cli.money import counted
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.errors import InvalidSettings, NotFound

if TYPE_CHECKING:
    from jangbu.config import Settings
    from jangbu.metering.spool import Sight

__all__ = ["register", "spools_of"]

spool = group("spool", "Look at the records that wait on the local disk, and have them recorded.")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(spool)


@command(spool, "status")
def status(session: Session) -> None:
    """Show what waits to be recorded, for how long, and what could not be read; needs no database."""
    from jangbu.locations import spool_root

    seen = _looked_at(spool_root(session.settings()))
    session.show(_facts(seen), lambda: _text(seen))


@command(spool, "drain")
async def drain(
    session: Session,
    former: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Also a spool of the ledger's former address.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what was recorded lately, after a fail-over or a restore lost it.")
    ] = False,
) -> None:
    """Record what processes left on the disk that died; what a living one has is drained by itself."""
    settings = session.settings()
    named = None if former is None else _spools_in(Path(former))
    # Whoever adopts a spool removes what it has kept for long enough.
    async with session.ledger(adopts=not again) as metering:
        spooling = metering.spooling
        if spooling is None:
            raise InvalidSettings("there is no spool", hint="JANGBU_SPOOL_BYTES_MAX is 0")
        repeated = await spooling.record_again(named or ()) if again else 0
        await spooling.adopt()
        if named is not None:
            await spooling.adopt(named)
        drained = spooling.drained
    left = _facts(spools_of(settings))
    facts = {"drained": drained, "recorded_again": repeated, "waiting": left["waiting"]}
    said = f"{counted(drained, 'record')} drained" + (f", {counted(repeated, 'record')} sent again" if again else "")
    session.show(
        {**facts, "quarantined": left["quarantined"]},
        lambda: f"{said}; {left['waiting']:,} waiting, {left['quarantined']:,} in quarantine",
    )


def spools_of(settings: "Settings") -> "list[Sight]":
    """Look at the spools of one ledger."""
    from jangbu.locations import ledger_spool

    return _looked_at(ledger_spool(settings))


def _spools_in(directory: Path) -> list[Path]:
    from jangbu.metering.spool import spools_below

    found = list(spools_below(directory))
    if not found:
        raise NotFound(f"there is no spool in {directory}", hint="see `jangbu spool status`")
    return found


def _looked_at(root: Path) -> "list[Sight]":
    from jangbu.clock import SystemClock
    from jangbu.metering.spool import look, spools_below

    clock = SystemClock()
    return [look(directory, clock) for directory in spools_below(root)]


def _facts(seen: "Sequence[Sight]") -> dict[str, Any]:
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
