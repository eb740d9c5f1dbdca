"""What `verify` asks of the database: each check is one short statement that gives only what differs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from jangbu.storage.database import Database
from jangbu.storage.usage import UsageRecord, first_id, record_of

PAGE_ROWS = 200
"""How many records a page holds; the statement has the number too."""

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
class Scope:
    """What is looked at: everything, or only what came after a moment, which earlier verifications leave open."""

    since: datetime | None = None

    @property
    def is_full(self) -> bool:
        """Tell whether nothing is taken as verified."""
        return self.since is None

    @property
    def first_day(self) -> date:
        """The first day, in UTC, whose figures are looked at."""
        return date.min if self.since is None else self.since.astimezone(UTC).date()

    @property
    def first_hour(self) -> datetime | None:
        """The first hour whose figures are looked at, or None for all."""
        return None if self.since is None else self.since.replace(minute=0, second=0, microsecond=0)

    @property
    def first_record(self) -> UUID:
        """An id before those of all records that are read again."""
        return UUID(int=0) if self.since is None else first_id(self.since)

    @property
    def first_of_day(self) -> UUID:
        """An id before those of all records of the first day."""
        if self.since is None:
            return UUID(int=0)
        return first_id(datetime.combine(self.first_day, datetime.min.time(), UTC))


@dataclass(frozen=True, slots=True)
class Listed:
    """An account to look at, and whether anything of it moved since it was verified."""

    account: UUID
    has_moved: bool


async def page(database: Database, project: str, after: UUID, scope: Scope, limit: int) -> Sequence[Listed]:
    """Give the accounts of a project in the order of their ids, from the one after ``after``."""
    rows = await database.rows("verify_page", project, after, scope.first_day, limit)
    return [Listed(row["account_id"], row["has_moved"]) for row in rows]


async def accounts(database: Database, project: str, after: UUID, upto: UUID, limit: int) -> Sequence[Difference]:
    """Find accounts without a token balance, and token balances without an account, in a range of ids."""
    return await _differences(database, "verify_accounts", project, after, upto, limit)


async def balances(database: Database, ids: Sequence[UUID], scope: Scope, limit: int) -> Sequence[Difference]:
    """Compare used and granted with records and entries."""
    return await _differences(database, "verify_balances", ids, not scope.is_full, limit)


async def holds(database: Database, ids: Sequence[UUID], _scope: Scope, limit: int) -> Sequence[Difference]:
    """Compare held with the holds that are open or unknown."""
    return await _differences(database, "verify_holds", ids, limit)


async def entries(database: Database, ids: Sequence[UUID], scope: Scope, limit: int) -> Sequence[Difference]:
    """Check the numbers and the running balances of entries."""
    return await _differences(database, "verify_entries", ids, not scope.is_full, limit)


async def chain(database: Database, ids: Sequence[UUID], scope: Scope, limit: int) -> Sequence[Difference]:
    """Check the hashes of entries against the chain that they make, and the balances' latest."""
    return await _differences(database, "verify_chain", ids, not scope.is_full, limit)


async def postings(database: Database, ids: Sequence[UUID], scope: Scope, limit: int) -> Sequence[Difference]:
    """Compare debits with the records that they sum."""
    return await _differences(database, "verify_postings", ids, not scope.is_full, scope.first_record, limit)


async def totals(database: Database, ids: Sequence[UUID], scope: Scope, limit: int) -> Sequence[Difference]:
    """Compare the users' running totals with the records, or since a checkpoint with the figures by hours."""
    return await _differences(database, "verify_totals", ids, not scope.is_full, limit)


async def user_quarters(database: Database, ids: Sequence[UUID], scope: Scope, limit: int) -> Sequence[Difference]:
    """Compare the users' figures by quarters of an hour with the records."""
    return await _differences(database, "verify_user_quarters", ids, scope.first_day, scope.first_of_day, limit)


async def user_longer(database: Database, ids: Sequence[UUID], scope: Scope, limit: int) -> Sequence[Difference]:
    """Compare the users' figures by hours, six hours and days with those by quarters of an hour."""
    return await _differences(database, "verify_user_longer", ids, scope.first_day, limit)


async def grants(database: Database, ids: Sequence[UUID], _scope: Scope, limit: int) -> Sequence[Difference]:
    """Compare grants with the entries that made and expired them."""
    return await _differences(database, "verify_grants", ids, limit)


async def overdue_holds(database: Database, project: str, limit: int, grace_seconds: int) -> Sequence[Difference]:
    """Find open holds whose time was up longer ago than the grace."""
    return await _differences(database, "verify_overdue", project, limit, grace_seconds)


async def project_quarters(
    database: Database, project: str, ids: Sequence[UUID] | None, first: datetime, end: datetime, limit: int
) -> Sequence[tuple[datetime, Difference]]:
    """Compare a project's figures by quarters of an hour with the records, from an hour to before another.

    With ``ids`` only the records of these accounts are read: all that had calls then.
    """
    rows = await database.rows("verify_project_quarters", project, ids, first, end, limit)
    return [(row["hour"], Difference(None, None, row["what"], int(row["expected"]), int(row["found"]))) for row in rows]


async def project_longer(
    database: Database, project: str, first: datetime, end: datetime, limit: int
) -> Sequence[Difference]:
    """Compare a project's figures by minutes, hours, six hours and days with those by quarters of an hour, between two
    days.
    """
    return await _differences(database, "verify_project_longer", project, first, end, limit)


async def size(database: Database, project: str) -> tuple[int, datetime | None]:
    """Give how many accounts a project has, and where its figures that know no user begin."""
    row = await database.row("verify_size", project)
    assert row is not None, "one row of counts"
    return row["accounts"], row["first_hour"]


async def records(database: Database, account: UUID, after: UUID) -> Sequence[UsageRecord]:
    """Give a page of an account's records in the order of their ids, from the one after ``after``."""
    return [record_of(row) for row in await database.rows("verify_records", account, after)]


async def advance(database: Database, ids: Sequence[UUID], scope: Scope, before: datetime) -> None:
    """Note that the entries of accounts that are older than a moment are verified."""
    await database.rows("verify_advance", ids, not scope.is_full, before)


async def _differences(database: Database, name: str, *arguments: object) -> Sequence[Difference]:
    return [
        Difference(row["account_id"], row["user_id"], row["what"], _figure(row["expected"]), _figure(row["found"]))
        for row in await database.rows(name, *arguments)
    ]


def _figure(text: str) -> int | str:
    """Give a whole number as what it is; a hash is no number, whatever its digits."""
    return int(text) if len(text) < _HASH_LENGTH and text.lstrip("-").isdecimal() else text
