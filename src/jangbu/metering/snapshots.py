"""One look at the book: all that is read through a snapshot is as of one moment, so no figures on a page disagree."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from jangbu.domain.ledger import account_id
from jangbu.domain.windows import Window
from jangbu.errors import InvalidInput, NoAccount
from jangbu.storage import accounts, names
from jangbu.storage.database import Database, Reader
from jangbu.storage.failures import translated

__all__ = ["ALL_TIME", "EVERYTHING", "Filters", "Snapshot", "Span", "mark", "snapshot"]

_NAMES_MOST = 1_000
_MARK_SECONDS = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which calls are meant: all, or those of a user, of some models and of some services, by their names."""

    user: str | None = None
    models: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


EVERYTHING = Filters()


@dataclass(frozen=True, slots=True)
class Span:
    """The time from ``since`` to before ``until``; from the beginning, and up to now, where they are None."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for moment in (self.since, self.until):
            if moment is not None and moment < _EPOCH:
                raise InvalidInput("there are no calls before the year 1970", hint="have the time begin and end later")
        if self.since is not None and self.until is not None and self.until < self.since:
            raise InvalidInput("the time ends before it begins", hint="let until be no earlier than since")

    @classmethod
    def of(cls, window: Window | None) -> Self:
        """Give the time of a window; all of it where there is none."""
        return cls() if window is None else cls(window.start, window.end)


ALL_TIME = Span()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A project's book as it was at the moment ``as_of``, by the database's clock."""

    reader: Reader
    project: str
    as_of: datetime

    async def account(self, user: str) -> UUID:
        """Give the account of a user. Raises NotFound."""
        found = await accounts.find(self.reader, account_id(self.project, user))
        if found is None:
            raise NoAccount(user)
        return found.id

    async def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Give the services and the models that there are to choose from."""
        return await names.listed(self.reader, _NAMES_MOST)


@asynccontextmanager
async def snapshot(database: Database, project: str) -> AsyncIterator[Snapshot]:
    """Look at the book; everything that is read until the context ends is of one moment."""
    async with database.snapshot() as (reader, as_of):
        yield Snapshot(reader, project, as_of)


async def mark(database: Database) -> str:
    """Say what a look that begins now sees, in words that change once something was committed, in any project.

    Raises DatabaseUnreachable, after some seconds where the database does not answer.
    """
    with translated():
        async with asyncio.timeout(_MARK_SECONDS):
            said: str = await database.value("snapshot_mark")
            return said
