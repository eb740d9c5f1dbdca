"""Row-level security: what roles other than the ledger's owner may read of it."""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

import asyncpg

from jangbu.errors import InvalidInput, NotFound
from jangbu.storage.failures import translated

__all__ = ["apply", "policies_sql"]

_CONNECT_SECONDS = 10
_NAME_LENGTH_MAX = 63


def policies_sql(*, role: str, project: str, claim: str | None) -> str:
    """Give the SQL that lets a role read a project's rows, or with a claim those of the user that it names.

    Raises InvalidInput for what is no name of a role or claim.
    """
    for what, name in (("role", role), ("claim", claim)):
        if name is not None and not (name.isprintable() and 0 < len(name.encode()) <= _NAME_LENGTH_MAX):
            raise InvalidInput(f"{name[:40]!r} is no name of a {what}", hint="1 to 63 bytes, printable")
    settings = ", ".join(
        f"set_config('jangbu.policy_{name}', {_literal(value)}, true)"
        for name, value in (("role", role), ("claim", claim or ""), ("project", project))
    )
    text = files("jangbu.storage").joinpath("policies", "read_own.sql").read_text(encoding="utf-8")
    return f"SELECT {settings};\n{text}"


async def apply(dsn: str, sql: str, note: Callable[[Any], Awaitable[None]] | None = None) -> None:
    """Put policies in force, all or none, with what ``note`` writes in their transaction; again it changes nothing.

    Raises NotFound where there is no such role.
    """
    with translated():
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_SECONDS)
        try:
            async with connection.transaction():
                await connection.execute(sql)
                if note is not None:
                    await note(connection)
        except asyncpg.UndefinedObjectError as error:
            raise NotFound(str(error), hint="create the role first: CREATE ROLE name NOLOGIN") from error
        finally:
            await connection.close()


def _literal(text: str) -> str:
    """Write a text as a literal of SQL, whatever the server takes a backslash for."""
    return "U&'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
