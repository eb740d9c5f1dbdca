"""What is known at the end of a round: what the fake answered, what apps have, and what the book says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg

from jangbu.testing import read_answers
from tests.torture.terms import CALL_HEADER, LIFE_HEADER, USER_HEADER

__all__ = ["Book", "Counts", "Given", "Record", "Whole", "book", "given_answers"]

Counts = tuple[int, int, int, int]
"""Prompt, candidates, thoughts and total."""


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that the fake gave: all that it counted, whether or not anybody got to read it."""

    answer: str
    call: UUID | None
    user: str
    life: int
    model: str
    counts: Counts
    usage: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer that an app has, the last byte included."""

    answer: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Record:
    """A usage record."""

    user: str
    call: UUID
    answer: str | None
    counts: Counts
    source: str


@dataclass(frozen=True, slots=True)
class Book:
    """The book: its records, its holds with their states, open findings, and balances (granted, used, held)."""

    records: Sequence[Record]
    holds: Mapping[UUID, str]
    shown: frozenset[UUID]
    balances: Mapping[str, tuple[int, int, int]]
    grants: Mapping[str, int]
    """How much was granted to each user, by the grants."""


def given_answers(log: Path) -> list[Given]:
    """Read the fake's log."""
    return [
        Given(
            answer=each.response_id or "",
            call=UUID(each.labels[CALL_HEADER]) if CALL_HEADER in each.labels else None,
            user=each.labels.get(USER_HEADER, ""),
            life=int(each.labels.get(LIFE_HEADER, 0)),
            model=each.model or "",
            counts=_counts(each.counted),
            usage=each.counted,
        )
        for each in read_answers(log)
        if each.counted and each.surface != "count_tokens"
    ]


async def book(connection: asyncpg.Connection) -> Book:
    """Read the book."""
    records = await connection.fetch(
        "SELECT user_id, id, response_id, prompt, candidates, thoughts, total, source::text FROM jangbu.usage"
        " JOIN jangbu.accounts USING (account_id)"
    )
    holds = await connection.fetch("SELECT id, state::text FROM jangbu.holds")
    shown = await connection.fetch(
        "SELECT usage_id FROM jangbu.findings WHERE kind = 'unknown_outcome' AND resolved_at IS NULL"
    )
    balances = await connection.fetch(
        "SELECT user_id, granted, used, held FROM jangbu.balances JOIN jangbu.accounts USING (account_id)"
        " WHERE asset = 1"
    )
    grants = await connection.fetch(
        "SELECT user_id, sum(amount)::bigint AS amount FROM jangbu.grants JOIN jangbu.accounts USING (account_id)"
        " WHERE asset = 1 GROUP BY user_id"
    )
    return Book(
        records=[Record(row[0], row[1], row[2], (row[3], row[4], row[5], row[6]), row[7]) for row in records],
        holds={row[0]: row[1] for row in holds},
        shown=frozenset(row[0] for row in shown),
        balances={row[0]: (row[1], row[2], row[3]) for row in balances},
        grants={row[0]: row[1] for row in grants},
    )


def _counts(usage: Mapping[str, object]) -> Counts:
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount")
    prompt, candidates, thoughts, total = (int(str(usage.get(name, 0))) for name in names)
    return prompt, candidates, thoughts, total
