"""Findings: what somebody should look at, who does, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.storage.database import Connection, Database
from jangbu.storage.statements import statement

Place = tuple[datetime, UUID, str]
"""Where a page of findings ends: the time, the call and the kind of its last one."""


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A finding. What was ``held`` and ``used`` is None where the call has no record, or none of that was held."""

    call: UUID
    user: str
    kind: str
    detail: str
    created_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    held: int | None
    used: int | None


async def page(
    database: Database,
    project: str,
    *,
    state: str,
    kind: str | None,
    user: str | None,
    before: Place | None,
    limit: int,
) -> Sequence[InboxRow]:
    """Give findings, newest first, from the one before ``before``."""
    place = (None, None, None) if before is None else before
    rows = await database.rows("finding_list", project, state, kind, user, *place, limit)
    return [InboxRow(*row.values()) for row in rows]


async def find(database: Database, account: UUID, call: UUID, kind: str) -> InboxRow | None:
    """Give a finding, whatever became of it; None where there is none."""
    row = await database.row("finding_find", account, call, kind)
    return None if row is None else InboxRow(*row.values())


async def acknowledge(connection: Connection, account: UUID, call: UUID, kind: str, by: str) -> bool:
    """Note that somebody looks into a finding; tell whether nobody did so far."""
    return await connection.fetchval(statement("finding_acknowledge"), account, call, kind, by) is not None


async def resolve(connection: Connection, account: UUID, call: UUID, kind: str, by: str, reason: str) -> bool:
    """Resolve a finding; tell whether it was open."""
    return await connection.fetchval(statement("finding_resolve"), account, call, kind, by, reason) is not None


async def settle(database: Database, calls: Sequence[tuple[UUID, UUID]]) -> None:
    """End what was found of a lacking price at calls, (account, id), that no price would price."""
    accounts, ids = zip(*calls, strict=True)
    await database.rows("finding_settle", accounts, ids)
