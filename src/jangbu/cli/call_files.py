"""``usage export``: the calls that `usage calls` lists, as a file, of one user or of everybody."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.call_filters import Key, Model, Service, Since, Status, Tagged, Until, sought_of, span_of
from jangbu.cli.commands import command
from jangbu.cli.figures import Everybody, Somebody, whose
from jangbu.cli.session import Session
from jangbu.cli.usage import usage
from jangbu.cli.whole_files import Out, write_pieces
from jangbu.errors import InvalidInput

if TYPE_CHECKING:
    from jangbu.metering.exports import Format, Table
    from jangbu.metering.exports.tables import Page

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the noun ``usage``, which is in the app already."""
    del app
    command(usage, "export")(export)


async def export(
    session: Session,
    user: Somebody = None,
    *,
    everybody: Everybody = False,
    since: Since = None,
    until: Until = None,
    service: Service = None,
    model: Model = None,
    status: Status = None,
    tag: Tagged = None,
    key: Key = None,
    how: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="csv, jsonl or parquet.", show_default="csv; jsonl with --json"
        ),
    ] = None,
    zone: Annotated[
        str, typer.Option(metavar="ZONE", help="The time zone of times, and of dates that are given, like Asia/Seoul.")
    ] = "UTC",
    bom: Annotated[bool, typer.Option("--bom", help="Begin a CSV with a byte-order mark, as Excel wants it.")] = False,
    out: Out = None,
) -> None:
    """Write calls as a file, user by user and oldest first: all, or what `usage calls` lists with these options."""
    from jangbu.domain.windows import zone_named
    from jangbu.metering.exports import begun, calls

    usual = "jsonl" if session.as_json and out is None else "csv"
    named, form, clock = whose(user, everybody), _format(how or usual, bom=bom), zone_named(zone)
    what, span = sought_of(service, model, status, tag, key), span_of(since, until, clock)
    project = session.settings().project
    async with session.ledger() as metering:
        named = named and await metering.accounts.user_named(named)
        table = await begun(await calls(metering.database, project, clock, named, span, what))
        written = await _write(table, form, bom, out)
    if out is not None:
        facts = {"user": named, "file": out, "calls": written, "zone": clock.key, "as_of": table.as_of}
        session.show(facts, lambda: f"{written:,} {'call' if written == 1 else 'calls'} written to {out}")


def _format(name: str, *, bom: bool) -> "Format":
    """Read how the file is written. Raises InvalidInput."""
    from jangbu.metering.exports import Format

    if name not in tuple(Format):
        raise InvalidInput(f"{name[:40]!r} is no format of a file", hint=f"one of {', '.join(Format)}")
    if bom and name != Format.CSV:
        raise InvalidInput("only a CSV begins with a byte-order mark", hint="leave --bom out, or ask for csv")
    return Format(name)


async def _write(table: "Table", how: "Format", bom: bool, out: str | None) -> int:
    """Write all rows, and give how many there are."""
    from jangbu.metering.exports import written

    rows = 0

    async def counted() -> AsyncIterator["Page"]:
        nonlocal rows
        async for page in table.pages:
            rows += len(page)
            yield page

    await write_pieces(written(replace(table, pages=counted()), how, bom=bom), out)
    return rows
