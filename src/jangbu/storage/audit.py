"""The audit: who did what to what. It is added to and read; there is no statement that changes it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from jangbu.domain.members import Actor, ActorKind
from jangbu.storage.database import Connection, Database, Row
from jangbu.storage.statements import statement


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that was done: what it changed, as it was before and after."""

    id: UUID
    at: datetime
    actor: Actor
    action: str
    target: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


async def write(
    connection: Connection,
    project: str,
    line: UUID,
    actor: Actor,
    action: str,
    target: str,
    *,
    before: str | None,
    after: str | None,
) -> None:
    """Write a line in a transaction; ``before`` and ``after`` are texts of JSON."""
    await connection.execute(
        statement("audit_write"),
        line,
        project,
        actor.kind,
        actor.id,
        actor.name,
        action,
        target,
        before,
        after,
        actor.request_id,
    )


async def page(
    database: Database,
    project: str,
    limit: int,
    before: tuple[datetime, UUID] | None = None,
    *,
    actor: UUID | None = None,
    target: str | None = None,
) -> Sequence[AuditRow]:
    """Give what was done, newest first, from the one before ``before``; by an actor or to a target, not both."""
    at, last = (None, None) if before is None else before
    if actor is not None:
        rows = await database.rows("audit_of_actor", project, at, last, limit, actor)
    elif target is not None:
        rows = await database.rows("audit_of_target", project, at, last, limit, target)
    else:
        rows = await database.rows("audit_list", project, at, last, limit)
    return [_line(row) for row in rows]


def _line(row: Row) -> AuditRow:
    return AuditRow(
        row["audit_id"],
        row["at"],
        Actor(ActorKind(row["actor_kind"]), row["actor_id"], row["actor_name"], row["request_id"]),
        row["action"],
        row["target"],
        None if row["before"] is None else json.loads(row["before"]),
        None if row["after"] is None else json.loads(row["after"]),
    )
