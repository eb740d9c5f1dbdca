"""Reports: what users, services and models used and cost, read from the rollups alone.

What a report costs depends on how many users, services, models and days there are, never on how many calls; only what
explains a call reads its record. Reports of everybody are of everybody in the project.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, Self, TypeVar
from uuid import UUID

from jangbu.domain.amounts import average
from jangbu.domain.ledger import account_id
from jangbu.errors import InvalidInput, NoAccount
from jangbu.metering.explain import Explanation, PriceLines, explain
from jangbu.storage import accounts, reports, verifications
from jangbu.storage.database import Database
from jangbu.storage.reports import FindingRow, Sums
from jangbu.storage.verifications import Verified

__all__ = [
    "CostLine",
    "CostReport",
    "DayLine",
    "Figures",
    "FindingReport",
    "Reports",
    "TotalLine",
    "UserLine",
    "summed",
]

DAYS_MAX = 3660
ROWS_MAX = 10_000

Axis = Literal["model", "service", "user"]
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a number of calls used and cost: tokens, and money in nano-USD.

    ``prompt_tokens`` = prompt + tool-use prompt, ``completion_tokens`` = candidates + thoughts, ``cached_tokens`` is a
    part of the prompt. ``average_tokens`` is the total for each call, rounded half to even. Calls without a price add
    nothing to costs and charge: ``unpriced`` says how many they are, and costs are lower bounds where it is not 0.
    """

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    total_tokens: int
    average_tokens: int
    cost_nano: int
    input_cost_nano: int
    output_cost_nano: int
    charge_nano: int
    unpriced: int

    @classmethod
    def of(cls, sums: Iterable[Sums]) -> Self:
        """Add up."""
        parts = tuple(sums)
        calls = sum(part.calls for part in parts)
        total = sum(part.total_tokens for part in parts)
        cost = sum(part.cost_nano for part in parts)
        input_cost = sum(part.input_cost_nano for part in parts)
        return cls(
            calls=calls,
            prompt_tokens=sum(part.prompt_tokens for part in parts),
            completion_tokens=sum(part.completion_tokens for part in parts),
            cached_tokens=sum(part.cached_tokens for part in parts),
            total_tokens=total,
            average_tokens=average(total, calls),
            cost_nano=cost,
            input_cost_nano=input_cost,
            output_cost_nano=cost - input_cost,
            charge_nano=sum(part.charge_nano for part in parts),
            unpriced=sum(part.unpriced for part in parts),
        )


