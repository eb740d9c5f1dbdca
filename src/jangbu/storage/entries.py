"""Ledger entries, the grants behind them and callers' idempotency keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.domain.ledger import Asset, Balance, EntryKind, Grant
from jangbu.storage.database import Connection, Database, Reader, Row
from jangbu.storage.statements import statement

OWN_KEY = "key:"
"""Before callers' own keys as they are kept, so that they never meet the keys of calls and answers."""


@dataclass(frozen=True, slots=True)
class Posting:
    """An entry to write that is no usage. ``id`` names its result: the grant, or the entry itself."""

    account: UUID
    asset: Asset
    kind: EntryKind
    delta: int
    id: UUID
    key: str
    digest: bytes
    reference: UUID | None = None
    reason: str | None = None
    source: str = "purchase"
    priority: int = 0
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One line of an account's history."""

    seq: int
    kind: EntryKind
    delta: int
    balance_after: int
    created_at: datetime
    posting: int | None = None
    reference: UUID | None = None
    reason: str | None = None
    key: str | None = None

    @property
    def given_key(self) -> str | None:
        """The idempotency key as its caller gave it; None where there is none."""
        return None if self.key is None else as_given(self.key)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What an idempotency key stands for."""

    digest: bytes
    result_id: UUID
    created_at: datetime


def as_given(key: str) -> str:
    """Give a key as its caller gave it, from what is kept."""
    return key.removeprefix(OWN_KEY)


async def post(connection: Connection, posting: Posting) -> Balance | None:
    """Write an entry once for its key; give the balance after it, or None where the key was used before."""
    row = await connection.fetchrow(
        statement("entry_post"),
        posting.account,
        int(posting.asset),
        posting.kind.value,
        posting.delta,
        posting.id,
        posting.reference,
        posting.key,
        posting.digest,
        posting.reason,
        posting.source,
        posting.priority,
        posting.expires_at,
    )
    return None if row is None else Balance(granted=row["granted"], used=row["used"], held=row["held"])


async def returned(connection: Connection, account: UUID, asset: Asset, call: UUID) -> int:
    """Give how much of a call's charge in an asset was given back so far."""
    found: int = await connection.fetchval(statement("entry_returned"), account, int(asset), call)
    return found


async def find_key(source: Database | Connection, account: UUID, key: str) -> KeyRow | None:
    """Give what a key stands for, or None."""
    if isinstance(source, Database):
        row = await source.row("key_find", account, key)
    else:
        row = await source.fetchrow(statement("key_find"), account, key)
    return None if row is None else _key(row)


async def list_keys(database: Database, account: UUID, keys: Sequence[str]) -> dict[str, KeyRow]:
    """Give what those of some keys of an account stand for that were used, in their order."""
    return {row["key"]: _key(row) for row in await database.rows("key_list", account, keys)}


async def gather_keys(reader: Reader, accounts: Sequence[UUID], key: str) -> dict[UUID, KeyRow]:
    """Give what a key stands for at those of many accounts where it was used."""
    return {row["account_id"]: _key(row) for row in await reader.rows("key_gather", accounts, key)}


async def search_keys(
    reader: Reader, project: str, keys: Sequence[str], limit: int | None = None
) -> list[tuple[UUID, KeyRow]]:
    """Give what keys stand for at the accounts of a project that used one of them, newest first."""
    return [(row["account_id"], _key(row)) for row in await reader.rows("key_search", project, keys, limit)]


def _key(row: Row) -> KeyRow:
    return KeyRow(bytes(row["digest"]), row["result_id"], row["created_at"])


async def claim_key(database: Database, account: UUID, key: str, digest: bytes, result: UUID) -> KeyRow | None:
    """Let a key stand for a result unless it stands for one already; give what it stands for.

    None where there is no such account.
    """
    await database.rows("key_claim", account, key, digest, result)
    return await find_key(database, account, key)


