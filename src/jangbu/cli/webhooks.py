"""``webhooks``: what the app was told of its users, whether it arrived, and to send it again."""

from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.channel_tests import tested
from jangbu.cli.commands import command, group
from jangbu.cli.exits import ExitCode
from jangbu.cli.money import counted
from jangbu.cli.output import shown_moment
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import call_id, whole_number
from jangbu.errors import InvalidInput
from jangbu.metering.alert_facts import event_facts, event_state

if TYPE_CHECKING:
    from jangbu.domain.webhooks import EventKind
    from jangbu.storage.webhooks import EventRow

__all__ = ["register"]

webhooks = group("webhooks", "Show what your app was told of its users, send it again, test the webhook.")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(webhooks)


@command(webhooks, "list")
async def list_events(
    session: Session,
    undelivered: Annotated[bool, typer.Option("--undelivered", help="Only those that did not arrive.")] = False,
    user: Annotated[str | None, typer.Option(metavar="U", help="Only those of this user.", show_default=False)] = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="T", help="Only those of a type.", show_default=False)
    ] = None,
    limit: Annotated[str, typer.Option(metavar="N", help="How many at most.")] = "100",
) -> None:
    """List events, newest first."""
    most = whole_number(limit, "limit", least=1, most=100_000)
    kinds = _kinds(kind)
    async with session.ledger() as metering:
        found = await metering.webhooks.page(kinds=kinds, only_undelivered=undelivered, user=user, limit=most)
    columns = ("id", "told", "event", "user", "state", "tries>", "why not", "what")
    session.show(
        {"events": [event_facts(row) for row in found]},
        lambda: table(columns, map(_cells, found), empty="no events"),
    )


@command(webhooks, "send-again")
async def send_again(
    session: Session, event: Annotated[str, typer.Argument(metavar="ID", help="The event; `webhooks list` shows it.")]
) -> None:
    """Have an event sent again under its id, whatever became of it, by whatever process has the webhook."""
    wanted = call_id(event, "an event")
    async with session.ledger() as metering:
        row, _ = await metering.webhooks.send_again(wanted)
    session.show(event_facts(row), lambda: f"event {row.event.id} ({row.event.kind}) is sent again")


@command(webhooks, "send-all-again")
async def send_all_again(
    session: Session,
    user: Annotated[str | None, typer.Option(metavar="U", help="Only those of this user.", show_default=False)] = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="T", help="Only those of a type.", show_default=False)
    ] = None,
) -> None:
    """Have all events that were given up sent again under their ids, up to 10,000 at once."""
    wanted = None if kind is None else _kinds(kind)[0]
    async with session.ledger() as metering:
        sent, _ = await metering.webhooks.send_all_again(wanted, user=user)
    session.show(
        {"sent_again": sent}, lambda: f"{counted(sent, 'event')} sent again" if sent else "nothing was given up"
    )


@command(webhooks, "test")
async def test(session: Session) -> None:
    """Send a test event to the webhook now, and say whether it arrived; exit 1 unless it did."""
    from uuid import uuid4

    from jangbu.alerts.app_webhook import app_webhook_of
    from jangbu.clock import SystemClock
    from jangbu.domain.webhooks import Event, EventKind
    from jangbu.errors import AlertUndelivered, InvalidSettings
    from jangbu.metering.channels import APP

    settings = session.settings()
    webhook = app_webhook_of(settings)
    if webhook is None:
        raise InvalidSettings("there is no webhook", hint="set JANGBU_WEBHOOK_URL and JANGBU_WEBHOOK_SECRET")
    event = Event(uuid4(), settings.project, EventKind.TEST, "nobody", SystemClock().now(), {})

    async def send() -> AlertUndelivered | None:
        try:
            await webhook.send(event)
        except AlertUndelivered as refused:
            return refused
        return None

    results, is_noted = await tested(session, {APP: send})
    error = results[APP]
    facts = {"message": error and error.message, "hint": (error and error.hint) or None}
    session.show(
        {"ok": error is None, "noted": is_noted, **facts},
        lambda: "the test event arrived" if error is None else f"the test event did not arrive: {error}",
    )
    if error is not None:
        raise typer.Exit(ExitCode.FAILURE)


def _kinds(name: str | None) -> "tuple[EventKind, ...]":
    from jangbu.domain.webhooks import EventKind

    known = tuple(EventKind)
    if name is not None and name not in {each.value for each in known}:
        raise InvalidInput(f"{name[:40]!r} is no event", hint=f"there are {', '.join(known)}")
    return known if name is None else (EventKind(name),)


def _cells(row: "EventRow") -> tuple[str, ...]:
    return (
        str(row.event.id),
        shown_moment(row.event.created_at),
        row.event.kind.value,
        row.event.user,
        event_state(row),
        f"{row.attempts:,}",
        row.error or "",
        ", ".join(f"{name} {_said(value)}" for name, value in row.event.facts.items()),
    )


def _said(value: int | str | list[str]) -> str:
    return " ".join(value) if isinstance(value, list) else f"{value:,}" if isinstance(value, int) else value
