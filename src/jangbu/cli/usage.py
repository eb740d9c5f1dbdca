"""``usage``: what answers report, and what was recorded of them."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jangbu.cli.accounts import User
from jangbu.cli.answers import ModelName, SurfaceName, answer_usage
from jangbu.cli.call_filters import Key, Model, Service, Since, Status, Tagged, Until, only, sought_of, span_of
from jangbu.cli.commands import command, group
from jangbu.cli.figures import COLUMNS, Everybody, Somebody, cells, summed, whose
from jangbu.cli.money import dollars
from jangbu.cli.output import json_text, shown_moment, write_data
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import call_id, moment, whole_number
from jangbu.errors import InvalidInput
from jangbu.metering.facts import call_facts, figures_facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from jangbu.domain.usage import Tier, Usage
    from jangbu.metering.log_search import Found
    from jangbu.metering.logs import Logged

__all__ = ["register"]

usage = group("usage", "Read the usage of an answer, and add up what was recorded.")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(usage)


@command(usage, "parse")
def parse(
    session: Session,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Answers as Gemini sent them; - reads standard input.")
    ],
    surface: SurfaceName = None,
    model: ModelName = None,
    price: Annotated[bool, typer.Option("--price", help="Add the cost by the shipped price book.")] = False,
    at: Annotated[str | None, typer.Option(metavar="DATE", help="Price it as of then.", show_default="now")] = None,
    tier: Annotated[
        str | None, typer.Option(metavar="T", help="Price it in this tier.", show_default="the answer's own")
    ] = None,
) -> None:
    """Print what an answer used as JSON; several files give one line each. No database is needed."""
    del session  # what is printed is JSON whether that was asked for or not
    if not price and (at or tier):
        raise InvalidInput("--at and --tier say how to price", hint="add --price")
    priced = _pricer(at, tier) if price else None
    if len(files) == 1:
        write_data(json_text(_described(answer_usage(files[0], surface, model), priced)))
        return
    failed = 0
    for file in files:
        line: dict[str, Any] = {"file": file}
        try:
            line |= _described(answer_usage(file, surface, model), priced)
        except InvalidInput as error:
            failed += 1
            line["error"] = {"code": error.code, "message": error.message, "hint": error.hint}
        write_data(json_text(line))
    if failed:
        raise InvalidInput(f"{failed} of {len(files)} files cannot be used", hint="their lines say why")


@command(usage, "totals")
async def totals(session: Session, user: Somebody = None, everybody: Everybody = False) -> None:
    """Show what was used of each model for each service: sum, count and average."""
    named = whose(user, everybody)
    project = session.settings().project
    async with session.ledger() as metering:
        named = named and await metering.accounts.user_named(named)
        from jangbu.metering.reports import Reports

        lines = await Reports(metering.database, project).totals(named)
    total = summed([line.figures for line in lines])

    def text() -> str:
        rows = [(line.service, line.model, *cells(line.figures)) for line in lines]
        columns = ("service", "model", *COLUMNS)
        return table(columns, [*rows, ("total", "", *cells(total))] if rows else [], empty="no calls")

    found = [{"service": line.service, "model": line.model, **figures_facts(line.figures)} for line in lines]
    session.show({"user": named, "totals": found, "total": figures_facts(total)}, text)


@command(usage, "daily")
async def daily(
    session: Session,
    user: Somebody = None,
    everybody: Everybody = False,
    days: Annotated[str, typer.Option(metavar="N", help="How many days.")] = "30",
    until: Annotated[str | None, typer.Option(metavar="DATE", help="The last of them.", show_default="today")] = None,
    zeros: Annotated[bool, typer.Option("--zeros", help="Show the days without calls, too.")] = False,
) -> None:
    """Show what was used on each day (UTC) for each service, newest first."""
    named = whose(user, everybody)
    number = whole_number(days, "days", least=1, most=3660)
    last = None if until is None else moment(until, "the last day").date()
    project = session.settings().project
    async with session.ledger() as metering:
        named = named and await metering.accounts.user_named(named)
        from jangbu.metering.reports import Reports

        lines = await Reports(metering.database, project).daily(named, number, last=last, zero_filled=zeros)

    def text() -> str:
        rows = [(str(line.day), line.service or "", *cells(line.figures)) for line in lines]
        return table(("day", "service", *COLUMNS), rows, empty="no calls")

    found = [{"day": line.day, "service": line.service, **figures_facts(line.figures)} for line in lines]
    session.show({"user": named, "zone": "UTC", "days": found}, text)


@command(usage, "calls")
async def calls(
    session: Session,
    user: User,
    *,
    since: Since = None,
    until: Until = None,
    service: Service = None,
    model: Model = None,
    status: Status = None,
    tag: Tagged = None,
    key: Key = None,
    limit: Annotated[str, typer.Option(metavar="N", help="How many calls at most.")] = "100",
    before: Annotated[str | None, only("CALL", "before this one")] = None,
) -> None:
    """List a user's calls with their ids, newest first; `explain` tells all about one of them."""
    most = whole_number(limit, "limit", least=1, most=10_000)
    earlier = None if before is None else call_id(before)
    what, span = sought_of(service, model, status, tag, key), span_of(since, until)
    project = session.settings().project
    async with session.ledger() as metering:
        named = await metering.accounts.user_named(user)
        from jangbu.metering.log_search import sought
        from jangbu.metering.snapshots import snapshot

        async with snapshot(metering.database, project) as book:
            found = await sought(book, named, what, span=span, before=earlier, limit=most)
    facts = {"calls": [call_facts(each) for each in found.calls], "next": found.next, "is_whole": found.is_whole}
    session.show({"user": named, **facts}, lambda: _listed(found))


