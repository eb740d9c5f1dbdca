"""``config``: each setting, its value and where it came from."""

from typing import TYPE_CHECKING, Any

import typer

from jangbu.cli.commands import command, group
from jangbu.cli.session import Session
from jangbu.cli.tables import table

if TYPE_CHECKING:
    from jangbu.config import Settings

__all__ = ["register", "without_password"]

configuration = group("config", "Show the settings.")

_MASK = "****"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(configuration)


@command(configuration, "show")
def show(session: Session) -> None:
    """Show every setting with its origin; secrets are masked."""
    settings = session.settings()
    from jangbu.config import variable_of

    given = session.given()
    origins = dict(settings.origins()) | dict.fromkeys(given, "argument")
    if "data_dir" in given:
        origins["database_url"] = "argument"
    described = {name: field.description or "" for name, field in type(settings).model_fields.items()}
    values = {name: _shown(getattr(settings, name)) for name in described}
    values["data_dir"] = _data_dir(settings)
    rows = [
        (name, "" if value is None else str(value), origins[name], variable_of(name), described[name])
        for name, value in values.items()
    ]
    session.show(
        {
            name: {"value": value, "origin": origins[name], "variable": variable_of(name)}
            for name, value in values.items()
        },
        lambda: table(("setting", "value", "origin", "variable", "meaning"), rows),
    )


def _data_dir(settings: "Settings") -> str | None:
    """Give the directory that is in effect; with one's own server there is none, unless one was named."""
    from jangbu.storage.embedded import default_data_dir

    if settings.data_dir is None and settings.database_url is not None:
        return None
    return str((settings.data_dir or default_data_dir()).absolute())


def _shown(value: Any) -> str | int | bool | None:
    """Give a value without its secret: of an address, the password; of a key, everything."""
    from pydantic import SecretStr

    if isinstance(value, SecretStr):
        return without_password(value.get_secret_value())
    return value if value is None or isinstance(value, int) else str(value)


def without_password(secret: str) -> str:
    """Give an address of a database without its password; what is no such address is hidden altogether."""
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
