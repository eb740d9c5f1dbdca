"""What the keys that have limits use: calls let in, kept alive and ended, and tokens counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from jangbu.storage.database import Database

KeyCall = tuple[UUID, UUID]
"""A key, and a call under its limits."""


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What became of a call. ``reached`` is the limit that kept it out (``requests``, ``tokens`` or ``calls``), None
    where it was let in; ``seconds`` is how long the minute still lasts, rounded up.
    """

    reached: str | None
    seconds: int


async def admit(database: Database, calls: Sequence[KeyCall], seconds: int) -> Sequence[KeyAnswer]:
    """Let calls in, or not, in their order. One that is let in is under way for so many seconds if nobody renews it."""
    rows = await database.rows("key_call_admit", [key for key, _ in calls], [call for _, call in calls], seconds)
    return [KeyAnswer(row["reached"], row["seconds"]) for row in rows]


async def renew(database: Database, calls: Sequence[KeyCall], seconds: int) -> frozenset[KeyCall]:
    """Have calls that are still under way stay so for as many seconds from now; give those that are."""
    rows = await database.rows("key_call_renew", [key for key, _ in calls], [call for _, call in calls], seconds)
    return frozenset((row["key_id"], row["call_id"]) for row in rows)


async def restore(database: Database, calls: Sequence[KeyCall], seconds: int) -> None:
    """Count calls again as under way, for as many seconds, that expired and go on all the same."""
    await database.rows("key_call_restore", [key for key, _ in calls], [call for _, call in calls], seconds)


async def end(database: Database, calls: Sequence[tuple[KeyCall, int]]) -> None:
    """End calls, each with the tokens that it was charged."""
    keys, ids = [key for (key, _), _ in calls], [call for (_, call), _ in calls]
    await database.rows("key_call_end", keys, ids, [tokens for _, tokens in calls])


async def spend(database: Database, key: UUID, tokens: int) -> None:
    """Count tokens of a key that no call under way was charged."""
    await database.rows("key_use_spend", key, tokens)


async def expire(database: Database) -> int:
    """End the calls that nobody keeps alive; give how many."""
    return int(await database.value("key_call_expire"))


async def purge(database: Database) -> None:
    """Forget what keys used that have been idle for long."""
    await database.rows("key_use_purge")
