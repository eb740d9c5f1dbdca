"""``accounts``, ``grant`` and ``balance``: who pays, and what they have."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jangbu.cli.commands import command, group
from jangbu.cli.grants import grant
from jangbu.cli.money import tokens as grouped
from jangbu.cli.output import shown_moment
from jangbu.cli.session import Session
from jangbu.cli.tables import pairs, table
from jangbu.cli.values import whole_number
from jangbu.errors import InvalidInput
from jangbu.metering.facts import account_facts, balance_facts, expiring_facts, grant_facts

if TYPE_CHECKING:
    from jangbu.domain.forecast import Expiring
    from jangbu.domain.ledger import Balance, Grant

__all__ = ["User", "register"]

User = Annotated[str, typer.Argument(metavar="USER", help="The app's own user id, or a full account id.")]

accounts = group("accounts", "Open, show, list, block and erase accounts.")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(accounts)
    command(app, "grant")(grant)
    command(app, "balance")(balance)


@command(accounts, "create")
async def create(session: Session, user: User) -> None:
    """Open an account for a user; again it changes nothing."""
    async with session.ledger() as metering:
        is_new = await metering.accounts.create(user)
        account = await metering.accounts.find(user)
    said = "opened" if is_new else "was open already"
    session.show(account_facts(account) | {"is_new": is_new}, lambda: f"account of {user} {said}")


@command(accounts, "show")
async def show(session: Session, user: User) -> None:
    """Show an account, its balance and the grants that are left."""
    async with session.ledger() as metering:
        user = await metering.accounts.user_named(user)
        grants = await metering.accounts.grants(user)
        account = await metering.accounts.find(user)
    facts = account_facts(account)

    def text() -> str:
        return pairs(_readable(facts)) + "\n\n" + _grants_table(grants)

    session.show(facts | {"grants": [grant_facts(each) for each in grants]}, text)


@command(accounts, "list")
async def list_accounts(
    session: Session,
    after: Annotated[str, typer.Option(metavar="USER", help="Begin after this user.", show_default=False)] = "",
    limit: Annotated[str, typer.Option(metavar="N", help="How many at most.")] = "100",
) -> None:
    """List accounts in the order of their users."""
    most = whole_number(limit, "limit", least=1, most=100_000)
    async with session.ledger() as metering:
        found = await metering.accounts.page(after, most)
    following = found[-1].user if len(found) == most else None

    def text() -> str:
        columns = ("user", "state", "balance>", "used>", "held>", "available>")
        rows = [(each.user, each.state, *_balance_cells(each.balance)) for each in found]
        more = "" if following is None else f"\n(more: --after {following})"
        return table(columns, rows, empty="no accounts; open one with `jangbu accounts create USER`") + more

    session.show({"accounts": [account_facts(each) for each in found], "next": following}, text)


@command(accounts, "block")
async def block(
    session: Session,
    user: User,
    unblock: Annotated[bool, typer.Option("--unblock", help="Admit the user's calls again.")] = False,
) -> None:
    """Refuse new calls of a user; what is under way is still recorded."""
    async with session.ledger() as metering:
        user = await metering.accounts.user_named(user)
        await metering.accounts.block(user, not unblock)
        account = await metering.accounts.find(user)
    session.show(account_facts(account), lambda: f"account of {account.user} is {account.state}")


@command(accounts, "erase")
async def erase(
    session: Session,
    user: User,
    yes: Annotated[bool, typer.Option("--yes", help="Erase without asking.")] = False,
) -> None:
    """Forget who a user was: their name, keys, tags and files. What they used stays in every sum, and names nobody.

    There is no way back. Calls under that id are refused from then on. Again it forgets what came since.
    """
    async with session.ledger() as metering:
        from jangbu.metering.erasing import erase as forget
        from jangbu.metering.erasing import to_erase

        user = await metering.accounts.user_named(user)
        await to_erase(metering, user)
        if not yes and not session.agrees(f"Forget who {user} was, for good?"):
            raise InvalidInput("nothing was erased", hint="give --yes to erase")
        erased = await forget(metering, session.settings().project, user)
    facts = {"account_id": str(erased.account), "name": erased.name, "is_new": erased.is_new}
    session.show(facts, lambda: f"erased; the account is listed as {erased.name}")


@command(accounts, "view-token")
async def view_token(
    session: Session,
    user: User,
    seconds: Annotated[str, typer.Option(metavar="N", help="For how many seconds it is good, at most 3600.")] = "900",
) -> None:
    """Make a token by which a user's own view may be read for a while; it is stored nowhere."""
    lasting = whole_number(seconds, "the number of seconds")
    async with session.ledger() as metering:
        made = await metering.view_tokens.make(await metering.accounts.user_named(user), lasting)
    session.show({"user": made.user, "token": made.text, "expires_at": made.expires_at}, lambda: made.text)


@command(accounts, "revoke-view-tokens")
async def revoke_view_tokens(session: Session) -> None:
    """End all tokens of views that were made until now, everybody's, at once."""
    async with session.ledger() as metering:
        await metering.view_tokens.revoke_all()
    session.show({"revoked": True}, lambda: "no token that was made until now opens a view any more")


async def balance(session: Session, user: User) -> None:
    """Show what a user was granted, net of corrections, used, holds and has left, and what expires within a week."""
    async with session.ledger() as metering:
        user = await metering.accounts.user_named(user)
        found, expiring = await metering.accounts.balance_and_expiring(user)
    facts = {"user": user, **balance_facts(found), "expiring": expiring_facts(expiring)}

    def text() -> str:
        shown = table(_BALANCE_COLUMNS, [(user, *_balance_cells(found))])
        return shown if expiring is None else f"{shown}\n{_expiring_line(expiring)}"

    session.show(facts, text)


_BALANCE_COLUMNS = ("user", "balance>", "used_tokens>", "held_tokens>", "available>")


def _balance_cells(found: "Balance") -> tuple[str, str, str, str]:
    return (grouped(found.granted), grouped(found.used), grouped(found.held), grouped(found.available))


def _expiring_line(found: "Expiring") -> str:
    first, last = shown_moment(found.first_at), shown_moment(found.last_at)
    if found.tokens == 1:
        return f"1 token expires on {last} unless it is used before"
    if first == last:
        return f"{grouped(found.tokens)} tokens expire on {last} unless they are used before"
    return f"{grouped(found.tokens)} tokens expire by {last} unless they are used before, the first of them on {first}"


def _readable(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (
            name,
            grouped(value) if isinstance(value, int) else shown_moment(value) if name == "created_at" else str(value),
        )
        for name, value in facts.items()
    ]


def _grants_table(grants: "tuple[Grant, ...]") -> str:
    rows = [
        (
            str(each.id),
            each.source,
            grouped(each.amount),
            grouped(each.remaining),
            str(each.priority),
            shown_moment(each.expires_at) or "never",
        )
        for each in grants
    ]
    return table(("grant", "source", "amount>", "remaining>", "priority>", "expires"), rows, empty="no grants are left")
