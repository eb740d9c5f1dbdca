"""Keys of the gateway. A secret never comes here: keys are kept and asked for by its digest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from jangbu.domain.keys import Key, KeyKind
from jangbu.storage.database import Connection, Database, Reader, Row
from jangbu.storage.statements import statement


@dataclass(frozen=True, slots=True)
class SeenKey:
    """A key as it was in the database at a moment of the database's clock."""

    key: Key
    seen_at: datetime


async def create(
    connection: Connection, project: str, key: Key, digest: bytes, account: UUID | None
) -> datetime | None:
    """Keep a new key; give when it was made, or None where the account does not exist, or its maker is revoked."""
    made_at: datetime | None = await connection.fetchval(
        statement("apikey_create"),
        key.id,
        project,
        key.kind,
        key.name,
        digest,
        key.hint,
        account,
        key.user,
        key.scopes,
        key.models,
        key.requests_per_minute,
        key.tokens_per_minute,
        key.concurrent_calls,
        key.expires_at,
        key.made_by,
    )
    return made_at


async def find(database: Database, project: str, digests: Sequence[bytes]) -> dict[bytes, SeenKey]:
    """Give the keys of a project that have these digests, by their digests."""
    rows = await database.rows("apikey_find", project, digests)
    return {row["digest"]: SeenKey(_counted_key(row), row["seen_at"]) for row in rows}


async def page(
    database: Database,
    project: str,
    account: UUID | None,
    limit: int,
    before: tuple[datetime, UUID] | None = None,
) -> Sequence[Key]:
    """Give the keys of a project, or of one account, newest first, from the one before ``before``."""
    made_at, key = (None, None) if before is None else before
    return [_key(row) for row in await database.rows("apikey_list", project, account, limit, made_at, key)]


async def named(
    database: Database, project: str, *, key: UUID | None = None, digest: bytes | None = None, word: str | None = None
) -> Sequence[Key]:
    """Give the keys that an id, a digest, or a word (a hint or a name) may mean; those in force first."""
    return [_key(row) for row in await database.rows("apikey_named", project, key, digest, word)]


async def gathered(reader: Reader, project: str, keys: Sequence[UUID]) -> Sequence[Key]:
    """Give those keys of a project that have these ids, in no order."""
    return [_key(row) for row in await reader.rows("apikey_gather", project, keys)]


async def offered(reader: Reader, project: str, account: UUID, limit: int) -> Sequence[Key]:
    """Give the keys by which an account's calls may have come, so many of its own and of apps, newest first."""
    return [_key(row) for row in await reader.rows("apikey_offer", project, account, limit)]


async def active(database: Database, project: str, key: UUID) -> Key | None:
    """Give a key if it is in force, by the database's clock."""
    rows = await database.rows("apikey_active", project, key)
    return _counted_key(rows[0]) if rows else None


async def revoke(connection: Connection, project: str, key: UUID) -> tuple[Key, int] | None:
    """End a key and those that it made, in a transaction; give it as it is then and how many ended with it, or None
    where there is none.
    """
    row = await connection.fetchrow(statement("apikey_revoke"), project, key)
    if row is None:
        return None
    others = 0
    while ended := await connection.fetch(statement("apikey_revoke_made"), key):
        others += len(ended)
    return _key(row), others


async def note_use(database: Database, keys: Sequence[UUID]) -> None:
    """Note that keys were used about now."""
    await database.rows("apikey_use", keys)


def _counted_key(row: Row) -> Key:
    return replace(_key(row), counted_under=tuple(row["counted_under"]))


def _key(row: Row) -> Key:
    return Key(
        row["key_id"],
        KeyKind(row["kind"]),
        row["name"],
        row["user_id"],
        row["hint"],
        None if row["scopes"] is None else tuple(row["scopes"]),
        None if row["models"] is None else tuple(row["models"]),
        row["requests_per_minute"],
        row["tokens_per_minute"],
        row["concurrent_calls"],
        row["expires_at"],
        row["created_at"],
        row["last_used_at"],
        row["revoked_at"],
        row["made_by"],
    )
