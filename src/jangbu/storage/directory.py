"""The users of a project in the orders in which they are listed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from jangbu.domain.amounts import Amounts
from jangbu.domain.ledger import Balance
from jangbu.domain.spans import Runs, spans_of
from jangbu.storage.database import Reader, Row
from jangbu.storage.series import amounts_of

HIGHEST = chr(0x10FFFF) * 201
"""A name after all that there may be."""

_QUARTER, _MIDNIGHT = timedelta(minutes=15), datetime(2000, 1, 1, tzinfo=UTC)
_BEFORE_ALL, _AFTER_ALL = (-(2**63), ""), (2**63 - 1, HIGHEST)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a user stands in an order: by a number, and among those of the same number by name."""

    key: int
    user: str


Found = tuple[UUID, Place]
"""An account, and where its user stands in the order that was asked for."""


@dataclass(frozen=True, slots=True)
class Names:
    """A range of names, in the order of their code points: from one to before another; all where none are given."""

    first: str = ""
    after: str = HIGHEST


@dataclass(frozen=True, slots=True)
class Standing:
    """What it takes to tell how a user stands. Of an anomalous one a finding is open."""

    state: str
    is_anomalous: bool
    balance: Balance
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of a user who is listed; ``lifetime`` is all that they ever used. Of an anomalous one a finding is
    open.
    """

    account: UUID
    user: str
    state: str
    is_anomalous: bool
    balance: Balance
    seen_at: datetime | None
    lifetime: Amounts


async def page(
    reader: Reader, project: str, order: str, *, descending: bool, after: Place | None, names: Names, limit: int
) -> Sequence[Found]:
    """Give the accounts that come after a place in an order ('user', 'used', 'left' or 'seen'), and their places."""
    arguments = (project, order, *_from(after, descending), names.first, names.after, limit)
    if descending:
        rows = await reader.rows("directory_descending", *arguments)
    else:
        rows = await reader.rows("directory_ascending", *arguments)
    return [(row["account_id"], Place(row["key"], row["user_id"])) for row in rows]


async def anomalous(
    reader: Reader,
    project: str,
    order: str,
    *,
    descending: bool,
    after: Place | None,
    names: Names,
    limit: int,
    findings: int,
) -> Sequence[Found] | None:
    """Give those of them of whom a finding is open, or None where more than so many findings are open."""
    arguments = (project, order, *_from(after, descending), names.first, names.after, limit, descending, findings)
    rows = await reader.rows("directory_anomalous", *arguments)
    if rows[0]["are_many"]:
        return None
    return [(row["account_id"], Place(row["key"], row["user_id"])) for row in rows if row["account_id"] is not None]


async def blocked(reader: Reader, project: str, names: Names, order: str, limit: int) -> Sequence[Found]:
    """Give the blocked accounts of a range of names with their places in an order, the first ones by name."""
    return _places(await reader.rows("directory_blocked", project, names.first, names.after, limit), order)


async def few(reader: Reader, project: str, names: Names, order: str, limit: int) -> Sequence[Found] | None:
    """Give all accounts of a range of names with their places in an order, or None where they are more than a limit."""
    rows = await reader.rows("directory_few", project, names.first, names.after, limit + 1)
    return None if len(rows) > limit else _places(rows, order)


async def standings(reader: Reader, accounts: Sequence[UUID], *, with_findings: bool) -> dict[UUID, Standing]:
    """Give how users stand; whether they are anomalous is looked up ``with_findings`` alone."""
    rows = await reader.rows("directory_standings", accounts, with_findings)
    return {
        row["account_id"]: Standing(
            row["state"], row["is_anomalous"], Balance(row["granted"], row["used"], row["held"]), row["seen_at"]
        )
        for row in rows
    }


async def details(reader: Reader, accounts: Sequence[UUID]) -> dict[UUID, Details]:
    """Give what is known of users."""
    rows = await reader.rows("directory_details", accounts)
    return {
        row["account_id"]: Details(
            row["account_id"],
            row["user_id"],
            row["state"],
            row["is_anomalous"],
            Balance(row["granted"], row["used"], row["held"]),
            row["seen_at"],
            amounts_of(row),
        )
        for row in rows
    }


async def days(reader: Reader, accounts: Sequence[UUID], first: date, last: date) -> dict[tuple[UUID, date], int]:
    """Give the tokens that users used on days of UTC, of those on which they used any."""
    rows = await reader.rows("directory_days", accounts, first, last)
    return {(row["account_id"], row["day"]): row["total_tokens"] for row in rows}


async def histogram(reader: Reader, project: str, bounds: Sequence[int]) -> dict[int, int]:
    """Give how many users used less than the first bound (0), from it to before the second (1), and so on."""
    rows = await reader.rows("directory_histogram", project, bounds)
    return {row["bin"]: row["users"] for row in rows}


async def active(reader: Reader, project: str, since: datetime) -> int:
    """Give how many users called since a moment."""
    users: int = await reader.value("directory_active", project, since)
    return users


async def called(reader: Reader, project: str, start: datetime, end: datetime) -> int:
    """Give how many users called in a time that is over."""
    spans = spans_of((start, end))
    days = (spans.days.firsts[0], spans.days.nexts[0]) if spans.days.firsts else (end, end)
    whole = [at for runs in (spans.hours, spans.quarters) for at, _, _ in _quarters(runs)]
    cut = zip(*_quarters(spans.minutes), strict=True)
    users: int = await reader.value("directory_called", project, *days, whole, start, end, *(list(cut) or ([], [], [])))
    return users


def _places(rows: Sequence[Row], order: str) -> Sequence[Found]:
    column = {"used": "used", "left": "left_over", "seen": "seen_ms"}.get(order)
    return [(row["account_id"], Place(row[column] if column else 0, row["user_id"])) for row in rows]


def _quarters(runs: Runs) -> Iterator[tuple[datetime, datetime, datetime]]:
    """Give the quarters of an hour that stretches of time lie in, and from when to when each is in them."""
    for first, after in zip(runs.firsts, runs.nexts, strict=True):
        at = first - (first - _MIDNIGHT) % _QUARTER
        while at < after:
            yield at, max(at, first), min(at + _QUARTER, after)
            at += _QUARTER


def _from(after: Place | None, descending: bool) -> tuple[int, str]:
    """Give where a page begins: after a place, or before all."""
    if after is None:
        return _AFTER_ALL if descending else _BEFORE_ALL
    return after.key, after.user
