"""``record`` and ``explain``: one call, from the provider's answer to the debit."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from jangbu.cli.accounts import User
from jangbu.cli.answers import ModelName, SurfaceName, answer_usage
from jangbu.cli.commands import command
from jangbu.cli.explanation import explanation_text
from jangbu.cli.money import counted, dollars
from jangbu.cli.output import shown_moment
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import json_object
from jangbu.errors import InvalidInput, NotFound
from jangbu.metering.facts import explanation_facts, named_call_facts, receipt_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jangbu.domain.flow import Receipt
    from jangbu.domain.usage import Usage
    from jangbu.metering.call_search import NamedCall

__all__ = ["receipt_line", "receipt_notes", "register"]

_LISTED_MAX = 20
"""A name that so many calls have tells none of them apart."""


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    command(app, "record")(record)
    command(app, "explain")(explain)


async def record(
    session: Session,
    user: User,
    service: Annotated[str, typer.Option(metavar="S", help="What the call was for, e.g. text_generation.")],
    response: Annotated[str, typer.Option(metavar="FILE", help="The answer as Gemini sent it; - reads it from stdin.")],
    call_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Your id of the call; again it is recorded once.", show_default=False),
    ] = None,
    model: ModelName = None,
    surface: SurfaceName = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="JSON", help="What else to keep with the record.", show_default=False)
    ] = None,
) -> None:
    """Record an answer and deduct what it reports. The answer is given, never a count."""
    from jangbu.metering.evidence import require_told

    attached = json_object(metadata, "metadata")
    usage = answer_usage(response, surface, model)
    require_told(usage)
    async with session.ledger() as metering:
        user = await metering.accounts.user_named(user)
        receipt = await metering.record(user, service, usage, model=model, call_key=call_id, metadata=attached)
    session.show(
        receipt_facts(receipt, usage), lambda: "\n".join([receipt_line(receipt), *receipt_notes(receipt, usage)])
    )


async def explain(
    session: Session,
    call: Annotated[
        str,
        typer.Argument(metavar="CALL", help="Its id, that of Google's answer, or the id that you recorded it under."),
    ],
    user: Annotated[
        str | None, typer.Option(metavar="USER", help="Look among this user's calls only.", show_default=False)
    ] = None,
) -> None:
    """Show a call from Google's own words to the debit; where several have the name, list them."""
    project = session.settings().project
    async with session.ledger() as metering:
        from jangbu.metering.call_search import search
        from jangbu.metering.reports import Reports
        from jangbu.metering.snapshots import snapshot

        named = user and await metering.accounts.user_named(user)
        async with snapshot(metering.database, project) as book:
            meant = await search(book, call, limit=_LISTED_MAX, user=named)
        if len(meant.calls) > 1:
            session.show({"calls": [named_call_facts(each) for each in meant.calls]}, lambda: _choices(meant.calls))
            raise InvalidInput(f"{call[:60]!r} is the name of several calls", hint="explain one of them by its id")
        only = meant.calls[0].id if meant.calls else _id_of(call, was_dropped=meant.was_dropped)
        found = await Reports(metering.database, project).explain(only, metering.pricing.lines, user=named)
    session.show(explanation_facts(found), lambda: explanation_text(found))


def _choices(calls: "Sequence[NamedCall]") -> str:
    """Show the calls that have a name, with what tells them apart."""
    rows = [(str(each.id), shown_moment(each.created_at), each.user) for each in calls]
    shown = table(("call", "time", "user"), rows)
    return f"{shown}\n(these are the {_LISTED_MAX} latest)" if len(calls) == _LISTED_MAX else shown


def _id_of(name: str, *, was_dropped: bool) -> UUID:
    """Take a name that no call was found by for an id. Raises NotFound where it is none."""
    try:
        return UUID(name)
    except ValueError:
        why = "retention dropped the records of its time" if was_dropped else "`jangbu usage calls USER` lists the ids"
        raise NotFound(f"there is no record of call {name[:60]!r}", hint=why) from None


def receipt_line(receipt: "Receipt") -> str:
    """Give a receipt in one line for people."""
    said = "was recorded before, nothing changed" if receipt.replayed else "recorded"
    left = "its balance shows later" if receipt.available is None else f"{receipt.available:,} available"
    overrun = f", {receipt.overrun:,} over its hold" if receipt.overrun else ""
    return (
        f"call {receipt.id} {said}: {counted(receipt.charged_tokens, 'token')} of {receipt.model} "
        f"({dollars(receipt.cost_nano)}){overrun}; {left} to {receipt.user}"
    )


def receipt_notes(receipt: "Receipt", usage: "Usage") -> list[str]:
    """Say what a reader of the receipt may stumble over, a line for each."""
    from jangbu.domain.usage import Anomaly

    notes = []
    odd = [flag for flag in usage.anomalies if flag not in (Anomaly.BLOCKED, Anomaly.USAGE_MISSING)]
    if odd:
        notes.append(f"what does not add up in the answer: {', '.join(odd)}")
    if Anomaly.BLOCKED in usage.anomalies:
        notes.append("the prompt was blocked")
    if Anomaly.USAGE_MISSING in usage.anomalies:
        notes.append("Google reported no usage for this answer, so what it cost is not known")
    if Anomaly.INVALID_USAGE in usage.anomalies:
        notes.append("counts that are no whole numbers of tokens are kept as they are, and not charged")
    elif not usage.total_tokens:
        notes.append("the answer reports no tokens, so none are charged")
    if not receipt.replayed and receipt.charged_tokens < usage.total_tokens:
        before = usage.total_tokens - receipt.charged_tokens
        was, are = ("was", "is") if before == 1 else ("were", "are")
        notes.append(f"{counted(before, 'token')} of its answers {was} recorded before, and {are} not charged again")
    if receipt.available is None:
        notes.append("the database does not answer: the record waits on this machine, see `jangbu spool status`")
    elif receipt.available < 0:
        owed = counted(-receipt.available, "token")
        notes.append(f"{receipt.user} owes {owed}: recording deducts also what was not bought")
    return notes
