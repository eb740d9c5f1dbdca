"""What signs the tokens of users' own views."""

from datetime import datetime

from jangbu.storage.database import Connection, Database
from jangbu.storage.statements import statement


async def find(database: Database, project: str) -> tuple[bytes, datetime] | None:
    """Give the secret of a project and the database's time, or None where there is no secret yet."""
    row = await database.row("view_key_find", project)
    return None if row is None else (row["secret"], row["now"])


async def make(database: Database, project: str, secret: bytes) -> None:
    """Keep a secret for a project that has none; where it has one, that stays."""
    await database.rows("view_key_make", project, secret)


async def replace(connection: Connection, project: str, secret: bytes) -> None:
    """Put a secret in the place of the project's."""
    await connection.execute(statement("view_key_replace"), project, secret)
