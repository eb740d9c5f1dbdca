"""A table that is longer than memory: its columns, and its rows page by page."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

__all__ = ["Column", "Kind", "Page", "Table", "begun"]

Page = Sequence[tuple[Any, ...]]


class Kind(StrEnum):
    """What the cells of a column are. Any of them may be empty, which is None."""

    TEXT = "text"
    INTEGER = "integer"
    MOMENT = "moment"
    """A datetime, which is written in the table's zone."""
    WORDS = "words"
    """Several texts without blanks."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its name."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with as many cells as there are columns. ``as_of`` is the moment up to which they were read."""

    name: str
    columns: tuple[Column, ...]
    zone: ZoneInfo
    as_of: datetime
    pages: AsyncIterator[Page]

    def without(self, *names: str) -> "Table":
        """Give the table without some of its columns."""
        kept = [place for place, column in enumerate(self.columns) if column.name not in names]
        return replace(
            self, columns=tuple(self.columns[place] for place in kept), pages=_narrowed(self.pages, tuple(kept))
        )


async def begun(table: Table) -> Table:
    """Read the first page ahead, so that what is wrong from the beginning is raised before anything is written."""
    first = await anext(table.pages, None)
    return replace(table, pages=_from(first, table.pages))


async def _from(first: Page | None, rest: AsyncIterator[Page]) -> AsyncIterator[Page]:
    if first is None:
        return
    yield first
    async for page in rest:
        yield page


async def _narrowed(pages: AsyncIterator[Page], kept: tuple[int, ...]) -> AsyncIterator[Page]:
    async for page in pages:
        yield [tuple(row[place] for place in kept) for row in page]
