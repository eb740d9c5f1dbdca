"""Webhooks to the app: their outbox, and what makes events."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.domain.webhooks import Event, EventKind, Low
from jangbu.storage.database import Connection, Database, Row
from jangbu.storage.statements import statement

_KNOWN = [kind.value for kind in EventKind]


@dataclass(frozen=True, slots=True)
class ClaimedEvent:
    """An event that is leased to whoever asked; ``turn`` numbers the lease."""

    event: Event
    turn: int
    attempts: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as somebody looks at it; ``error`` is why the latest attempt failed."""

    event: Event
    due_at: datetime
    attempts: int
    error: str | None
    delivered_at: datetime | None
    given_up_at: datetime | None


@dataclass(frozen=True, slots=True)
class WebhookStanding:
    """How many events wait, and were given up and may be sent again; when one arrived last, and why one did not."""

    waiting: int
    given_up: int
    delivered_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """A balance that was looked at: there is nothing to tell while more than ``level`` is left, None for ever."""

    account: UUID
    level: int | None
    is_used_up: bool


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many calls of an account were refused, and since when."""

    account: UUID
    calls: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that could not be made durable, and the id of the event that tells of it."""

    id: UUID
    account: UUID
    call: UUID
    tokens: int


async def claim(database: Database, project: str, *, limit: int, lease_seconds: int) -> Sequence[ClaimedEvent]:
    """Take events that are due, for as long as the lease lasts by the database's clock."""
    rows = await database.rows("webhook_claim", project, limit, lease_seconds, _KNOWN)
    return [ClaimedEvent(_event(row), row["turn"], row["attempts"]) for row in rows]


async def note(database: Database, claimed: ClaimedEvent, *, error: str | None, wait_ms: int, is_over: bool) -> bool:
    """Note what became of a claimed event: it arrived, is tried again after a wait, or given up; tell if given up."""
    return bool(
        await database.value("webhook_note", claimed.event.id, claimed.turn, error, wait_ms, is_over),
    )


async def expire(database: Database, project: str) -> int:
    """Give up events whose time is up; give how many."""
    return len(await database.rows("webhook_expire", project))


async def purge(database: Database, project: str, limit: int) -> int:
    """Forget what was told long ago, at most ``limit`` of each kind; give how many of the more frequent one."""
    return int(await database.value("webhook_purge", project, limit))


async def page(
    database: Database,
    project: str,
    *,
    kinds: Collection[EventKind] = tuple(EventKind),
    state: str | None = None,
    user: str | None = None,
    limit: int,
    before: tuple[datetime, UUID] | None = None,
) -> Sequence[EventRow]:
    """Give events, newest first, from the one before ``before``; of one user or state where that is asked for."""
    created_at, last = (None, None) if before is None else before
    wanted = [kind.value for kind in kinds]
    rows = await database.rows("webhook_list", project, wanted, state, limit, created_at, last, user)
    return [_row(row) for row in rows]


async def find(database: Database, project: str, event: UUID) -> EventRow | None:
    """Give one event, None where there is none."""
    row = await database.row("webhook_find", project, event, _KNOWN)
    return None if row is None else _row(row)


async def send_again(connection: Connection, project: str, event: UUID) -> tuple[str, str] | None:
    """Have an event sent again, whatever became of it; give its kind and whom it is about, None where there is none."""
    row = await connection.fetchrow(statement("webhook_again"), project, event)
    return None if row is None else (row["kind"], row["user_id"])


async def send_all_again(
    connection: Connection, project: str, *, kinds: Collection[EventKind], user: str | None, limit: int
) -> int:
    """Have events that were given up sent again; give how many."""
    wanted = [kind.value for kind in kinds]
    return len(await connection.fetch(statement("webhook_again_all"), project, wanted, user, limit))


async def standing(database: Database, project: str) -> WebhookStanding:
    """Give how the webhook stands."""
    row = await database.row("webhook_sum", project)
    assert row is not None, "one row of counts"
    return WebhookStanding(*row.values())


async def look(database: Database, project: str, accounts: Sequence[UUID], low: Low | None) -> tuple[list[Seen], int]:
    """Look at balances, and make events of those that are low now; give what was seen, and how many events."""
    # No balance is below the least number there is: then no balance is low.
    threshold, clear = (-(2**63) + 1, 0) if low is None else (low.threshold, low.clear)
    rows = await database.rows("webhook_look", list(accounts), project, threshold, clear)
    seen = [Seen(row["account_id"], row["level"], row["is_used_up"]) for row in rows]
    return seen, rows[0]["told"] if rows else 0


async def begin_walk(database: Database, project: str) -> None:
    """Begin the periodic look at all balances of a project, once."""
    await database.rows("webhook_begin", project)


async def walk(database: Database, project: str, *, limit: int, pause_seconds: int) -> Sequence[UUID]:
    """Take the next page of the periodic look where it is due; give the accounts that moved lately."""
    return [row["account_id"] for row in await database.rows("webhook_walk", project, limit, pause_seconds)]


async def make_of_findings(database: Database, project: str, limit: int) -> int:
    """Make events of new findings; give how many."""
    return len(await database.rows("webhook_anomalies", project, limit))


async def make_of_grants(database: Database, project: str, limit: int) -> int:
    """Make events of grants that were used up; give how many."""
    return len(await database.rows("webhook_grants", project, limit))


async def make_of_refusals(database: Database, project: str, limit: int) -> int:
    """Make events of refused calls, for each user once an hour; give how many."""
    return len(await database.rows("webhook_refusals", project, limit))


async def refuse(database: Database, project: str, refused: Sequence[Refusals]) -> None:
    """Count calls that balances did not cover."""
    await database.rows(
        "webhook_refuse",
        project,
        [each.account for each in refused],
        [each.calls for each in refused],
        [each.since for each in refused],
    )


async def make_of_failures(database: Database, project: str, failures: Sequence[Failure]) -> None:
    """Make events of records that could not be made durable; to repeat it makes none twice."""
    await database.rows(
        "webhook_fail",
        project,
        [each.id for each in failures],
        [each.account for each in failures],
        [each.call for each in failures],
        [each.tokens for each in failures],
    )


def _event(row: Row) -> Event:
    return Event(
        row["id"],
        row["project"],
        EventKind(row["kind"]),
        row["user_id"],
        row["created_at"],
        json.loads(row["facts"]),
    )


def _row(row: Row) -> EventRow:
    return EventRow(_event(row), row["due_at"], row["attempts"], row["error"], row["delivered_at"], row["given_up_at"])
