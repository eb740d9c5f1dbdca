"""A user's calls as a log: which they were, what they used, and how each ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.storage.database import Reader, Row


@dataclass(frozen=True, slots=True)
class LogRow:
    """A call as a log shows it: tokens, and its cost in nano-USD, None where no price is known.

    ``hold_amount`` is what was held for it, None where nothing was; ``is_returned`` tells whether anything of it was
    given back.
    """

    id: UUID
    created_at: datetime
    recorded_at: datetime
    service: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost_nano: int | None
    price_version: int | None
    hold_amount: int | None
    late: bool
    response_id: str | None
    anomalies: tuple[str, ...]
    is_returned: bool


async def page(reader: Reader, account: UUID, first: UUID, before: UUID, limit: int) -> Sequence[LogRow]:
    """Give a user's calls from an id to before another one, newest first."""
    return [_line(row) for row in await reader.rows("log_list", account, first, before, limit)]


async def narrowed(
    reader: Reader, account: UUID, first: UUID, before: UUID, limit: int, *, service: str | None, model: str | None
) -> Sequence[LogRow]:
    """Give those of a user's calls that are of a service, of a model or of both, newest first."""
    return [_line(row) for row in await reader.rows("log_narrow", account, first, before, limit, service, model)]


async def step(reader: Reader, account: UUID, first: UUID, before: UUID, calls: int) -> UUID | None:
    """Give the call that so many calls of a stretch of ids are newer than, None where there are no more of them."""
    found: UUID | None = await reader.value("log_step", account, first, before, calls)
    return found


async def sought(
    reader: Reader, account: UUID, first: UUID, before: UUID, limit: int, what: Sequence[str | None]
) -> Sequence[LogRow]:
    """Give those of a user's calls of a stretch of ids that are what is asked for, newest first.

    ``what`` is a service, a model, a tag, its value, an ending and a key; None is for any.
    """
    return [_line(row) for row in await reader.rows("log_seek", account, first, before, limit, *what)]


def _line(row: Row) -> LogRow:
    return LogRow(**{**row, "anomalies": tuple(row["anomalies"] or ())})
