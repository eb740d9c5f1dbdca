"""Calls that balances did not cover: counted by user and minute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.storage.database import Database, Reader

__all__ = ["RefusedRow", "add", "page", "purge", "total"]


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """How many calls of a user were refused in the minute from ``at`` on."""

    at: datetime
    account: UUID
    user: str
    calls: int


async def add(database: Database, project: str, refused: Mapping[tuple[datetime, UUID], int]) -> None:
    """Count refused calls."""
    moments, accounts = [at for at, _ in refused], [account for _, account in refused]
    await database.rows("refused_add", project, moments, accounts, list(refused.values()))


async def purge(database: Database, project: str, limit: int) -> int:
    """Forget calls that were refused long ago; give of how many users and minutes."""
    return int(await database.value("refused_purge", project, limit))


async def total(reader: Reader, project: str, account: UUID | None, since: datetime, until: datetime) -> int:
    """Give how many calls were refused in a time."""
    calls: int = await reader.value("refused_sum", project, since, until, account)
    return calls


async def page(
    reader: Reader,
    project: str,
    account: UUID | None,
    between: tuple[datetime | None, datetime | None],
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[RefusedRow]:
    """Give refused calls by user and minute, the latest first, from the one before ``before``."""
    rows = await reader.rows("refused_list", project, account, *between, *(before or (None, None)), limit)
    return [RefusedRow(row["at"], row["account_id"], row["user_id"], row["calls"]) for row in rows]
