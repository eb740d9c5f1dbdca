"""``keys``: who may call the gateway, and how much."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jangbu.cli.commands import command, group
from jangbu.cli.money import counted
from jangbu.cli.output import shown_moment
from jangbu.cli.session import Session
from jangbu.cli.tables import pairs, table
from jangbu.cli.values import moment, whole_number
from jangbu.errors import InvalidInput
from jangbu.metering.facts import key_facts

if TYPE_CHECKING:
    from datetime import datetime

    from jangbu.domain.keys import Key

__all__ = ["register"]

_ADVICE = (
    "This is the only time that the key is shown: keep it now, like a password. It goes where a Gemini key would go."
)

Payer = Annotated[
    str | None, typer.Option(metavar="USER", help="A key whose calls this user pays for.", show_default=False)
]
AppName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A key of an app, which names the user of each call.", show_default=False),
]
KeyName = Annotated[str | None, typer.Option(metavar="N", help="What a user's key is for.", show_default="the user")]
Scopes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="S",
        help="What it may do, again for each: generate, embed, files, caches, batches, interactions, live, models, "
        "openai; account, to read the user's own.",
        show_default="everything",
    ),
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        metavar="R",
        help="What an app's key may do through the API, again for each: owner, finance, developer, viewer, analytics, "
        "views; it calls Gemini only with scopes beside them.",
        show_default="none",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(metavar="M", help="What it may call, again for each: a model, or gemini-2.5-*.", show_default="all"),
]
Requests = Annotated[str | None, typer.Option(metavar="N", help="How many requests a minute.", show_default="any")]
Tokens = Annotated[str | None, typer.Option(metavar="N", help="How many tokens a minute.", show_default="any")]
Calls = Annotated[str | None, typer.Option(metavar="N", help="How many calls at a time.", show_default="any")]
Expiry = Annotated[str | None, typer.Option(metavar="T", help="When it ends (ISO 8601).", show_default="never")]

_ROLE = "api:"

keys = group("keys", "Make, list and revoke the keys of the gateway and of the API.")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(keys)


@command(keys, "create")
async def create(
    session: Session,
    *,
    user: Payer = None,
    app: AppName = None,
    name: KeyName = None,
    role: Roles = None,
    scope: Scopes = None,
    model: Models = None,
    requests_per_minute: Requests = None,
    tokens_per_minute: Tokens = None,
    concurrent_calls: Calls = None,
    expires: Expiry = None,
) -> None:
    """Make a key and show it, once."""
    if (user is None) == (app is None):
        raise InvalidInput("say whose key it is", hint="give either --user USER or --app NAME")
    if app is not None and name is not None:
        raise InvalidInput("an app's key is named by --app", hint="leave --name away")
    limits: dict[str, Any] = {
        "scopes": [*_scopes_of(role or ()), *(scope or ())] or None,
        "models": model or None,
        "requests_per_minute": _limit(requests_per_minute, "requests a minute"),
        "tokens_per_minute": _limit(tokens_per_minute, "tokens a minute"),
        "concurrent_calls": _limit(concurrent_calls, "concurrent calls"),
        "expires_at": None if expires is None else moment(expires, "the expiry"),
    }
    async with session.ledger() as metering:
        if user is None:
            key, secret = await metering.keys.create_for_app(app or "", **limits)
        else:
            user = await metering.accounts.user_named(user)
            key, secret = await metering.keys.create_for_user(user, name=user if name is None else name, **limits)
    facts = {"key": secret} | key_facts(key, key.created_at)
    session.show(facts, lambda: pairs([("key", secret), *_shown(key)]) + "\n\n" + _ADVICE)


@command(keys, "list")
async def list_keys(
    session: Session,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Only this user's.", show_default=False)] = None,
    limit: Annotated[str, typer.Option(metavar="N", help="How many at most.")] = "100",
) -> None:
    """List keys, newest first; the keys themselves are stored nowhere, only their beginnings."""
    most = whole_number(limit, "limit", least=1, most=100_000)
    async with session.ledger() as metering:
        if user is not None:
            user = (await metering.accounts.find(await metering.accounts.user_named(user))).user
        found = await metering.keys.list(user, most)
        now = await metering.database.now()
    columns = ("id", "kind", "name", "user", "hint", "limits", "created", "last used", "state")

    def text() -> str:
        more = f"\n(more: --limit {most * 10})" if len(found) == most else ""
        rows = [_cells(key, now) for key in found]
        return table(columns, rows, empty="no keys; make one with `jangbu keys create --user USER`") + more

    session.show({"keys": [key_facts(key, now) for key in found]}, text)


@command(keys, "revoke")
async def revoke(
    session: Session,
    key: Annotated[
        str, typer.Argument(metavar="ID", help="The id of the key, or its hint, its name or the key, where one has it.")
    ],
) -> None:
    """End a key for good, and the keys that it made over the API: every gateway refuses them within five seconds.

    Again it changes nothing.
    """
    async with session.ledger() as metering:
        revoked, was_in_force, others = await metering.keys.revoke(key)
        now = await metering.database.now()
    said = "is revoked" if was_in_force else "was revoked before, nothing changed"
    more = f", and {counted(others, 'key')} that it made" if others else ""
    session.show(
        key_facts(revoked, now) | {"was_in_force": was_in_force, "ended_with_it": others},
        lambda: f"key {revoked.id} ({revoked.hint}…, {revoked.name}) {said}{more}",
    )


def _scopes_of(roles: Sequence[str]) -> list[str]:
    """Give the scopes by which a key has roles. Raises InvalidInput."""
    from jangbu.domain.keys import Role

    known = [role.value.removeprefix(_ROLE) for role in Role if role.value.startswith(_ROLE)]
    wrong = next((role for role in roles if role not in known), None)
    if wrong is not None:
        raise InvalidInput(f"{wrong[:40]!r} is no role of a key", hint=f"one of {', '.join(known)}")
    return [_ROLE + role for role in roles]


def _limit(text: str | None, what: str) -> int | None:
    return None if text is None else whole_number(text, what, least=1)


def _shown(key: "Key") -> list[tuple[str, str]]:
    return [
        ("id", str(key.id)),
        ("kind", key.kind),
        ("name", key.name),
        *([("user", key.user)] if key.user is not None else []),
        ("limits", _limits(key)),
        ("expires", shown_moment(key.expires_at) or "never"),
    ]


def _cells(key: "Key", now: "datetime") -> tuple[str, ...]:
    state = key.state(now)
    until = f" until {shown_moment(key.expires_at)}" if state == "active" and key.expires_at else ""
    return (
        str(key.id),
        key.kind,
        key.name,
        key.user or "",
        key.hint,
        _limits(key),
        shown_moment(key.created_at),
        shown_moment(key.last_used_at) or "never",
        state + until,
    )


def _limits(key: "Key") -> str:
    """Say in one cell what a key may do and how much of it."""
    parts = [
        None if key.scopes is None else "+".join(key.scopes) or "nothing",
        None if key.models is None else "+".join(key.models) or "no model",
        None if key.requests_per_minute is None else f"{key.requests_per_minute:,} requests/min",
        None if key.tokens_per_minute is None else f"{key.tokens_per_minute:,} tokens/min",
        None if key.concurrent_calls is None else f"{key.concurrent_calls:,} at a time",
    ]
    return ", ".join(part for part in parts if part is not None) or "none"
