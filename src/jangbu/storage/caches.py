"""For how long caches were kept at the provider."""

from collections.abc import Sequence
from uuid import UUID

from jangbu.storage.database import Database


async def due(database: Database, project: str, limit: int) -> Sequence[tuple[UUID, str]]:
    """Give (account, name) of a project's caches whose time is up, those first that have been over for longest."""
    return [(row["account_id"], row["name"]) for row in await database.rows("cache_due", project, limit)]


async def owner(database: Database, project: str, name: str) -> UUID | None:
    """Give the account whose a cache is that has not ended, or None."""
    account: UUID | None = await database.value("cache_owner", project, name)
    return account


async def change(database: Database, account: UUID, name: str, seconds: int) -> None:
    """Have a cache of an account that has not ended live for some seconds from now on."""
    await database.rows("cache_change", account, name, seconds)


async def end(database: Database, account: UUID, name: str) -> None:
    """Have a cache of an account be over by now."""
    await database.rows("cache_end", account, name)


async def complete(database: Database, account: UUID, name: str, key: str) -> UUID | None:
    """Write down for how long a cache was kept that is over, with the record of its making, which the key stands for;
    give that call while it has no price, or None.
    """
    call: UUID | None = await database.value("cache_complete", account, name, key)
    return call
