"""Verifications that somebody asked for, from their beginning to what they found."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from jangbu.storage.database import Connection, Database, Row
from jangbu.storage.statements import statement


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one ended: what was checked and what differs, as it is shown; or why it ended without a result.

    ``since`` is the moment from which on everything was checked, None where all was.
    """

    failure: str | None = None
    since: datetime | None = None
    accounts: int = 0
    records: int = 0
    checked: Sequence[str] = ()
    mismatches: Sequence[Mapping[str, Any]] = ()
    cut: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RunRow:
    """One of them. ``outcome`` is None while it is under way; ``ended_at`` is too where its process died."""

    id: UUID
    is_full: bool
    started_at: datetime
    ended_at: datetime | None
    outcome: Outcome | None


async def begin(connection: Connection, project: str, run: UUID, *, is_full: bool, seconds: int) -> bool:
    """Begin one that counts as lost where nothing keeps it for so long; tell whether none was under way."""
    await connection.execute(statement("verification_run_lose"), project)
    return await connection.fetchval(statement("verification_run_begin"), run, project, is_full, seconds) is not None


async def keep(database: Database, run: UUID, *, seconds: int) -> bool:
    """Go on with one; tell whether it is under way."""
    return await database.row("verification_run_keep", run, seconds) is not None


async def end(database: Database, run: UUID, outcome: Outcome) -> None:
    """Write down how one ended."""
    await database.rows(
        "verification_run_end",
        run,
        outcome.failure,
        outcome.since,
        outcome.accounts,
        outcome.records,
        list(outcome.checked),
        json.dumps(list(outcome.mismatches), default=str),
        list(outcome.cut),
    )


async def find(database: Database, project: str, run: UUID) -> RunRow | None:
    """Give one of a project, or None."""
    row = await database.row("verification_run_find", project, run)
    return None if row is None else _run(row)


async def latest(database: Database, project: str) -> RunRow | None:
    """Give the one of a project that was begun last, or None."""
    row = await database.row("verification_run_latest", project)
    return None if row is None else _run(row)


def _run(row: Row) -> RunRow:
    outcome = Outcome(
        row["failure"],
        row["since"],
        row["accounts"],
        row["records"],
        tuple(row["checked"]),
        tuple(json.loads(row["mismatches"])),
        tuple(row["cut"]),
    )
    is_over = row["ended_at"] is not None or outcome.failure is not None
    return RunRow(row["id"], row["is_full"], row["started_at"], row["ended_at"], outcome if is_over else None)
