"""``grant``: tokens for a user, once for a key, or for the many users of a file."""

from typing import Annotated

import typer

from jangbu.cli.grant_files import grant_file
from jangbu.cli.money import counted
from jangbu.cli.session import Session
from jangbu.cli.values import moment, whole_number
from jangbu.errors import InvalidInput
from jangbu.metering.facts import balance_facts

__all__ = ["grant"]

User = Annotated[
    str | None,
    typer.Argument(metavar="[USER]", help="The app's own user id, or a full account id.", show_default=False),
]
Tokens = Annotated[
    str | None,
    typer.Argument(metavar="[TOKENS]", help="How many tokens were bought or are given.", show_default=False),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="K",
        help="What makes this grant, or this file, the same one when it is repeated: a new month, a new key.",
        show_default=False,
    ),
]
Expires = Annotated[
    str | None, typer.Option(metavar="T", help="When what is left of it expires (ISO 8601).", show_default=False)
]
Priority = Annotated[
    str | None, typer.Option(metavar="N", help="Lower burns first among equal expiries.", show_default="0")
]
Source = Annotated[str | None, typer.Option(metavar="S", help="Where it comes from.", show_default="purchase")]
File = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Grant what a CSV says; - is standard input.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="With --file: only look at its lines.")]
Yes = Annotated[bool, typer.Option("--yes", help="With --file: grant without asking.")]


async def grant(
    session: Session,
    user: User = None,
    tokens: Tokens = None,
    *,
    key: Key = None,
    expires: Expires = None,
    priority: Priority = None,
    source: Source = None,
    file: File = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Give a user tokens, once for the key; or with --file each user that a CSV names.

    A file's first line names its columns: user,tokens and where they are wanted expires,priority,source. All lines are
    looked at first, and nothing is granted where one is wrong. The same command goes on with what was broken off: under
    one key nobody is granted twice.
    """
    if file is not None:
        _require_none("--file", USER=user, TOKENS=tokens, expires=expires, priority=priority, source=source)
        if key is None:
            raise InvalidInput(
                "a file of grants needs a --key",
                hint="under one key nobody is granted twice; a new month, a new key, like --key 2027-01",
            )
        await grant_file(session, file, key, dry_run=dry_run, yes=yes)
        return
    _require_none("a grant to one user", dry_run=dry_run or None, yes=yes or None)
    if user is None or tokens is None or key is None:
        raise typer.BadParameter("name a USER, TOKENS and a --key, or a --file and a --key")
    await _grant(session, user, tokens, key, expires, priority or "0", "purchase" if source is None else source)


async def _grant(
    session: Session, user: str, tokens: str, key: str, expires: str | None, priority: str, source: str
) -> None:
    from jangbu.domain.ledger import TOKENS_MAX

    amount = whole_number(tokens, "the amount of tokens", least=1, most=TOKENS_MAX)
    order = whole_number(priority, "priority", least=-(2**31), most=2**31 - 1)
    expires_at = None if expires is None else moment(expires, "the expiry")
    async with session.ledger() as metering:
        user = await metering.accounts.user_named(user)
        posted = await metering.accounts.grant(
            user, amount, key=key, source=source, priority=order, expires_at=expires_at
        )
        account = await metering.accounts.find(user)
    facts = {"id": posted.id, "user": account.user, "amount": amount, "key": key, "source": source} | {
        "priority": order,
        "expires_at": expires_at,
        "replayed": posted.replayed,
    }
    said = "had been granted before with this key" if posted.replayed else "granted"
    session.show(
        facts | balance_facts(posted.balance),
        lambda: f"{counted(amount, 'token')} {said} to {account.user}: {posted.balance.available:,} available",
    )


def _require_none(what: str, **given: object) -> None:
    """Refuse what means nothing beside the rest: nobody shall think that it was heeded."""
    for name, value in given.items():
        if value is not None:
            shown = name if name.isupper() else f"--{name.replace('_', '-')}"
            raise InvalidInput(f"{shown} does not go with {what}", hint="see `jangbu grant --help`")
