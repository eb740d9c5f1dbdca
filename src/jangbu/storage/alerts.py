"""Alerts: the outbox of all nodes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.domain.alerts import Alert, Condition, Phase
from jangbu.storage.database import Database, Row

_KNOWN = [condition.value for condition in Condition]


@dataclass(frozen=True, slots=True)
class Claimed:
    """An alert that is leased to whoever asked; ``attempt`` numbers the lease."""

    alert: Alert
    attempt: int
    delivered_to: tuple[str, ...]
    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert as somebody looks at it. ``errors`` are the reasons by channel of the latest attempt; ``muted_at`` says
    that it is kept and never sent.
    """

    alert: Alert
    created_at: datetime
    due_at: datetime
    attempts: int
    delivered_to: tuple[str, ...]
    errors: Mapping[str, str]
    delivered_at: datetime | None
    given_up_at: datetime | None
    muted_at: datetime | None = None


async def raise_(database: Database, alert: Alert, *, told_as: str, repeat_ms: int) -> bool:
    """Put an alert into the outbox, unless the same (``told_as``) was told so recently; tell whether it is there."""
    return await database.value("alert_raise", *_columns(alert), told_as, repeat_ms) is not None


async def add(
    database: Database,
    alert: Alert,
    *,
    attempts: int,
    delivered_to: Sequence[str],
    errors: Mapping[str, str],
    is_delivered: bool,
    is_given_up: bool,
) -> None:
    """Note an alert that was tried already."""
    await database.rows(
        "alert_add",
        *_columns(alert),
        attempts,
        list(delivered_to),
        json.dumps(dict(errors)),
        is_delivered,
        is_given_up,
    )


async def find(
    database: Database,
    project: str,
    kinds: Mapping[str, UUID],
    *,
    node: str,
    repeat_seconds: int,
    limit: int,
) -> Sequence[Alert]:
    """Make alerts of the findings that nobody was told of, one for each kind that is due, under the ids given."""
    rows = await database.rows("alert_find", project, list(kinds), list(kinds.values()), node, repeat_seconds, limit)
    return [_alert(row) for row in rows]


async def claim(database: Database, project: str, *, limit: int, lease_seconds: int) -> Sequence[Claimed]:
    """Take alerts that are due, for as long as the lease lasts by the database's clock."""
    rows = await database.rows("alert_claim", project, limit, lease_seconds, _KNOWN)
    return [
        Claimed(_alert(row), row["attempts"], tuple(row["delivered_to"]), json.loads(row["errors"])) for row in rows
    ]


async def note(
    database: Database,
    claimed: Claimed,
    *,
    delivered_to: Sequence[str],
    errors: Mapping[str, str],
    is_delivered: bool,
    wait_ms: int,
    give_up_seconds: int,
) -> None:
    """Note what became of a claimed alert: it is over, or it is tried again after a wait, or given up by its age."""
    await database.rows(
        "alert_note",
        claimed.alert.id,
        claimed.attempt,
        list(delivered_to),
        json.dumps(dict(errors)),
        is_delivered,
        wait_ms,
        give_up_seconds,
    )


async def mute(database: Database, project: str) -> int:
    """Mark alerts that were raised while their condition was muted; give how many."""
    return len(await database.rows("alert_mute", project))


async def expire(database: Database, project: str, seconds: int) -> Sequence[int]:
    """Give up alerts that nobody delivered for so long; give how often each was tried."""
    return [row["attempts"] for row in await database.rows("alert_expire", project, seconds)]


async def purge(database: Database, project: str, limit: int) -> int:
    """Forget alerts of long ago; give how many."""
    return int(await database.value("alert_purge", project, limit))


async def page(
    database: Database,
    project: str,
    *,
    only_undelivered: bool,
    limit: int,
    before: tuple[datetime, UUID] | None = None,
) -> Sequence[AlertRow]:
    """Give alerts, newest first, from the one before ``before``."""
    created_at, last = (None, None) if before is None else before
    return [
        AlertRow(
            _alert(row),
            row["created_at"],
            row["due_at"],
            row["attempts"],
            tuple(row["delivered_to"]),
            json.loads(row["errors"]),
            row["delivered_at"],
            row["given_up_at"],
            row["muted_at"],
        )
        for row in await database.rows("alert_list", project, only_undelivered, limit, _KNOWN, created_at, last)
    ]


async def sums(database: Database, project: str, *, untried: bool) -> dict[str, int]:
    """Give how many alerts wait to be delivered, and how many were given up within a day; those that nobody tried to
    deliver only with ``untried``.
    """
    row = await database.row("alert_sum", project, untried)
    assert row is not None, "one row of counts"
    return {"waiting": row["waiting"], "given_up": row["given_up"]}


async def overdue_holds(database: Database, project: str, seconds: int) -> tuple[int, int]:
    """Give how many open holds are past their time by more than so many seconds, and their tokens."""
    row = await database.row("hold_overdue", project, seconds)
    assert row is not None, "one row of sums"
    return row["holds"], row["tokens"]


def _columns(alert: Alert) -> tuple[object, ...]:
    return (
        alert.id,
        alert.project,
        alert.condition.value,
        alert.phase.value,
        alert.key,
        alert.node,
        json.dumps(dict(alert.facts), ensure_ascii=False),
        alert.raised_at,
    )


def _alert(row: Row) -> Alert:
    return Alert(
        id=row["id"],
        project=row["project"],
        condition=Condition(row["condition"]),
        phase=Phase(row["phase"]),
        key=row["key"],
        node=row["node"],
        raised_at=row["raised_at"],
        facts=json.loads(row["facts"]),
    )