async def reserve_key(connection: Connection, owner: UUID, key: str, digest: bytes, result: UUID) -> bool:
    """Let a key stand for a result in this transaction; tell whether it was free. It waits for whoever is at it."""
    return await connection.fetchval(statement("key_reserve"), owner, key, digest, result) is not None


async def page(reader: Reader, account: UUID, asset: Asset, before: int | None, limit: int) -> Sequence[EntryRow]:
    """Give an account's entries, newest first, from the one before ``before``."""
    return [entry_of(row) for row in await reader.rows("entry_list", account, int(asset), before, limit)]


async def page_between(
    reader: Reader, account: UUID, asset: Asset, kind: EntryKind | None, first: int, before: int, limit: int
) -> Sequence[EntryRow]:
    """Give an account's entries of a kind, or of all, newest first: from a number on and before another one."""
    bounds = (account, int(asset), first, before)
    if kind is None or kind is EntryKind.USAGE:
        rows = await reader.rows("entry_page", *bounds, kind is not None, limit)
    else:
        rows = await reader.rows("entry_of_kind", *bounds, kind.value, limit)
    return [entry_of(row) for row in rows]


async def show(reader: Reader, account: UUID, asset: Asset, seq: int) -> tuple[EntryRow, bytes | None] | None:
    """Give one entry with its hash, or None."""
    row = await reader.row("entry_show", account, int(asset), seq)
    return None if row is None else (entry_of(row), row["hash"])


async def locate(reader: Reader, account: UUID, asset: Asset, at: datetime) -> int:
    """Give the number of the first entry at or after a moment, or the one that the next entry will have."""
    found: int | None = await reader.value("entry_locate", account, int(asset), at)
    return 1 if found is None else found


async def find_of_usage(
    database: Database, account: UUID, asset: Asset, posting: int, *, overrun: bool
) -> EntryRow | None:
    """Give the entry that sums a usage row's posting."""
    row = await database.row("entry_find", account, int(asset), posting, overrun)
    if row is None:
        return None
    return EntryRow(
        row["seq"],
        EntryKind(row["kind"]),
        row["delta"],
        row["balance_after"],
        row["created_at"],
        posting=posting,
        reason=row["reason"],
    )


async def grants(reader: Reader, account: UUID, asset: Asset, *, spent_too: bool = False) -> tuple[Grant, ...]:
    """Give an account's grants in the order in which they burn."""
    return tuple(_grant(row) for row in await reader.rows("grant_list", account, int(asset), spent_too))


async def grants_within(connection: Connection, account: UUID, asset: Asset) -> tuple[Grant, ...]:
    """Give an account's grants that are not spent, as a transaction that is under way sees them."""
    return tuple(_grant(row) for row in await connection.fetch(statement("grant_list"), account, int(asset), False))


async def write_burn_down(connection: Connection, account: UUID, grants: Sequence[Grant]) -> None:
    """Write what became of grants."""
    await connection.execute(
        statement("grant_burn"),
        account,
        [grant.id for grant in grants],
        [grant.consumed for grant in grants],
        [grant.expired for grant in grants],
    )


async def accounts_with_due_grants(
    database: Database, after: tuple[UUID, Asset], limit: int
) -> Sequence[tuple[UUID, Asset]]:
    """Give accounts that own a grant of an asset whose time is up, in the order of their ids, from the one after
    ``after``.
    """
    rows = await database.rows("grant_due", after[0], int(after[1]), limit)
    return [(row["account_id"], Asset(row["asset"])) for row in rows]


def entry_of(row: Row) -> EntryRow:
    """Give an entry from a row that has its columns; its key only where the statement reads it."""
    return EntryRow(
        row["seq"],
        EntryKind(row["kind"]),
        row["delta"],
        row["balance_after"],
        row["created_at"],
        row["posting"],
        row["reference"],
        row["reason"],
        row.get("key"),
    )


def _grant(row: Row) -> Grant:
    return Grant(
        row["id"],
        row["amount"],
        row["consumed"],
        row["expired"],
        row["source"],
        row["priority"],
        row["expires_at"],
        row["created_at"],
    )
