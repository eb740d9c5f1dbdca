"""Price books that were ever in force, whole and unchanged."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from jangbu.storage.database import Connection, Database, Row
from jangbu.storage.failures import translated
from jangbu.storage.statements import statement


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """A stored price book; ``book`` is its JSON text, empty in a listing."""

    version: int
    digest: bytes
    note: str
    created_at: datetime
    book: str = ""


@asynccontextmanager
async def writing(database: Database, project: str) -> AsyncIterator[Connection]:
    """Lend a connection in a transaction in which nobody else writes a book of the project."""
    with translated():
        async with database.connection() as connection, connection.transaction():
            await connection.execute(statement("price_version_lock"), project)
            yield connection


async def add(connection: Connection, project: str, digest: bytes, book: str, note: str) -> tuple[int, bool]:
    """Put a book in force while ``writing``; give its version, and whether it is new."""
    row = await connection.fetchrow(statement("price_version_add"), project, digest, book, note)
    assert row is not None, "a book is added or is there"
    return row["version"], row["is_new"]


async def newest(source: Database | Connection, project: str) -> PriceVersion | None:
    """Give the book in force, or None."""
    if isinstance(source, Database):
        return _version(await source.row("price_version_newest", project))
    return _version(await source.fetchrow(statement("price_version_newest"), project))


async def find(database: Database, project: str, version: int) -> PriceVersion | None:
    """Give a project's book by its version, or None."""
    return _version(await database.row("price_version_find", project, version))


async def history(database: Database, project: str, limit: int, before: int | None = None) -> Sequence[PriceVersion]:
    """Give the versions of a project, newest first, from the one before ``before``, without their books."""
    rows = await database.rows("price_version_list", project, limit, before)
    return [PriceVersion(row["version"], bytes(row["digest"]), row["note"], row["created_at"]) for row in rows]


def _version(row: Row | None) -> PriceVersion | None:
    if row is None:
        return None
    return PriceVersion(row["version"], bytes(row["digest"]), row["note"], row["created_at"], row["book"])
