"""``alerts findings``, ``acknowledge`` and ``resolve``: what somebody should look at, who does, and what came of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.commands import command
from jangbu.cli.output import shown_moment
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import call_id, whole_number
from jangbu.errors import InvalidInput
from jangbu.metering.alert_facts import finding_facts, finding_state

if TYPE_CHECKING:
    from jangbu.metering.inbox import FindingKind, Inbox, InboxState
    from jangbu.metering.meter import Metering
    from jangbu.storage.findings import InboxRow

__all__ = ["register"]

User = Annotated[str, typer.Argument(metavar="USER", help="Whose call it is.")]
Call = Annotated[str, typer.Argument(metavar="CALL", help="The call; `alerts findings` shows it.")]
Kind = Annotated[str, typer.Argument(metavar="KIND", help="What was found, like overrun.")]

_ALL = "all"


def register(alerts: typer.Typer) -> None:
    """Add the verbs to the group."""
    command(alerts, "findings")(list_findings)
    command(alerts, "acknowledge")(acknowledge)
    command(alerts, "resolve")(resolve)


async def list_findings(
    session: Session,
    state: Annotated[str, typer.Option(metavar="S", help="new, acknowledged, open (both), resolved or all.")] = "open",
    kind: Annotated[str | None, typer.Option(metavar="K", help="Only those of a kind.", show_default=False)] = None,
    user: Annotated[str | None, typer.Option(metavar="U", help="Only those of this user.", show_default=False)] = None,
    limit: Annotated[str, typer.Option(metavar="N", help="How many at most.")] = "100",
) -> None:
    """List findings, newest first: those that are open, unless others are asked for."""
    wanted, of_kind = _state(state), None if kind is None else _kind(kind)
    most = whole_number(limit, "limit", least=1, most=100_000)
    async with session.ledger() as metering:
        named = None if user is None else await metering.accounts.user_named(user)
        found = await _inbox(session, metering).page(state=wanted, kind=of_kind, user=named, limit=most)
    columns = ("found", "kind", "user", "call", "state", "by", "what")
    session.show(
        {"findings": [finding_facts(row) for row in found]},
        lambda: table(columns, map(_cells, found), empty="no findings"),
    )


async def acknowledge(session: Session, user: User, call: Call, kind: Kind) -> None:
    """Say that you look into a finding."""
    named, of_kind = call_id(call), _kind(kind)
    async with session.ledger() as metering:
        whose = await metering.accounts.user_named(user)
        looked = await _inbox(session, metering).acknowledge(whose, named, of_kind)
    row = looked.finding
    if looked.is_new:
        said = f"{_name(row)} is acknowledged"
    elif row.resolved_at is not None:
        said = f"{_name(row)} is resolved already, nothing changed"
    else:
        said = f"{_name(row)} was acknowledged before by {row.acknowledged_by}, nothing changed"
    session.show(finding_facts(row) | {"is_new": looked.is_new}, lambda: said)


async def resolve(
    session: Session,
    user: User,
    call: Call,
    kind: Kind,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it stays with the finding.")],
) -> None:
    """Resolve a finding by your word; some kinds end only by what is done about them."""
    named, of_kind = call_id(call), _kind(kind)
    async with session.ledger() as metering:
        whose = await metering.accounts.user_named(user)
        looked = await _inbox(session, metering).resolve(whose, named, of_kind, reason=reason)
    row = looked.finding
    said = f"{_name(row)} is resolved" if looked.is_new else f"{_name(row)} was resolved before, nothing changed"
    session.show(finding_facts(row) | {"is_new": looked.is_new}, lambda: said)


def _inbox(session: Session, metering: "Metering") -> "Inbox":
    from jangbu.metering.inbox import Inbox

    return Inbox(metering.database, metering.accounts, project=session.settings().project)


def _state(name: str) -> "InboxState | None":
    from jangbu.metering.inbox import InboxState

    if name == _ALL:
        return None
    if name not in {each.value for each in InboxState}:
        raise InvalidInput(f"{name[:40]!r} is no state of a finding", hint=f"one of {', '.join((*InboxState, _ALL))}")
    return InboxState(name)


def _kind(name: str) -> "FindingKind":
    from jangbu.metering.inbox import FindingKind

    if name not in {each.value for each in FindingKind}:
        raise InvalidInput(f"{name[:40]!r} is no kind of finding", hint=f"there are {', '.join(FindingKind)}")
    return FindingKind(name)


def _name(row: "InboxRow") -> str:
    return f"{row.kind} of call {row.call}"


def _cells(row: "InboxRow") -> tuple[str, ...]:
    return (
        shown_moment(row.created_at),
        row.kind,
        row.user,
        str(row.call),
        finding_state(row),
        row.resolved_by or row.acknowledged_by or "",
        row.detail if row.resolution is None else f"{row.detail}; {row.resolution}",
    )
