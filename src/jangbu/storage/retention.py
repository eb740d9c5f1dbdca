"""Records that are old enough to go: the partitions that hold them, and what is left of those that went."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from jangbu.storage import caches
from jangbu.storage.database import Database, Reader


@dataclass(frozen=True, slots=True)
class Partition:
    """The records of one month (UTC), of all projects of the database.

    ``month`` is its first day and ``bytes`` what it takes on the disk. ``unpriced`` calls have no price yet,
    ``held`` ones still hold tokens, and ``caches`` that were made then still live.
    """

    name: str
    month: date
    records: int
    bytes: int
    unpriced: int
    held: int
    caches: int


async def partitions(database: Database, before: datetime, making: str) -> Sequence[Partition]:
    """Give the partitions that hold nothing from ``before`` on, oldest first; ``making`` is that of ``caches.made``."""
    return [
        Partition(
            row["name"],
            row["month"],
            row["records"],
            row["bytes"],
            row["unpriced"],
            row["held"],
            await caches.made(database, row["month"], making),
        )
        for row in await database.rows("partition_list", before)
    ]


async def drop(database: Database, month: date) -> int | None:
    """Seal the records of a month and drop them; give how many, or None where nothing could be dropped."""
    dropped: int | None = await database.value("partition_drop", month)
    return dropped


async def has_dropped(reader: Reader, call: UUID, *, project: str | None, account: UUID | None) -> bool:
    """Tell whether records of the hour of a call were dropped, of its account or its project."""
    return bool(await reader.value("sealed_find", call, project, account))
