"""Accounts and their balances."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.domain.ledger import Asset, Balance
from jangbu.storage.database import Connection, Database, Reader, Row
from jangbu.storage.statements import statement


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account with its token balance."""

    id: UUID
    user: str
    state: str
    created_at: datetime
    balance: Balance
    version: int


async def create(source: Database | Connection, account: UUID, project: str, user: str) -> bool:
    """Open an account; tell whether it is new."""
    if isinstance(source, Database):
        return bool(await source.value("account_create", account, project, user))
    return bool(await source.fetchval(statement("account_create"), account, project, user))


async def find(reader: Reader, account: UUID) -> AccountRow | None:
    """Give an account, or None."""
    row = await reader.row("account_find", account)
    return None if row is None else _account(row)


async def gather(reader: Reader, ids: Sequence[UUID]) -> dict[UUID, AccountRow]:
    """Give those of many accounts that there are, by their ids."""
    return {row["account_id"]: _account(row) for row in await reader.rows("account_gather", ids)}


async def page(database: Database, project: str, after: str, limit: int) -> Sequence[AccountRow]:
    """Give the accounts of a project in the order of their users, from the one after ``after``."""
    return [_account(row) for row in await database.rows("account_list", project, after, limit)]


async def block(connection: Connection, account: UUID, blocked: bool) -> bool | None:
    """Block or unblock an account; tell whether it was blocked before, None where there is none."""
    was_blocked: bool | None = await connection.fetchval(statement("account_block"), account, blocked)
    return was_blocked


async def open_balance(connection: Connection, account: UUID, asset: Asset) -> None:
    """Give the account a balance of an asset, if it has none."""
    await connection.execute(statement("balance_open"), account, int(asset))


async def balances(reader: Reader, account: UUID) -> dict[Asset, Balance]:
    """Give all balances of an account."""
    return {Asset(row["asset"]): _balance(row) for row in await reader.rows("balance_list", account)}


async def lock_balance(connection: Connection, account: UUID, asset: Asset) -> Balance | None:
    """Lock a balance until the transaction ends and give it."""
    row = await connection.fetchrow(statement("balance_lock"), account, int(asset))
    return None if row is None else _balance(row)


async def lock_all(connection: Connection, ids: Collection[UUID]) -> None:
    """Lock all balances of some accounts until the transaction ends."""
    await connection.execute(statement("balance_lock_all"), ids)


async def locked(database: Database, ids: Collection[UUID]) -> set[UUID]:
    """Give those accounts of which another transaction keeps a balance locked."""
    return {row["account_id"] for row in await database.rows("balance_locked", ids)}


async def wait_for(database: Database, account: UUID) -> None:
    """Wait until no other transaction keeps the account's balances locked, for as long as a statement waits."""
    await database.rows("balance_wait", account)


def _balance(row: Row) -> Balance:
    return Balance(granted=row["granted"], used=row["used"], held=row["held"])


def _account(row: Row) -> AccountRow:
    return AccountRow(row["account_id"], row["user_id"], row["state"], row["created_at"], _balance(row), row["version"])
