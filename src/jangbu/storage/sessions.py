"""Sessions of members, and attempts to sign in. Neither a token nor a password ever comes here."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from jangbu.domain.members import OpenSession, Session
from jangbu.storage.database import Connection, Database, Row
from jangbu.storage.members import member_of
from jangbu.storage.statements import statement


class Tried(StrEnum):
    """By what failures to sign in are counted."""

    NAME = "name"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was counted. Where it is not admitted, the next one may be after ``wait_seconds``."""

    is_admitted: bool
    failures: int
    wait_seconds: int


async def create(
    connection: Connection,
    project: str,
    member: UUID,
    *,
    session: UUID,
    digest: bytes,
    csrf_secret: bytes,
    seconds: int,
    password: str | None,
) -> Session | None:
    """Begin a session of a member; None where they are blocked, or have not the digest of a password that is named."""
    row = await connection.fetchrow(
        statement("session_create"), session, project, member, digest, csrf_secret, seconds, password
    )
    return None if row is None else _session(row)


async def find(database: Database, project: str, digest: bytes, *, idle_seconds: int) -> Session | None:
    """Give the session of a digest while it is in force, and note that it was seen."""
    row = await database.row("session_find", project, digest, idle_seconds)
    return None if row is None else _session(row)


async def end_all(connection: Connection, project: str, member: UUID, *, but: UUID | None = None) -> int:
    """End all sessions of a member but one; give how many."""
    return len(await connection.fetch(statement("session_end_all"), project, member, but))


async def end_one(connection: Connection, project: str, member: UUID, session: UUID) -> bool:
    """End one session of a member; tell whether it was there."""
    return await connection.fetchval(statement("session_end_one"), project, member, session) is not None


async def of_member(
    database: Database, project: str, member: UUID, *, idle_seconds: int, limit: int
) -> Sequence[OpenSession]:
    """Give the sessions of a member that are in force, the one that was seen last first."""
    rows = await database.rows("session_list", project, member, idle_seconds, limit)
    return [OpenSession(row["session_id"], row["created_at"], row["last_seen_at"], row["expires_at"]) for row in rows]


async def purge(database: Database, project: str, *, idle_seconds: int) -> None:
    """Remove the sessions whose time is over."""
    await database.rows("session_purge", project, idle_seconds)


async def attempt(
    database: Database,
    project: str,
    kind: Tried,
    digest: bytes,
    *,
    free: int,
    lock_seconds_max: int,
    forget_seconds: int,
) -> Attempt:
    """Count an attempt to sign in as a failure, unless it is locked out; ``free`` of them lock nothing."""
    row = await database.row("signin_attempt", project, kind, digest, free, lock_seconds_max, forget_seconds)
    assert row is not None, "an attempt is counted or refused"
    return Attempt(row["was_admitted"], row["failures"], row["wait_seconds"])


async def succeed(connection: Connection, project: str, name: bytes, address: bytes) -> None:
    """Take back what an attempt counted that succeeded."""
    await connection.execute(statement("signin_succeed"), project, name, address)


async def forget(connection: Connection, project: str, name: bytes) -> None:
    """Forget the failures of a name."""
    await connection.execute(statement("signin_forget"), project, name)


async def purge_failures(database: Database, project: str, *, forget_seconds: int) -> None:
    """Remove the failures that count no more."""
    await database.rows("signin_purge", project, forget_seconds)


def _session(row: Row) -> Session:
    return Session(
        row["session_id"], member_of(row), row["csrf_secret"], row["begun_at"], row["last_seen_at"], row["expires_at"]
    )
