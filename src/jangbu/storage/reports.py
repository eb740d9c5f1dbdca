"""What reports read: the rollups, and what belongs to one call."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from jangbu.domain.ledger import Asset, EntryKind
from jangbu.storage.database import Database, Reader, Row
from jangbu.storage.entries import EntryRow, entry_of


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over calls; tokens, and money in nano-USD, to which the ``unpriced`` calls add nothing.

    ``prompt_tokens`` = prompt + tool-use prompt, ``completion_tokens`` = candidates + thoughts.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    total_tokens: int = 0
    cost_nano: int = 0
    input_cost_nano: int = 0
    charge_nano: int = 0
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class CallRow:
    """One recorded call in a list: tokens, and its cost in nano-USD, None where no price is known."""

    id: UUID
    created_at: datetime
    service: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost_nano: int | None
    anomalies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Something about a call that somebody should look at."""

    call: UUID
    user: str
    kind: str
    detail: str
    created_at: datetime


async def totals(reader: Reader, account: UUID) -> Sequence[tuple[str, str, Sums]]:
    """Give (service, model, sums) of all that one user ever used, the largest first."""
    rows = await reader.rows("report_totals", account)
    return [(row["service"], row["model"], _sums(row)) for row in rows]


async def overall(database: Database, project: str, since: datetime | None) -> Sequence[tuple[str, str, Sums]]:
    """Give (service, model, sums) of all that a project used since the day of a moment (UTC), the largest first."""
    rows = await database.rows("report_overall", project, since)
    return [(row["service"], row["model"], _sums(row)) for row in rows]


async def days(database: Database, account: UUID, first: date, last: date) -> Sequence[tuple[date, str, Sums]]:
    """Give (day, service, sums) of one user, newest first."""
    return [_day(row) for row in await database.rows("report_days", account, first, last)]


async def overall_days(database: Database, project: str, first: date, last: date) -> Sequence[tuple[date, str, Sums]]:
    """Give (day, service, sums) of everybody in a project, newest first."""
    return [_day(row) for row in await database.rows("report_overall_days", project, first, last)]


async def users(database: Database, project: str, *, by_cost: bool, limit: int) -> Sequence[tuple[str, Sums]]:
    """Give (user, sums) of those who used most, by tokens or by cost."""
    rows = await database.rows("report_users", project, by_cost, limit)
    return [(row["user_id"], _sums(row)) for row in rows]


async def calls(reader: Reader, account: UUID, before: UUID | None, limit: int) -> Sequence[CallRow]:
    """Give a user's calls, newest first, from the one before ``before``."""
    return [
        CallRow(**{**row, "anomalies": tuple(row["anomalies"] or ())})
        for row in await reader.rows("report_calls", account, before, limit)
    ]


async def calls_of_entry(
    reader: Reader, account: UUID, asset: Asset, entry: EntryRow, span: tuple[UUID, UUID], limit: int
) -> Sequence[tuple[CallRow, int]]:
    """Give the calls that a debit sums, newest first, each with what it adds; of those whose ids lie in the span."""
    is_overrun = entry.kind is EntryKind.OVERRUN
    rows = await reader.rows("entry_calls", account, int(asset), entry.posting, is_overrun, *span, limit)
    found = []
    for row in rows:
        values = dict(row)
        amount = values.pop("amount")
        found.append((CallRow(**{**values, "anomalies": tuple(values["anomalies"] or ())}), amount))
    return found


async def findings(database: Database, project: str, limit: int) -> Sequence[FindingRow]:
    """Give the open findings, newest first."""
    return [
        FindingRow(row["usage_id"], row["user_id"], row["kind"], row["detail"], row["created_at"])
        for row in await database.rows("report_findings", project, limit)
    ]


async def findings_count(database: Database, project: str) -> dict[str, int]:
    """Give how many findings of each kind are open."""
    return {row["kind"]: row["findings"] for row in await database.rows("report_findings_count", project)}


async def returns(database: Database, account: UUID, call: UUID, asset: Asset) -> tuple[EntryRow, ...]:
    """Give the refunds and voids of a call in an asset, oldest first."""
    return tuple(entry_of(row) for row in await database.rows("report_returns", account, call, int(asset)))


async def today(database: Database) -> date:
    """Give the database's day, in UTC."""
    moment: datetime = await database.value("clock_read")
    return moment.date()


def _day(row: Row) -> tuple[date, str, Sums]:
    return row["day"], row["service"], _sums(row)


def _sums(row: Row) -> Sums:
    return Sums(
        row["calls"],
        row["prompt_tokens"],
        row["completion_tokens"],
        row["cached_tokens"],
        row["total_tokens"],
        row["cost_nano"],
        row["input_cost_nano"],
        row["charge_nano"],
        row["unpriced"],
    )
