"""For how long caches were kept at the provider."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from jangbu.storage.database import Database


async def due(
    database: Database, project: str, after: tuple[datetime, str] | None, limit: int
) -> Sequence[tuple[UUID, str, datetime]]:
    """Give (account, name, end) of a project's caches whose time is up, those first that have been over for longest,
    from the one after (end, name).
    """
    rows = await database.rows("cache_due", project, *(after or (None, None)), limit)
    return [(row["account_id"], row["name"], row["expires_at"]) for row in rows]


async def made(database: Database, month: date, making: str) -> int:
    """Give how many caches live whose making is recorded in a month; ``making`` begins the keys of such records."""
    return int(await database.value("cache_made", month, making))


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


async def complete(database: Database, account: UUID, name: str, key: str) -> tuple[bool, UUID | None]:
    """Forget a cache that is over, and write down for how long it was kept with the record of its making, which the key
    stands for; tell whether it was there until now, and give that call while it has no price, or None.
    """
    row = await database.row("cache_complete", account, name, key)
    return row is not None, None if row is None else row["id"]
