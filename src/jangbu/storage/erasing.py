"""What is forgotten of a user, table by table. The account, its entries and its figures stay."""

from uuid import UUID

from jangbu.storage.database import Connection, Database
from jangbu.storage.statements import statement

__all__ = ["forget", "forget_attached", "forget_keys", "rename"]


async def rename(connection: Connection, account: UUID, name: str) -> int | None:
    """Give an account another name; tell what it still holds, None where there is no such account."""
    held: int | None = await connection.fetchval(statement("account_erase"), account, name)
    return held


async def forget(connection: Connection, project: str, account: UUID, user: str, name: str, who: str) -> None:
    """Put a name in the place of the user's own wherever it stands, and delete what is of use for the user alone."""
    # The audit first: it is known by the user's keys, too, and no role but the tables' owner may change it.
    await connection.execute(statement("audit_erase"), project, user, name, account)
    await connection.execute(statement("apikey_erase"), account, name)
    await connection.execute(statement("resource_erase"), account)
    await connection.execute(statement("directory_erase"), account, name)
    await connection.execute(statement("webhook_erase"), project, user)
    await connection.execute(statement("finding_erase"), account, who)
    await connection.execute(statement("verification_run_erase"), project, str(account), name)
    await connection.execute(statement("entry_erase"), account)


async def forget_keys(database: Database, account: UUID, limit: int) -> int:
    """Delete so many of the keys that callers chose; give how many there were."""
    gone: int = await database.value("key_erase", account, limit)
    return gone


async def forget_attached(database: Database, account: UUID, after: UUID, limit: int) -> UUID | None:
    """Take what the app attached from so many records after one; give the last of them, None where there was none."""
    last: UUID | None = await database.value("usage_erase", account, after, limit)
    return last
