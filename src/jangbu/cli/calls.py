"""``record`` and ``explain``: one call, from the provider's answer to the debit."""

from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.accounts import User
from jangbu.cli.answers import ModelName, SurfaceName, answer_usage
from jangbu.cli.commands import command
from jangbu.cli.explanation import explanation_text
from jangbu.cli.money import dollars
from jangbu.cli.session import Session
from jangbu.cli.values import call_id, json_object
from jangbu.metering.facts import explanation_facts, receipt_facts

if TYPE_CHECKING:
    from jangbu.domain.flow import Receipt
    from jangbu.domain.usage import Usage

__all__ = ["receipt_line", "receipt_notes", "register"]


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
    session: Session, call: Annotated[str, typer.Argument(metavar="CALL", help="The id of the call.")]
) -> None:
    """Show a call from Google's own words to the debit."""
    named = call_id(call)
    project = session.settings().project
    async with session.ledger() as metering:
        from jangbu.metering.reports import Reports

        found = await Reports(metering.database, project).explain(named, metering.pricing.lines)
    session.show(explanation_facts(found), lambda: explanation_text(found))


def receipt_line(receipt: "Receipt") -> str:
    """Give a receipt in one line for people."""
    said = "was recorded before, nothing changed" if receipt.replayed else "recorded"
    left = "its balance shows later" if receipt.available is None else f"{receipt.available:,} available"
    overrun = f", {receipt.overrun:,} over its hold" if receipt.overrun else ""
    return (
        f"call {receipt.id} {said}: {receipt.charged_tokens:,} tokens of {receipt.model} "
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
        notes.append(f"{before:,} tokens of its answers were recorded before, and are not charged again")
    if receipt.available is None:
        notes.append("the database does not answer: the record waits on this machine, see `jangbu spool status`")
    elif receipt.available < 0:
        notes.append(f"{receipt.user} owes {-receipt.available:,} tokens: recording deducts also what was not bought")
    return notes
