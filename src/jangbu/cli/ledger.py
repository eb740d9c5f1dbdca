"""``ledger``: an account's entries, and corrections, which are entries with a reason."""

from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.accounts import User
from jangbu.cli.commands import DefaultVerb, command, group
from jangbu.cli.money import counted
from jangbu.cli.output import shown_moment
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import call_id, whole_number
from jangbu.metering.facts import balance_facts, entry_facts

if TYPE_CHECKING:
    from jangbu.metering.postings import Posted
    from jangbu.storage.entries import EntryRow

__all__ = ["CallId", "Key", "Reason", "ledger", "register"]

CallId = Annotated[str, typer.Argument(metavar="CALL", help="The id of the call.")]
Reason = Annotated[str, typer.Option(metavar="R", help="Why; it stays in the history.")]
Key = Annotated[str, typer.Option(metavar="K", help="What makes this correction the same when it is repeated.")]

ledger = group(
    "ledger",
    "Show a user's entries (`ledger USER`), correct them with a reason, export them.",
    cls=DefaultVerb,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(ledger)


@command(ledger, "show")
async def show(
    session: Session,
    user: User,
    limit: Annotated[str, typer.Option(metavar="N", help="How many entries at most.")] = "100",
    before: Annotated[
        str | None, typer.Option(metavar="SEQ", help="Only entries before this one.", show_default=False)
    ] = None,
) -> None:
    """Show a user's entries, newest first; `ledger USER` does the same."""
    most = whole_number(limit, "limit", least=1, most=100_000)
    earlier = None if before is None else whole_number(before, "before", least=1)
    async with session.ledger() as metering:
        user = await metering.accounts.user_named(user)
        entries = await metering.accounts.history(user, before=earlier, limit=most)
        account = await metering.accounts.find(user)
    following = entries[-1].seq if len(entries) == most and entries[-1].seq > 1 else None

    def text() -> str:
        columns = ("seq>", "time", "kind", "delta>", "balance_after>", "reference", "reason", "key")
        more = "" if following is None else f"\n(more: --before {following})"
        return table(columns, [_cells(entry) for entry in entries], empty="no entries") + more

    session.show({"user": account.user, "entries": [entry_facts(each) for each in entries], "next": following}, text)


@command(ledger, "refund")
async def refund(
    session: Session,
    user: User,
    call: CallId,
    tokens: Annotated[str, typer.Argument(metavar="TOKENS", help="How many to give back, of what it was charged.")],
    reason: Reason,
    key: Key,
) -> None:
    """Give back part of what a call was charged; its record stays."""
    from jangbu.domain.ledger import TOKENS_MAX

    amount = whole_number(tokens, "the amount of tokens", least=1, most=TOKENS_MAX)
    named = call_id(call)
    async with session.ledger() as metering:
        user = await metering.accounts.user_named(user)
        posted = await metering.accounts.refund(user, named, amount, reason=reason, key=key)
    _show_posted(session, user, posted, f"{counted(amount, 'token')} given back")


@command(ledger, "adjust")
async def adjust(
    session: Session,
    user: User,
    tokens: Annotated[str, typer.Argument(metavar="TOKENS", help="How many to add, or below zero to take away.")],
    reason: Reason,
    key: Key,
) -> None:
    """Correct a balance, up or down (`-500`)."""
    from jangbu.domain.ledger import TOKENS_MAX

    delta = whole_number(tokens, "the amount of tokens", least=-TOKENS_MAX, most=TOKENS_MAX)
    async with session.ledger() as metering:
        user = await metering.accounts.user_named(user)
        posted = await metering.accounts.adjust(user, delta, reason=reason, key=key)
    _show_posted(session, user, posted, f"balance adjusted by {counted(delta, 'token', '+')}")


@command(ledger, "void")
async def void(session: Session, user: User, call: CallId, reason: Reason) -> None:
    """Give back all that a call was charged, once; its record stays."""
    named = call_id(call)
    async with session.ledger() as metering:
        user = await metering.accounts.user_named(user)
        posted = await metering.accounts.void(user, named, reason=reason)
    _show_posted(session, user, posted, f"call {named} voided")


def _cells(entry: "EntryRow") -> tuple[str, ...]:
    return (
        str(entry.seq),
        shown_moment(entry.created_at),
        entry.kind.value,
        f"{entry.delta:+,}",
        f"{entry.balance_after:,}",
        "" if entry.reference is None else str(entry.reference),
        entry.reason or "",
        entry.given_key or "",
    )


def _show_posted(session: Session, user: str, posted: "Posted", done: str) -> None:
    said = f"nothing changed: {done} before with this key" if posted.replayed else done
    session.show(
        {"id": posted.id, "user": user, "replayed": posted.replayed, **balance_facts(posted.balance)},
        lambda: f"{said}; {posted.balance.available:,} available to {user}",
    )
