"""What exports read: calls and entries of several accounts, from a place in each of them on."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from jangbu.domain.ledger import Asset
from jangbu.storage.database import Database, Row


async def calls(
    database: Database,
    accounts: Sequence[UUID],
    afters: Sequence[UUID],
    before: UUID,
    as_of: datetime,
    limit: int,
    tag: str | None,
) -> Sequence[Row]:
    """Give the next calls of each account, at most ``limit`` of each, from the one after its place to before an id.

    They are those that were recorded until ``as_of``. ``tag`` is of which tag each has its value.
    """
    return await database.rows("export_calls", accounts, afters, before, as_of, limit, tag)


async def entries(
    database: Database, accounts: Sequence[UUID], afters: Sequence[int], asset: Asset, limit: int
) -> Sequence[Row]:
    """Give the next entries of each account, at most ``limit`` of each, from the one after its place."""
    return await database.rows("export_entries", accounts, afters, int(asset), limit)
