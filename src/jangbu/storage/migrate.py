"""Bringing a database to the schema that this release needs.

Alembic keeps the order of the revisions and writes the SQL; the SQL that `jangbu db sql` shows to a DBA is to the
letter what `jangbu db upgrade` runs, in one transaction under an advisory lock of that transaction. Work on rows that
are there already follows it in pages: see ``chaining``. Alembic is imported only when there is something to write: most
runs of a command find nothing to do.
"""

import io
from collections.abc import Awaitable, Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from jangbu.errors import DatabaseUnreachable
from jangbu.storage.chaining import complete_chains
from jangbu.storage.failures import translated
from jangbu.storage.pooled import lone_connection
from jangbu.storage.statements import statement

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

Note = Callable[[Any, str | None], Awaitable[None]]

HEAD = "0028"
"""The revision that this release needs."""


async def upgrade(dsn: str, note: Note | None = None) -> tuple[str | None, str]:
    """Bring the database to HEAD; give the revision it had (None for an empty one) and the one it has.

    ``note`` is told of an upgrade in its transaction, with the revision that there was.

    Safe to run by many at once and to run again: whoever comes second finds nothing to do, and one that is killed is
    gone on with. Raises
    DatabaseUnreachable for a database that a newer release has upgraded.
    """
    with translated():
        async with lone_connection(dsn) as connection:
            async with connection.transaction():
                await connection.execute(statement("schema_lock"))
                before = await _revision(connection)
                if before != HEAD:
                    await connection.execute(upgrade_sql(before))
                    if note is not None:
                        await note(connection, before)
            await complete_chains(connection)
            return before, HEAD


async def current(dsn: str) -> str | None:
    """Give the revision that the database has, or None for one that was never upgraded."""
    with translated():
        async with lone_connection(dsn) as connection:
            return await _revision(connection)


def require_head(revision: str | None) -> None:
    """Refuse a schema that is not this release's."""
    if revision is None:
        raise DatabaseUnreachable("the database has no ledger yet", hint="run `jangbu db upgrade` to make one")
    if revision != HEAD:
        raise DatabaseUnreachable(
            f"the database has schema revision {revision} and this release needs {HEAD}", hint=way_to_head(revision)
        )


def way_to_head(revision: str) -> str:
    """Say what to do about a schema of another release: revisions are numbered, and none is undone."""
    if revision > HEAD:
        return "use the release of Jangbu that upgraded it, or a newer one"
    return "run `jangbu db upgrade`"


def upgrade_sql(revision: str | None = None) -> str:
    """Give the SQL that leads from a revision (None: an empty database) to HEAD, without BEGIN and COMMIT."""
    from alembic.script import ScriptDirectory

    buffer = io.StringIO()
    buffer.write("CREATE SCHEMA IF NOT EXISTS jangbu;\n\n")
    with as_file(files("jangbu.storage").joinpath("migrations")) as folder:
        script = ScriptDirectory(str(folder))
        if revision is not None and revision not in {known.revision for known in script.walk_revisions()}:
            raise DatabaseUnreachable(
                f"the database has revision {revision}, which this release does not know",
                hint="use the release of Jangbu that upgraded it, or a newer one",
            )
        _write_sql(script, buffer, revision, folder)
    return buffer.getvalue()


def _write_sql(script: "ScriptDirectory", buffer: io.StringIO, revision: str | None, folder: Path) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    with EnvironmentContext(
        config,
        script,
        fn=lambda current, _context: script._upgrade_revs("head", current),
        as_sql=True,
        starting_rev=revision,
        destination_rev="head",
    ) as environment:
        environment.configure(
            dialect_name="postgresql",
            dialect_opts={"paramstyle": "named"},
            output_buffer=buffer,
            version_table_schema="jangbu",
            version_table="schema_revision",
        )
        environment.run_migrations()


async def _revision(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    if await connection.fetchval(statement("schema_find")) is None:
        return None
    found: str | None = await connection.fetchval(statement("schema_revision_find"))
    return found
