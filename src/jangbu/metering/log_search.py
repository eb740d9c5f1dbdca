"""A user's calls by how they ended and by their tags, which no index and no rollup knows: looked for step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from jangbu.domain.windows import Window
from jangbu.metering.logs import Ending, Logged, stretch_of
from jangbu.metering.snapshots import Snapshot
from jangbu.storage import logs

__all__ = ["STEP", "Found", "Sought", "Tag", "sought"]

STEP = 20_000
"""How many calls are looked through for a page: a seldom one may lie behind millions of others."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag that a call bears, with any value where ``value`` is None."""

    name: str
    value: str | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a tag as the gateway's header writes it, ``name=value``, or its name alone."""
        name, has_value, value = text.partition("=")
        return cls(name.strip(), value.strip() if has_value else None)


@dataclass(frozen=True, slots=True)
class Sought:
    """Which calls are looked for: those that are all of what is given."""

    ending: Ending | None = None
    tag: Tag | None = None
    service: str | None = None
    model: str | None = None

    @property
    def values(self) -> tuple[str | None, ...]:
        """Give what the statement asks for."""
        tag = (None, None) if self.tag is None else (self.tag.name, self.tag.value)
        return (self.service, self.model, *tag, None if self.ending is None else self.ending.value)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of calls, newest first. ``next`` is before which call the next page goes on, None where there is none.

    A page may have few calls, or none, and a next one all the same: that looks through the older calls.
    """

    calls: Sequence[Logged]
    next: UUID | None


async def sought(
    book: Snapshot,
    user: str,
    what: Sought,
    *,
    window: Window | None = None,
    before: UUID | None = None,
    limit: int = 50,
    step: int = STEP,
) -> Found:
    """Look through ``step`` calls of a user's, from the one before ``before`` on, for a page. Raises NotFound."""
    account = await book.account(user)
    first, last = stretch_of(window, before)
    floor = await logs.step(book.reader, account, first, last, step)
    rows = await logs.sought(book.reader, account, floor or first, last, limit + 1, what.values)
    calls = [Logged.of(row) for row in rows[:limit]]
    return Found(calls, calls[-1].call.id if len(rows) > limit else floor)
