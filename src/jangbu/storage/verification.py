"""What `verify` asks of the database: each check is one statement that gives only what differs."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from jangbu.storage.database import Connection, Database
from jangbu.storage.statements import statement
from jangbu.storage.usage import UsageRecord, record_of

PAGE_ROWS = 1000
"""How many records a page holds; the statement has the number too."""

_START = UUID(int=0)
_HASH_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that is not what others say it should be; no ``account`` and no ``user`` where it is of everybody."""

    account: UUID | None
    user: str | None
    what: str
    expected: int | str
    found: int | str


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to check."""

    accounts: int
    records: int


async def balances(connection: Connection, project: str, limit: int) -> Sequence[Difference]:
    """Compare used and granted with records and entries."""
    return await _differences(connection, "verify_balances", project, limit)


async def holds(connection: Connection, project: str, limit: int) -> Sequence[Difference]:
    """Compare held with the holds that are open or unknown."""
    return await _differences(connection, "verify_holds", project, limit)


async def entries(connection: Connection, project: str, limit: int) -> Sequence[Difference]:
    """Check the numbers and the running balances of entries."""
    return await _differences(connection, "verify_entries", project, limit)


async def chain(connection: Connection, project: str, limit: int) -> Sequence[Difference]:
    """Check the hashes of entries against the chain that they make, and the balances' latest."""
    return await _differences(connection, "verify_chain", project, limit)


async def postings(connection: Connection, project: str, limit: int) -> Sequence[Difference]:
    """Compare debits with the records that they sum."""
    return await _differences(connection, "verify_postings", project, limit)


async def totals(connection: Connection, project: str, limit: int) -> Sequence[Difference]:
    """Compare the users' running totals with the records."""
    return await _differences(connection, "verify_totals", project, limit)


async def daily(connection: Connection, project: str, limit: int) -> Sequence[Difference]:
    """Compare the users' daily figures with the records."""
    return await _differences(connection, "verify_daily", project, limit)


async def hourly(connection: Connection, project: str, limit: int) -> Sequence[Difference]:
    """Compare a project's hourly figures with the records."""
    return await _differences(connection, "verify_hourly", project, limit)


async def grants(connection: Connection, project: str, limit: int) -> Sequence[Difference]:
    """Compare grants with the entries that made and expired them."""
    return await _differences(connection, "verify_grants", project, limit)


async def overdue_holds(connection: Connection, project: str, limit: int, grace_seconds: int) -> Sequence[Difference]:
    """Find open holds whose time was up longer ago than the grace."""
    return await _differences(connection, "verify_overdue", project, limit, grace_seconds)


async def accounts(connection: Connection, project: str, limit: int) -> Sequence[Difference]:
    """Find accounts without a token balance, and token balances without an account."""
    return await _differences(connection, "verify_accounts", project, limit)


async def size(connection: Connection, project: str) -> Size:
    """Give how many accounts and records a project has."""
    row = await connection.fetchrow(statement("verify_size"), project)
    assert row is not None, "one row of counts"
    return Size(row["accounts"], row["records"])


async def records(
    database: Database, project: str, after: tuple[UUID, UUID] = (_START, _START)
) -> Sequence[UsageRecord]:
    """Give a page of records in the order of (account, id), from the one after ``after``."""
    return [record_of(row) for row in await database.rows("verify_records", project, *after)]


async def _differences(connection: Connection, name: str, *arguments: object) -> Sequence[Difference]:
    rows = await connection.fetch(statement(name), *arguments)
    return [
        Difference(row["account_id"], row["user_id"], row["what"], _figure(row["expected"]), _figure(row["found"]))
        for row in rows
    ]


def _figure(text: str) -> int | str:
    """Give a whole number as what it is; a hash is no number, whatever its digits."""
    return int(text) if len(text) < _HASH_LENGTH and text.lstrip("-").isdecimal() else text
