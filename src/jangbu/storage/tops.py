"""Who used most, and of what: sums over a window by users, and by services and models."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from jangbu.domain.amounts import Amounts
from jangbu.domain.spans import Runs, spans_of
from jangbu.storage.database import Reader, Row
from jangbu.storage.series import amounts_of

SHORT = timedelta(hours=3)
"""The longest window of which users are found by quarters of an hour alone: by time, and not one by one."""


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
    """A user who may be among the first: ``size`` is what they used on so many ``days``."""

    account: UUID
    size: int
    days: int


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
    """Give users who used much on some day, about ``limit`` of each."""
    rows = await reader.rows("top_first", project, lists.by, lists.days, limit)
    return [row["account_id"] for row in rows]


async def recent(reader: Reader, lists: Lists, least: int, limit: int | None) -> dict[UUID, int]:
    """Give who has recent figures of at least so much, the first one first; users of other projects are among them."""
    rows = await reader.rows("top_recent", lists.by, lists.first, lists.after, least, limit)
    return {row["account_id"]: row["size"] for row in rows}


async def candidates(reader: Reader, project: str, lists: Lists, above: int) -> Sequence[Candidate]:
    """Give all users who are above a class on one of the days."""
    rows = await reader.rows("top_candidates", project, lists.by, lists.days, above)
    return [Candidate(row["account_id"], row["size"], row["days"]) for row in rows]


async def short(
    reader: Reader, project: str, lists: Lists, least: int, limit: int | None
) -> Sequence[tuple[UUID, int]]:
    """Give who used at least so much by quarters of an hour of a short time, and how much, the first one first."""
    rows = await reader.rows("top_short", project, lists.by, lists.first, lists.after, least, limit)
    return [(row["account_id"], row["size"]) for row in rows]


async def amounts(
    reader: Reader, project: str, accounts: Sequence[UUID], start: datetime, end: datetime
) -> Sequence[Used]:
    """Give what each of some users used in a window; who used nothing, or is of another project, is left out."""
    spans = spans_of((start, end), with_six_hours=True)
    times = _times(spans.days, spans.six_hours, spans.hours, spans.quarters, spans.minutes)
    rows = await reader.rows("top_amounts", accounts, project, *times, start, end)
    return [Used(row["account_id"], row["user_id"], amounts_of(row)) for row in rows]


async def of_part(
    reader: Reader,
    project: str,
    by: str,
    limit: int,
    between: tuple[datetime, datetime],
    named: tuple[Sequence[str] | None, Sequence[str] | None],
) -> Sequence[Used]:
    """Give who used most of some models and services between two moments, the first one first, so many at most.

    ``by`` is as in ``Lists``; None stands for all models, or all services.
    """
    spans = spans_of(between, with_days=False, with_six_hours=True)
    runs = [spans.six_hours, spans.hours, spans.quarters, spans.minutes]
    if between[1] - between[0] <= SHORT:
        quarters = Runs(spans.quarters.firsts + spans.hours.firsts, spans.quarters.nexts + spans.hours.nexts)
        runs = [Runs(), Runs(), quarters, spans.minutes]
    rows = await reader.rows("top_part", project, by, limit, *named, *_times(*runs), *between)
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
    rows = await reader.rows("breakdown_project", project, models, services, *_runs(start, end))
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
    # A user's figures by days are of all models and services.
    rows = await reader.rows("breakdown_user", account, models, services, *_runs(start, end, by_six_hours=True))
    return [Cell(row["service"], row["model"], amounts_of(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Spread:
    """How large some calls were, in tokens: half of them at most ``p50``, 95% of them at most ``p95``.

    They are of one model for one service, or of all that one of them is None for; ``calls`` is how many were looked at.
    """

    service: str | None
    model: str | None
    calls: int
    p50: int
    p95: int


async def spreads_of_user(
    reader: Reader, account: UUID, start: datetime, end: datetime, limit: int
) -> Sequence[Spread]:
    """Give the spreads of a user's latest calls of a window, up to a limit."""
    return [_spread(row) for row in await reader.rows("spread_user", account, start, end, limit)]


async def days_and_months(reader: Reader, project: str, start: datetime, end: datetime) -> tuple[int, int]:
    """Give how many calls everybody made on days of UTC from one to before another, and in all of their months."""
    row = await reader.row("spread_size", project, start, end)
    assert row is not None, "one row of sums"
    return row["in_days"], row["in_months"]


async def spreads_of_sample(
    reader: Reader, project: str, start: datetime, end: datetime, per_million: int
) -> Sequence[Spread]:
    """Give the spreads of everybody's calls of a window, in a sample of so many of a million pages of its months."""
    return [_spread(row) for row in await reader.rows("spread_sample", project, start, end, per_million)]


def _spread(row: Row) -> Spread:
    return Spread(row["service"], row["model"], row["calls"], row["half"], row["most"])


def _runs(start: datetime, end: datetime, *, by_six_hours: bool = False) -> list[object]:
    """Give the runs that cover a window, by days or six hours at most, as arguments of a statement; and the window."""
    spans = spans_of((start, end), with_days=not by_six_hours, with_six_hours=by_six_hours)
    longest = spans.six_hours if by_six_hours else spans.days
    return [*_times(longest, spans.hours, spans.quarters, spans.minutes), start, end]


def _times(*runs: Runs) -> list[list[datetime]]:
    return [moments for each in runs for moments in (each.firsts, each.nexts)]
