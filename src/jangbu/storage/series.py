"""What was used in each bucket of a window."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from uuid import UUID

from jangbu.domain.amounts import Amounts
from jangbu.storage.database import Reader, Row

_COLUMNS = tuple(each.name for each in fields(Amounts))
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Cut:
    """Amounts of one bucket, numbered from 0, and of one part of them where a part was asked for."""

    bucket: int
    part: str | None
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Asked:
    """What a series is asked of: buckets between edges, by 'model' or 'service' or whole, of some of them or all."""

    edges: Sequence[datetime]
    by: str | None
    models: Sequence[str] | None
    services: Sequence[str] | None


async def of_project(reader: Reader, project: str, asked: Asked) -> Sequence[Cut]:
    """Give what everybody used."""
    edges = asked.edges
    hours = sorted({_hour(at) for at in edges if at != _hour(at)})
    firsts, nexts = _parts(edges, hours)
    rows = await reader.rows(
        "series_project", project, edges, asked.by, asked.models, asked.services, _hour(edges[0]), edges[-1], hours,
        firsts, nexts,
    )  # fmt: skip
    return [_cut(row) for row in rows]


async def of_user(reader: Reader, account: UUID, asked: Asked) -> Sequence[Cut]:
    """Give what one user used."""
    edges = asked.edges
    rows = await reader.rows("series_user", account, edges, asked.by, asked.models, asked.services, edges[0], edges[-1])
    return [_cut(row) for row in rows]


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _parts(edges: Sequence[datetime], hours: Sequence[datetime]) -> tuple[list[datetime], list[datetime]]:
    """Give where the parts of hours begin and end that lie in the window, of the hours that edges cut."""
    spans = [(max(hour, edges[0]), min(hour + _HOUR, edges[-1])) for hour in hours]
    return [first for first, _ in spans], [end for _, end in spans]


def amounts_of(row: Row) -> Amounts:
    """Give the amounts that a row tells."""
    return Amounts(*(row[name] for name in _COLUMNS))


def _cut(row: Row) -> Cut:
    return Cut(row["bucket"] - 1, row["part"], amounts_of(row))
