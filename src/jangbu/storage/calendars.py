"""What a user used on each day of a long time, as a zone's clock cuts days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from jangbu.domain.shifts import Shifts
from jangbu.storage.database import Reader


@dataclass(frozen=True, slots=True)
class DayRow:
    """What was used on a day, which is numbered from 0."""

    number: int
    calls: int
    total_tokens: int


async def of_user(
    reader: Reader, account: UUID, edges: Sequence[datetime], nights: Sequence[date], shifts: Shifts
) -> Sequence[DayRow]:
    """Give what a user used between edges: days of UTC from ``nights`` on, put right by shifts. No day has no calls."""
    hours, quarters = (
        ([each.edge + 1 for each in part], [each.sign for each in part], [each.first for each in part],
         [each.after for each in part])
        for part in (shifts.hours, shifts.quarters)
    )  # fmt: skip
    rows = await reader.rows("calendar_user", account, edges, nights, *hours, *quarters)
    return [DayRow(row["bucket"] - 1, row["calls"], row["total_tokens"]) for row in rows]
