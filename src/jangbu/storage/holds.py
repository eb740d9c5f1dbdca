"""Holds: taken in batches, given back, ended when their time is up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from jangbu.storage.database import Connection, Database, Reader, Row
from jangbu.storage.statements import statement

_REASON_LENGTH_MAX = 200
"""How much is kept of why a hold ended."""


class HoldRequest(NamedTuple):
    """A hold to take: at least ``least``, at most ``most``; see ``domain.flow.TakeHold``.

    The fields are, in order, the first arguments of the statements.
    """

    account: UUID
    id: UUID
    base: int
    least: int
    most: int
    take_all: bool
    service: str
    model: str


class HoldAnswer(NamedTuple):
    """What became of a request. ``amount`` is None where nothing was taken.

    ``account_state`` is None where there is no such account; ``known_state`` tells that the id was used before;
    ``is_overtaken`` that somebody used it this very moment: asking again tells how.
    """

    amount: int | None
    available: int
    account_state: str | None
    known_state: str | None = None
    known_amount: int | None = None
    is_overtaken: bool = False


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold as somebody looks at it."""

    id: UUID
    user: str
    amount: int
    state: str
    service: str
    model: str
    owner: str
    reason: str | None
    taken_at: datetime
    expires_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Which:
    """Which holds are meant: all, or those that were taken from ``since`` to before ``until``, for calls of one service
    or model.
    """

    since: datetime | None = None
    until: datetime | None = None
    service: str | None = None
    model: str | None = None


ANY = Which()


async def take(
    connection: Connection, requests: Sequence[HoldRequest], *, owner: str, seconds: int, may_have_left: bool
) -> list[HoldAnswer]:
    """Take a batch of holds, each against what the ones before it left. Answers come in the order of the requests."""
    if not requests:
        return []
    if len(requests) == 1:
        taken = await _take_one(connection, requests[0], may_have_left, owner, seconds)
        if taken is not None:
            return [taken]
    # By their numbers, as PostgreSQL orders them: to compare UUIDs themselves takes Python several steps each.
    order = sorted(range(len(requests)), key=lambda index: requests[index].account.int)
    sorted_requests = (requests[index] for index in order)
    rows = await connection.fetch(
        statement("hold_take"),
        *zip(*sorted_requests, strict=True),
        may_have_left,
        owner,
        seconds,
    )
    answers: list[HoldAnswer | None] = [None] * len(requests)
    for index, row in zip(order, rows, strict=True):
        answers[index] = HoldAnswer(
            row["amount"],
            row["available"] or 0,
            row["account_state"],
            row["known_state"],
            row["known_amount"],
            row["is_overtaken"],
        )
    return [answer for answer in answers if answer is not None]


async def _take_one(
    connection: Connection, request: HoldRequest, may_have_left: bool, owner: str, seconds: int
) -> HoldAnswer | None:
    """Take a lone hold by the statement that starts fastest; None where there is more to it, nothing changed."""
    row = await connection.fetchrow(statement("hold_take_one"), *request, may_have_left, owner, seconds)
    return None if row is None else HoldAnswer(row["amount"], row["available"], "active")


async def release(connection: Connection, holds: Sequence[tuple[UUID, UUID, str]]) -> list[bool]:
    """Give back holds (account, id, reason); tell for each whether it was held until now."""
    rows = await connection.fetch(
        statement("hold_release"),
        [account for account, _, _ in holds],
        [hold for _, hold, _ in holds],
        [reason[:_REASON_LENGTH_MAX] for _, _, reason in holds],
    )
    released = {row["id"]: row["released"] for row in rows}
    return [released[hold] for _, hold, _ in holds]


async def mark_unknown(database: Database, account: UUID, hold: UUID, reason: str) -> None:
    """Keep a hold whose call left and never came back, and have somebody look at it."""
    await database.rows("hold_mark_unknown", account, hold, reason[:_REASON_LENGTH_MAX])


async def extend(database: Database, account: UUID, hold: UUID, seconds: int) -> bool:
    """Let an open hold stay open for at least so many seconds from now; tell whether it is open."""
    return await database.value("hold_extend", account, hold, seconds) is not None


async def expire(database: Database, limit: int) -> Sequence[tuple[UUID, UUID, int, str]]:
    """End holds whose time is up; give (account, id, amount, state) of those that ended."""
    rows = await database.rows("hold_expire", limit)
    return [(row["account_id"], row["id"], row["amount"], row["state"]) for row in rows]


async def close_findings(database: Database) -> int:
    """Close the findings of unknown outcomes that are known by now: recorded, or given back; give how many."""
    return len(await database.rows("finding_close"))


async def purge(database: Database, limit: int) -> int:
    """Forget holds that were closed long ago; give how many."""
    return int(await database.value("hold_purge", limit))


async def page(
    database: Database,
    project: str,
    account: UUID | None,
    states: Sequence[str] | None,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    which: Which = ANY,
) -> Sequence[HoldRow]:
    """Give holds, oldest first, from the one after ``after``."""
    taken_at, last = (None, None) if after is None else after
    of = (which.since, which.until, which.service, which.model)
    rows = await database.rows("hold_list", project, account, states, limit, taken_at, last, *of)
    return [_hold(row) for row in rows]


async def find(database: Database, project: str, hold: UUID) -> tuple[UUID, str, str, str] | None:
    """Give (account, user, service, model) of a hold that is named by its id alone, or None."""
    row = await database.row("hold_find", project, hold)
    return None if row is None else (row["account_id"], row["user_id"], row["service"], row["model"])


async def show(reader: Reader, project: str, hold: UUID) -> HoldRow | None:
    """Give a hold that is named by its id alone, or None."""
    row = await reader.row("hold_find", project, hold)
    return None if row is None else _hold(row)


async def is_open(database: Database, project: str, hold: UUID) -> bool:
    """Tell whether a hold is there whose call was not said to have ended, nor to be of unknown outcome."""
    row = await database.row("hold_find", project, hold)
    return row is not None and row["state"] == "open"


async def undeducted(
    reader: Reader,
    project: str,
    account: UUID | None,
    since: datetime,
    until: datetime,
    models: Sequence[str] | None,
    services: Sequence[str] | None,
) -> dict[str, int]:
    """Count the holds of a time whose calls were not deducted, by model; of some models and services, or of all."""
    rows = await reader.rows("hold_undeducted", project, since, until, account, models, services)
    return {row["model"]: row["calls"] for row in rows}


async def sums(database: Database, project: str) -> dict[str, tuple[int, int]]:
    """Give for each state that holds tokens how many holds there are, and how many tokens."""
    return {row["state"]: (row["holds"], row["tokens"]) for row in await database.rows("hold_sum", project)}


def _hold(row: Row) -> HoldRow:
    return HoldRow(
        row["id"],
        row["user_id"],
        row["amount"],
        row["state"],
        row["service"],
        row["model"],
        row["owner"],
        row["reason"],
        row["taken_at"],
        row["expires_at"],
        row["closed_at"],
    )
