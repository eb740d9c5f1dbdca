"""Who used most, and of what: sums over a window by users, and by services and models."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from jangbu.domain.amounts import Amounts
from jangbu.domain.spans import spans_of
from jangbu.storage.database import Reader
from jangbu.storage.series import amounts_of


@dataclass(frozen=True, slots=True)
class Used:
    """What a user used in a window."""

    account: UUID
    user: str
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Cell:
    """What was used of one model for one service."""

    service: str
    model: str
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Candidate:
    """A user who may be among the first: ``size`` is known of them, from so many ``days`` and maybe recent figures."""

    account: UUID
    size: int
    days: int
    has_recent: bool


@dataclass(frozen=True, slots=True)
class Lists:
    """What the first users are looked for in: days of UTC, and recent figures from one moment to before another.

    ``by`` is 'calls', 'total' (tokens) or 'cost'.
    """

    by: str
    days: Sequence[date]
    first: datetime
    after: datetime


async def some(reader: Reader, project: str, lists: Lists, limit: int) -> Sequence[UUID]:
    """Give users who are high in the lists, ``limit`` of each."""
    rows = await reader.rows("top_first", project, lists.by, lists.days, lists.first, lists.after, limit)
    return [row["account_id"] for row in rows]


async def candidates(reader: Reader, project: str, lists: Lists, above: int, recent: int) -> Sequence[Candidate]:
    """Give all users who are above a class on one of the days, or whose recent figures are more than so much."""
    rows = await reader.rows("top_candidates", project, lists.by, lists.days, lists.first, lists.after, above, recent)
    return [Candidate(row["account_id"], row["size"], row["days"], row["has_recent"]) for row in rows]


async def short(
    reader: Reader, project: str, lists: Lists, least: int, limit: int | None
) -> Sequence[tuple[UUID, int]]:
    """Give who used at least so much by quarters of an hour of a short time, and how much, the first one first."""
    rows = await reader.rows("top_short", project, lists.by, lists.first, lists.after, least, limit)
    return [(row["account_id"], row["size"]) for row in rows]


async def amounts(reader: Reader, accounts: Sequence[UUID], start: datetime, end: datetime) -> Sequence[Used]:
    """Give what each of some users used in a window; those who used nothing are left out."""
    rows = await reader.rows("top_amounts", accounts, *_runs(start, end, with_days=True))
    return [Used(row["account_id"], row["user_id"], amounts_of(row)) for row in rows]


async def of_project(
    reader: Reader,
    project: str,
    start: datetime,
    end: datetime,
    models: Sequence[str] | None,
    services: Sequence[str] | None,
) -> Sequence[Cell]:
    """Give what everybody used by service and model."""
    rows = await reader.rows("breakdown_project", project, models, services, *_runs(start, end, with_days=True))
    return [Cell(row["service"], row["model"], amounts_of(row)) for row in rows]


async def of_user(
    reader: Reader,
    account: UUID,
    start: datetime,
    end: datetime,
    models: Sequence[str] | None,
    services: Sequence[str] | None,
) -> Sequence[Cell]:
    """Give what one user used by service and model."""
    rows = await reader.rows("breakdown_user", account, models, services, *_runs(start, end, with_days=False))
    return [Cell(row["service"], row["model"], amounts_of(row)) for row in rows]


async def spreads(
    reader: Reader, account: UUID, start: datetime, end: datetime
) -> Sequence[tuple[str, str, tuple[int, int]]]:
    """Give service, model, and of how many tokens half and 95% of a user's calls were at most, from the records."""
    rows = await reader.rows("spread_user", account, start, end)
    return [(row["service"], row["model"], (row["half"], row["most"])) for row in rows]


def _runs(start: datetime, end: datetime, *, with_days: bool) -> list[object]:
    """Give the runs that cover a window, as the arguments of a statement, and the window."""
    spans = spans_of((start, end), with_days=with_days)
    longest = (spans.days,) if with_days else ()
    runs = (*longest, spans.hours, spans.quarters, spans.minutes)
    return [*(times for each in runs for times in (each.firsts, each.nexts)), start, end]