def _listed(found: "Found") -> str:
    """Show a page of calls, and how to go on."""
    from jangbu.metering.log_search import STEP

    columns = ("call", "time", "service", "model", "prompt>", "completion>", "total>", "cost>", "status", "anomalies")
    shown = table(columns, [_call_cells(each) for each in found.calls], empty="no calls")
    looked = "" if found.is_whole else f"{STEP:,} calls looked through, "
    return shown if found.next is None else f"{shown}\n({looked}more: --before {found.next})"


def _call_cells(found: "Logged") -> tuple[str, ...]:
    call = found.call
    return (
        str(call.id),
        shown_moment(call.created_at),
        call.service,
        call.model,
        f"{call.prompt_tokens:,}",
        f"{call.completion_tokens:,}",
        f"{call.total_tokens:,}",
        dollars(call.cost_nano),
        found.ending,
        ", ".join(call.anomalies),
    )


def _described(usage: "Usage", priced: "Callable[[Usage], dict[str, Any]] | None") -> dict[str, Any]:
    from jangbu.providers.describe import describe

    return describe(usage) | (priced(usage) if priced else {})


def _pricer(at: str | None, tier: str | None) -> "Callable[[Usage], dict[str, Any]]":
    """Give what prices a usage by the shipped book, exact to the nano-dollar; no price is null, never 0."""
    from jangbu.clock import SystemClock
    from jangbu.domain.pricing import cost
    from jangbu.prices import shipped

    when = SystemClock().now() if at is None else moment(at, "the date")
    served = None if tier is None else _tier(tier)
    book = shipped()

    def priced(usage: "Usage") -> dict[str, Any]:
        found = cost(book, usage, when, tier=served)
        return {
            "cost_nano": found.amount_nano,
            "price_lines": [asdict(line) for line in found.lines],
            "unpriced": [asdict(reason) for reason in found.unpriced],
        }

    return priced


def _tier(name: str) -> "Tier":
    from jangbu.domain.usage import Tier

    try:
        return Tier(name.lower())
    except ValueError:
        raise InvalidInput(f"{name[:40]!r} is no tier", hint=f"one of {', '.join(Tier)}") from None
