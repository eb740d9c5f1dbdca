"""A user's calls by how they ended, by their tags and by their keys, which no index and no rollup knows: looked for
step by step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from jangbu.domain.keys import Key
from jangbu.domain.ledger import account_id
from jangbu.domain.windows import Window
from jangbu.metering.logs import Ending, Logged, stretch_of
from jangbu.metering.snapshots import Snapshot
from jangbu.storage import api_keys, logs

__all__ = ["STEP", "Found", "Sought", "Tag", "keys_offered", "sought"]

STEP = 20_000
"""How many calls are looked through for a page: a seldom one may lie behind millions of others."""
_KEYS_OFFERED = 100


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
    key: str | None = None
    """The id of the key that they came by; an empty text for those that came by none."""

    @property
    def values(self) -> tuple[str | None, ...]:
        """Give what the statement asks for."""
        tag = (None, None) if self.tag is None else (self.tag.name, self.tag.value)
        return (self.service, self.model, *tag, None if self.ending is None else self.ending.value, self.key)


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


async def keys_offered(book: Snapshot, user: str, chosen: UUID | None = None) -> Sequence[Key]:
    """Give the keys to choose from by which a user's calls may have come: theirs and apps', the newest hundred of each,
    and the one that is chosen, whichever it is.
    """
    offered = await api_keys.offered(book.reader, book.project, account_id(book.project, user), _KEYS_OFFERED)
    if chosen is None or any(key.id == chosen for key in offered):
        return offered
    return (*offered, *await api_keys.gathered(book.reader, book.project, [chosen]))