@dataclass(frozen=True, slots=True)
class TotalLine:
    """What was used of one model for one service."""

    service: str
    model: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class DayLine:
    """What was used on one day (UTC) for one service; a day without calls has one line without a service."""

    day: date
    service: str | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one model, service or user cost."""

    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class CostReport:
    """The dearest lines, and the total of all, of those that are not listed too."""

    lines: tuple[CostLine, ...]
    total: Figures


@dataclass(frozen=True, slots=True)
class UserLine:
    """What one user used."""

    user: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class FindingReport:
    """The open findings: how many there are of each kind, and the newest of them."""

    counts: dict[str, int]
    newest: tuple[FindingRow, ...]


class Reports:
    """The reports of one project. Each raises NotFound for a user without an account."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    async def totals(self, user: str | None = None) -> tuple[TotalLine, ...]:
        """Give all that a user (or everybody) ever used, by service and model, the most used first."""
        return tuple(
            TotalLine(service, model, Figures.of([sums])) for service, model, sums in await self._by_model(user)
        )

    async def daily(
        self, user: str | None = None, days: int = 30, *, last: date | None = None, zero_filled: bool = False
    ) -> tuple[DayLine, ...]:
        """Give what a user (or everybody) used by day and service, newest first.

        ``last`` is the last day, today by the database's clock where it is not given. ``zero_filled`` puts a line of
        zeros in for each day without calls.
        """
        last = last or await reports.today(self._database)
        first = _first_day(last, days)
        if user is None:
            rows = await reports.overall_days(self._database, self._project, first, last)
        else:
            rows = await reports.days(self._database, await self._account(user), first, last)
        lines = [DayLine(day, service, Figures.of([sums])) for day, service, sums in rows]
        if zero_filled:
            missing = {last - timedelta(ahead) for ahead in range(days)} - {line.day for line in lines}
            lines += [DayLine(day, None, Figures.of([])) for day in missing]
            lines.sort(key=lambda line: (-line.day.toordinal(), line.service or ""))
        return tuple(lines)

    async def cost(
        self, user: str | None = None, by: Axis = "model", *, days: int | None = None, limit: int = 100
    ) -> CostReport:
        """Give what a user (or everybody) cost by model, service or user, the dearest first.

        ``days`` bounds the report of everybody by model or service to the last days, today among them; of users it is
        of all time.
        """
        most, rows = _rows(limit), await self._by_model(user, days)
        total = Figures.of(sums for _, _, sums in rows)
        if by == "user" and user is None:
            users = await reports.users(self._database, self._project, by_cost=True, limit=most)
            return CostReport(tuple(CostLine(name, Figures.of([sums])) for name, sums in users), total)
        named = (
            (model if by == "model" else service if by == "service" else user or "", sums)
            for service, model, sums in rows
        )
        lines = [CostLine(name, figures) for name, figures in _grouped(named)]
        lines.sort(key=lambda line: (-line.figures.cost_nano, line.name))
        return CostReport(tuple(lines[:most]), total)

    async def top_users(self, limit: int = 20) -> tuple[UserLine, ...]:
        """Give the users who used most tokens."""
        users = await reports.users(self._database, self._project, by_cost=False, limit=_rows(limit))
        return tuple(UserLine(user, Figures.of([sums])) for user, sums in users)

    async def findings(self, limit: int = 100) -> FindingReport:
        """Give the open findings."""
        counts = await reports.findings_count(self._database, self._project)
        newest = await reports.findings(self._database, self._project, _rows(limit))
        return FindingReport(counts, tuple(newest))

    async def explain(
        self, call: UUID, price_lines: PriceLines | None = None, *, user: str | None = None
    ) -> Explanation:
        """Give everything that is known of a call, from Google's words to the debit. Raises NotFound.

        ``price_lines`` prices the record line by line. Naming the user saves looking for the call in all accounts.
        """
        account = None if user is None else await self._account(user)
        return await explain(self._database, self._project, call, account, price_lines)

    async def verified(self) -> Verified | None:
        """Tell how the last verification of the project ended, or None where none has ended yet."""
        return await verifications.find(self._database, self._project)

    async def _by_model(self, user: str | None, days: int | None = None) -> "Iterable[tuple[str, str, Sums]]":
        if user is not None:
            return await reports.totals(self._database, await self._account(user))
        if days is None:
            return await reports.overall(self._database, self._project, None)
        first = _first_day(await reports.today(self._database), days)
        return await reports.overall(self._database, self._project, datetime.combine(first, time(), UTC))

    async def _account(self, user: str) -> UUID:
        found = await accounts.find(self._database, account_id(self._project, user))
        if found is None:
            raise NoAccount(user)
        return found.id


def summed(parts: Sequence[Figures]) -> Figures:
    """Add figures up."""
    sums = {each.name: sum(getattr(part, each.name) for part in parts) for each in fields(Figures)}
    return Figures(**sums | {"average_tokens": average(sums["total_tokens"], sums["calls"])})


def _grouped(pairs: Iterable[tuple[_Key, Sums]]) -> Iterable[tuple[_Key, Figures]]:
    parts: dict[_Key, list[Sums]] = {}
    for key, sums in pairs:
        parts.setdefault(key, []).append(sums)
    return [(key, Figures.of(sums)) for key, sums in parts.items()]


def _first_day(last: date, days: int) -> date:
    if not 1 <= days <= DAYS_MAX:
        raise InvalidInput(f"{days} days cannot be reported", hint=f"ask for 1 to {DAYS_MAX:,}")
    if last.toordinal() < days:
        raise InvalidInput(f"there are no {days} days up to {last}", hint="ask for fewer, or up to a later one")
    return last - timedelta(days - 1)


def _rows(limit: int) -> int:
    if not 1 <= limit <= ROWS_MAX:
        raise InvalidInput(f"{limit} rows cannot be listed", hint=f"ask for 1 to {ROWS_MAX:,}")
    return limit
