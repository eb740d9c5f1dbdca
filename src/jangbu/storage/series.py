"""What was used in each bucket of a window."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import itemgetter
from uuid import UUID

from jangbu.domain.amounts import Amounts
from jangbu.domain.spans import Runs, spans_of
from jangbu.storage.database import Reader, Row

_columns_of = itemgetter(*(each.name for each in fields(Amounts)))


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
    spans = spans_of(asked.edges, with_six_hours=True)
    runs = (spans.days, spans.six_hours, spans.hours, spans.quarters, spans.minutes)
    return [_cut(row) for row in await reader.rows("series_project", project, *_arguments(asked, runs))]


async def of_user(reader: Reader, account: UUID, asked: Asked) -> Sequence[Cut]:
    """Give what one user used."""
    # A user's figures by days are of all models and services.
    with_days = asked.by is None and asked.models is None and asked.services is None
    spans = spans_of(asked.edges, with_days=with_days, with_six_hours=True)
    runs = (spans.days, spans.six_hours, spans.hours, spans.quarters, spans.minutes)
    return [_cut(row) for row in await reader.rows("series_user", account, *_arguments(asked, runs))]


def _arguments(asked: Asked, runs: Sequence[Runs]) -> list[object]:
    edges = asked.edges
    times = [times for each in runs for times in (each.firsts, each.nexts)]
    return [edges, asked.by, asked.models, asked.services, *times, edges[0], edges[-1]]


def amounts_of(row: Row) -> Amounts:
    """Give the amounts that a row tells."""
    return Amounts(*_columns_of(row))


def _cut(row: Row) -> Cut:
    return Cut(row["bucket"] - 1, row["part"], amounts_of(row))
