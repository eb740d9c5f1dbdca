"""``holds``: what is held for calls under way, and the ones whose outcome nobody knows."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.answers import SurfaceName, answer_usage
from jangbu.cli.calls import receipt_line, receipt_notes
from jangbu.cli.commands import command, group
from jangbu.cli.money import counted
from jangbu.cli.output import shown_moment
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import call_id, whole_number
from jangbu.errors import InvalidInput
from jangbu.metering.facts import receipt_facts

if TYPE_CHECKING:
    from uuid import UUID

    from jangbu.domain.flow import Receipt
    from jangbu.storage.holds import HoldRow

__all__ = ["register"]

holds = group("holds", "List holds, and settle those whose outcome is unknown.")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(holds)


@command(holds, "list")
async def list_holds(
    session: Session,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Only this user's.", show_default=False)] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="open, unknown, released or expired.", show_default="open and unknown"),
    ] = None,
    limit: Annotated[str, typer.Option(metavar="N", help="How many at most.")] = "100",
) -> None:
    """List holds, oldest first: those that hold tokens now, unless others are asked for."""
    states = _checked(state or ["open", "unknown"])
    most = whole_number(limit, "limit", least=1, most=100_000)
    async with session.ledger() as metering:
        account = None if user is None else (await metering.accounts.find(await metering.accounts.user_named(user))).id
        found = await metering.holds.page(account, states, most)
    columns = ("hold", "user", "state", "amount>", "service", "model", "taken", "reason")
    session.show(
        {"holds": [asdict(hold) for hold in found]},
        lambda: table(columns, [_cells(hold) for hold in found], empty="no holds"),
    )


@command(holds, "resolve")
async def resolve(
    session: Session,
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="The id of the hold, which is that of its call.")],
    charge_from: Annotated[
        str | None,
        typer.Option(
            metavar="RESPONSE", help="The answer that came after all: charge what it reports.", show_default=False
        ),
    ] = None,
    release: Annotated[bool, typer.Option("--release", help="Give the held tokens back: there was no answer.")] = False,
    reason: Annotated[str | None, typer.Option(metavar="R", help="Why it is given back.", show_default=False)] = None,
    surface: SurfaceName = None,
) -> None:
    """End a hold by evidence (`--charge-from`) or by an operator's word (`--release --reason`)."""
    named = call_id(hold, "a hold")
    if release == (charge_from is not None):
        raise InvalidInput("say how the hold ends", hint="give either --charge-from RESPONSE or --release --reason R")
    if release and not (reason or "").strip():
        raise InvalidInput("a release needs a reason", hint="add --reason")
    usage = None if charge_from is None else answer_usage(charge_from, surface)
    from jangbu.metering.resolving import charge_hold, release_hold

    async with session.ledger() as metering:
        if usage is not None:
            receipt = await charge_hold(metering, session.settings().project, named, usage)
            lines = [_ending(named, receipt), *receipt_notes(receipt, usage)]
            session.show(receipt_facts(receipt, usage), lambda: "\n".join(lines))
            return
        released, _ = await release_hold(metering, named, reason or "")
    said = "released" if released else "was closed before, nothing changed"
    session.show({"id": named, "released": released}, lambda: f"hold {named} {said}")


def _ending(hold: "UUID", receipt: "Receipt") -> str:
    """Say what an answer came to. One that was recorded before, as another call's, ends the hold and is not charged."""
    if receipt.id == hold or not receipt.replayed:
        return receipt_line(receipt)
    charged = f"its answer was recorded before, as call {receipt.id} with {counted(receipt.charged_tokens, 'token')}"
    return f"hold {hold} is given back, and nothing is charged: {charged}"


def _checked(states: Sequence[str]) -> list[str]:
    known = ("open", "unknown", "released", "expired")
    wrong = next((state for state in states if state not in known), None)
    if wrong is not None:
        raise InvalidInput(f"{wrong[:40]!r} is no state of a hold", hint=f"one of {', '.join(known)}")
    return list(states)


def _cells(hold: "HoldRow") -> tuple[str, ...]:
    return (
        str(hold.id),
        hold.user,
        hold.state,
        f"{hold.amount:,}",
        hold.service,
        hold.model,
        shown_moment(hold.taken_at),
        hold.reason or "",
    )
