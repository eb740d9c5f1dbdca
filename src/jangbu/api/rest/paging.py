"""Pages of lists: bounded, and each but the last with a cursor from which the next one goes on."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Query

from jangbu.errors import InvalidInput

__all__ = ["Cursor", "Limit", "moment_and_id", "page", "place", "place_of"]

Row = TypeVar("Row")

Limit = Annotated[int, Query(ge=1, le=1_000, description="How many at most.")]
Cursor = Annotated[
    str | None, Query(max_length=2_000, description="The `next` of the page before; without it the first page.")
]


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.utcoffset() != timedelta(0):
        raise ValueError
    return at


_KINDS: dict[type, Callable[[Any], Any]] = {datetime: _moment}
"""How a value is read where its kind does not read it by itself."""


def page(rows: Sequence[Row], limit: int, at: Callable[[Row], tuple[object, ...]]) -> tuple[Sequence[Row], str | None]:
    """Cut a list that was asked for with one row too many; give it with the cursor of the next page, if any."""
    if len(rows) <= limit:
        return rows, None
    cut = rows[:limit]
    return cut, place_of(*at(cut[-1]))


def place_of(*parts: object) -> str:
    """Write a cursor. Nobody but this module reads it."""
    values = [part if isinstance(part, int) else _text(part) for part in parts]
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """Read a cursor that holds values of these kinds. Raises InvalidInput."""
    try:
        found = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(found, list) or len(found) != len(kinds):
            raise ValueError
        values = tuple(_read(value, kind) for value, kind in zip(found, kinds, strict=True))
        if place_of(*values) != cursor:
            raise ValueError
    except (ValueError, RecursionError):
        raise InvalidInput("this is no cursor of this list", hint="give the `next` of the page before") from None
    return values


def moment_and_id(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Read the cursor of a list that is ordered by time and id, None for its first page. Raises InvalidInput."""
    if cursor is None:
        return None
    at, last = place(cursor, datetime, UUID)
    return at, last


def _text(part: object) -> str:
    return part.isoformat() if isinstance(part, datetime) else str(part)


def _read(value: object, kind: type) -> object:
    if type(value) is not (int if kind is int else str):
        raise ValueError
    if isinstance(value, int) and not 0 <= value < 2**63:
        raise ValueError
    if isinstance(value, str) and not value.isprintable():
        raise ValueError
    return _KINDS.get(kind, kind)(value)
