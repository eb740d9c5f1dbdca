"""Stretches of records: when and by whom the calls of a time were made, and the records of some of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.storage.database import Reader
from jangbu.storage.usage import UsageRecord, record_of


@dataclass(frozen=True, slots=True)
class Part:
    """Of which models and services calls are meant; None are all."""

    models: Sequence[str] | None
    services: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of some accounts from an id to before another one, as far as they were recorded at ``as_of``."""

    accounts: Sequence[UUID]
    part: Part
    first: UUID
    after: UUID
    as_of: datetime

    @property
    def arguments(self) -> tuple[object, ...]:
        """Give it as the first arguments of a statement."""
        return self.accounts, self.part.models, self.part.services, self.first, self.after, self.as_of


async def quarters(
    reader: Reader, owner: str | UUID, part: Part, start: datetime, end: datetime
) -> Sequence[tuple[datetime, int]]:
    """Give when calls of a project (by its name) or a user (by their account) were made, and how many, newest first.

    They are those of the last 90 days in which there are any, by quarters of an hour.
    """
    name = "stretch_project" if isinstance(owner, str) else "stretch_user"
    return [(row["at"], row["calls"]) for row in await reader.rows(name, owner, part.models, part.services, start, end)]


async def accounts(reader: Reader, project: str, part: Part, start: datetime, end: datetime) -> Sequence[UUID]:
    """Give the accounts of a project that called in some quarters of an hour."""
    rows = await reader.rows("stretch_accounts", project, part.models, part.services, start, end)
    return [row["account_id"] for row in rows]


async def records(reader: Reader, stretch: Stretch) -> Sequence[UsageRecord]:
    """Give all records of a stretch, in no order."""
    return [record_of(row) for row in await reader.rows("stretch_records", *stretch.arguments)]
