"""``db``: the schema, for those who run their own PostgreSQL."""

from typing import Annotated

import typer

from jangbu.cli.commands import command, group
from jangbu.cli.output import write_data
from jangbu.cli.session import Session

__all__ = ["register"]

databases = group("db", "Upgrade the schema, or print the SQL for a database administrator.")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(databases)


@command(databases, "upgrade")
async def upgrade(session: Session) -> None:
    """Bring the database to the schema of this release; again it changes nothing."""
    settings = session.settings()
    from jangbu.storage import migrate
    from jangbu.wiring import database_address

    async with database_address(settings) as dsn:
        before, after = await migrate.upgrade(dsn)
    if before == after:
        said = f"the schema is at revision {after} already"
    else:
        said = f"the schema was upgraded from {before or 'nothing'} to revision {after}"
    session.show({"before": before, "after": after}, lambda: said)


@command(databases, "sql")
def sql(
    session: Session,
    revision: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="REVISION", help="The revision to upgrade from.", show_default="an empty database"
        ),
    ] = None,
) -> None:
    """Print the SQL that `db upgrade` runs; it touches no database."""
    from jangbu.storage.migrate import HEAD, upgrade_sql

    text = upgrade_sql(revision)
    if session.as_json:
        session.show({"before": revision, "after": HEAD, "sql": text}, lambda: text)
    else:
        write_data(f"BEGIN;\n\n{text.rstrip()}\n\nCOMMIT;")
