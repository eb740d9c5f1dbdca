"""``config``: each setting, its value and where it came from."""

from typing import Any

import typer

from jangbu.cli.commands import command, group
from jangbu.cli.session import Session
from jangbu.cli.tables import table

__all__ = ["register"]

configuration = group("config", "Show the settings.")

_MASK = "****"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(configuration)


@command(configuration, "show")
def show(session: Session) -> None:
    """Show every setting with its origin; secrets are masked."""
    settings = session.settings()
    given = session.given()
    origins = dict(settings.origins()) | dict.fromkeys(given, "argument")
    if "data_dir" in given:
        origins["database_url"] = "argument"
    described = {name: field.description or "" for name, field in type(settings).model_fields.items()}
    values = {name: _shown(getattr(settings, name)) for name in described}
    rows = [
        (name, "" if value is None else str(value), origins[name], described[name]) for name, value in values.items()
    ]
    session.show(
        {name: {"value": value, "origin": origins[name]} for name, value in values.items()},
        lambda: table(("setting", "value", "origin", "meaning"), rows),
    )


def _shown(value: Any) -> str | int | bool | None:
    """Give a value without its secret: of an address, the password; of a key, everything."""
    from pydantic import SecretStr

    if isinstance(value, SecretStr):
        return _without_password(value.get_secret_value())
    return value if value is None or isinstance(value, int) else str(value)


def _without_password(secret: str) -> str:
    from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

    found = urlsplit(secret)
    if not found.scheme.startswith("postgres"):
        return _MASK
    place = found.netloc.rpartition("@")[2]
    if found.username is not None:
        place = (
            f"{quote(found.username)}:{_MASK}@{place}" if found.password is not None else f"{found.username}@{place}"
        )
    hidden = [(name, _MASK if "password" in name.lower() else value) for name, value in parse_qsl(found.query, True)]
    return urlunsplit((found.scheme, place, found.path, urlencode(hidden, safe="/*:"), ""))
