"""Stretches of records: when and by whom the calls of a time were made, and the records of some of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from jangbu.storage.database import Reader
from jangbu.storage.series import Cut, amounts_of
from jangbu.storage.usage import UsageRecord, record_of


@dataclass(frozen=True, slots=True)
class Part:
    """Of which models and services calls are meant; None are all."""

    models: Sequence[str] | None
    services: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Span:
    """Records of an account from an id to before another one."""

    account: UUID
    first: UUID
    after: UUID


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of some spans, as far as they were recorded at ``as_of``."""

    spans: Sequence[Span]
    part: Part
    as_of: datetime

    @property
    def arguments(self) -> tuple[object, ...]:
        """Give it as the first arguments of a statement."""
        accounts = [span.account for span in self.spans]
        firsts, afters = [span.first for span in self.spans], [span.after for span in self.spans]
        return accounts, self.part.models, self.part.services, firsts, afters, self.as_of


@dataclass(frozen=True, slots=True)
class Quarter:
    """A quarter of an hour from ``at`` on: how many of its calls are meant, and how many of all were made since."""

    at: datetime
    calls: int
    calls_since: int


async def quarters(
    reader: Reader, owner: str | UUID, part: Part, start: datetime, end: datetime, reach: timedelta
) -> Sequence[Quarter]:
    """Give when calls of a project (by its name) or a user (by their account) were made, newest first: those from
    ``reach`` before the latest of them on.
    """
    name = "stretch_project" if isinstance(owner, str) else "stretch_user"
    return [Quarter(**row) for row in await reader.rows(name, owner, part.models, part.services, start, end, reach)]


async def callers(
    reader: Reader, project: str, part: Part, times: Sequence[datetime], *, with_times: bool
) -> Sequence[tuple[UUID, datetime | None]]:
    """Give the accounts of a project that called in some quarters of an hour, which are told by when they begin: each
    once and None, or ``with_times`` with each of its quarters, the earliest first.
    """
    rows = await reader.rows("stretch_accounts", project, part.models, part.services, times, with_times)
    return [(row["account_id"], row["at"]) for row in rows]


@dataclass(frozen=True, slots=True)
class CallLine:
    """A call as a list of everybody's shows it: tokens, and its cost in nano-USD, None where no price is known."""

    id: UUID
    created_at: datetime
    user: str
    service: str
    model: str
    total_tokens: int
    cost_nano: int | None
    charge_nano: int | None


async def tag_names(reader: Reader, stretch: Stretch) -> tuple[int, Sequence[str]]:
    """Give how many calls a stretch has, and the names of the tags that they bear."""
    rows = await reader.rows("stretch_tag_names", *stretch.arguments)
    return sum(row["calls"] for row in rows), [row["name"] for row in rows if row["name"] is not None]


async def by_tag(reader: Reader, stretch: Stretch, name: str | None, edges: Sequence[UUID]) -> Sequence[Cut]:
    """Give what the calls of a stretch used by the value of a tag, or by key where no tag is named; the part None is
    for those without it. They are told apart by buckets between edges, which are the first ids there can be in each.
    """
    rows = await reader.rows("stretch_tags", *stretch.arguments, name, edges)
    return [Cut(row["bucket"] - 1, row["value"], amounts_of(row)) for row in rows]


async def tagged(reader: Reader, stretch: Stretch, name: str | None, value: str, limit: int) -> Sequence[CallLine]:
    """Give the calls of a stretch that have a value of a tag, or came by a key where no tag is named, newest first."""
    rows = await reader.rows("stretch_tagged", *stretch.arguments, name, value, limit)
    return [CallLine(**row) for row in rows]


async def lines(reader: Reader, stretch: Stretch, limit: int) -> Sequence[CallLine]:
    """Give the latest calls of a stretch, so many at most, newest first."""
    return [CallLine(**row) for row in await reader.rows("stretch_lines", *stretch.arguments, limit)]


async def records(reader: Reader, stretch: Stretch) -> Sequence[UsageRecord]:
    """Give all records of a stretch, in no order."""
    return [record_of(row) for row in await reader.rows("stretch_records", *stretch.arguments)]
