"""Row-level security: what roles other than the ledger's owner may read of it, and write."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import asyncpg

from jangbu.domain.ledger import project_id
from jangbu.errors import InvalidInput, NotFound, NotPermitted
from jangbu.storage.database import Database
from jangbu.storage.failures import translated
from jangbu.storage.policies.readable import COSTS, readable
from jangbu.storage.pooled import lone_connection

__all__ = ["Reader", "Standing", "apply", "policies_sql", "readers", "standing", "worker_sql"]

_NAME_LENGTH_MAX = 63


@dataclass(frozen=True, slots=True)
class Standing:
    """How a connection stands to the policies: whether any are in force, and whether its role passes them.

    ``unsettled`` are tables and views that came after the policies: without one, or not to be used by the role.
    """

    role: str
    is_in_force: bool
    passes: bool
    unsettled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """A role that was let read rows, and whether it reads what calls cost.

    ``surplus`` are the relations of which it reads more than such a role is given.
    """

    role: str
    with_costs: bool
    surplus: tuple[str, ...]


def policies_sql(*, role: str, project: str, claim: str | None, with_costs: bool = False) -> str:
    """Give the SQL that lets a role read a project's rows, or with a claim those of the user that it names.

    It reads what a user's own key is shown, and ``with_costs`` what calls cost, too. What else it read before, it reads
    no more. Raises InvalidInput for what is no name of a role or claim.
    """
    _require_name("role", role)
    if claim is not None:
        _require_name("claim", claim)
    columns = json.dumps(readable(with_costs=with_costs))
    return _script("readers_views.sql", "read_own.sql", role=role, claim=claim or "", project=project, columns=columns)


def worker_sql(*, role: str, project: str) -> str:
    """Give the SQL that lets a role read and write a project's rows and no other's: what Jangbu may connect as.

    Raises InvalidInput for what is no name of a role.
    """
    _require_name("role", role)
    return _script("own_project.sql", role=role, project=project, project_id=str(project_id(project)))


async def standing(database: Database) -> Standing:
    """Tell how the connections stand to the policies."""
    row = await database.row("policy_show")
    assert row is not None, "one row of a role"
    return Standing(row["role"], row["is_in_force"], row["passes"], tuple(row["unsettled"]))


async def readers(database: Database) -> list[Reader]:
    """Tell which roles were let read rows, and how much of them they read."""
    rows = await database.rows("policy_readers", json.dumps(readable(with_costs=True)), list(COSTS))
    return [Reader(row["role"], row["with_costs"], tuple(row["surplus"])) for row in rows]


async def apply(dsn: str, sql: str, note: Callable[[Any], Awaitable[None]] | None = None) -> None:
    """Put policies in force, all or none, with what ``note`` writes in their transaction; again it changes nothing.

    Raises NotFound where there is no such role, and NotPermitted for one that would pass the policies.
    """
    with translated():
        try:
            async with lone_connection(dsn) as connection, connection.transaction():
                await connection.execute(sql)
                if note is not None:
                    await note(connection)
        except asyncpg.UndefinedObjectError as error:
            raise NotFound(str(error), hint="create the role first: CREATE ROLE name NOLOGIN") from error
        except asyncpg.RaiseError as error:
            raise NotPermitted(str(error), hint="make a role of its own for this: CREATE ROLE name LOGIN") from error


def _require_name(what: str, name: str) -> None:
    if not (name.isprintable() and 0 < len(name.encode()) <= _NAME_LENGTH_MAX):
        raise InvalidInput(f"{name[:40]!r} is no name of a {what}", hint="1 to 63 bytes, printable")


def _script(*names: str, **given: str) -> str:
    """Give scripts with what they are told, as settings of the transaction that they run in."""
    settings = ", ".join(
        f"set_config('jangbu.policy_{each}', {_literal(value)}, true)" for each, value in given.items()
    )
    text = "".join(files("jangbu.storage").joinpath("policies", name).read_text(encoding="utf-8") for name in names)
    return f"SELECT {settings};\n{text}"


def _literal(text: str) -> str:
    """Write a text as a literal of SQL, whatever the server takes a backslash for."""
    return "U&'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
