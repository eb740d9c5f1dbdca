"""One look at the book: all that is read through a snapshot is as of one moment, so no figures on a page disagree."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.domain.ledger import account_id
from jangbu.metering.holds import unknown_user
from jangbu.storage import accounts, names
from jangbu.storage.database import Database, Reader
from jangbu.storage.failures import translated

__all__ = ["EVERYTHING", "Filters", "Snapshot", "mark", "snapshot"]

_NAMES_MOST = 1_000
_MARK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Filters:
    """Which calls are meant: all, or those of a user, of some models and of some services, by their names."""

    user: str | None = None
    models: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


EVERYTHING = Filters()


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
            raise unknown_user(user)
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
