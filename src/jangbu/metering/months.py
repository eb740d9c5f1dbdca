"""The running month by the days of a zone: what it used so far, and how it ends, which the weeks before today tell."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from jangbu.domain.amounts import Amounts
from jangbu.domain.budgets import Budget, Spent
from jangbu.domain.forecast import LATELY_WEEKS, Range, month_end
from jangbu.domain.windows import Bucket, Window
from jangbu.metering import series
from jangbu.metering.snapshots import Filters, Snapshot

__all__ = ["Outlook", "outlook", "spent_of"]

_DAY = timedelta(days=1)
_LATELY_DAYS = 7 * LATELY_WEEKS


@dataclass(frozen=True, slots=True)
class Outlook:
    """The month so far, from ``first`` to ``today``, and what it will come to; None where too little tells of it.

    ``counted`` is what was used in the month and in the weeks that tell what is to come: where some of these calls have
    no price, the month comes to more.
    """

    first: date
    today: date
    last: date
    so_far: Amounts
    counted: Amounts
    cost: Range | None
    charge: Range | None


async def outlook(book: Snapshot, zone: ZoneInfo, filters: Filters) -> Outlook:
    """Give how the month that is under way ends. Raises NotFound for a user without an account."""
    first, today = _month(book, zone)
    last = (today.replace(day=28) + 4 * _DAY).replace(day=1) - _DAY
    window = Window.days(min(first, today - _LATELY_DAYS * _DAY), today, zone, Bucket.DAY)
    read = await series.of(book, window, filters)
    by_day = {bar.start.date(): bar.amounts for bar in read.bars}

    def ahead(amount: Callable[[Amounts], int]) -> Range | None:
        def on(day: date) -> int:
            return amount(by_day[day]) if day in by_day else 0

        lately = [on(today - number * _DAY) for number in range(_LATELY_DAYS, 0, -1)]
        before_today = sum(on(first + number * _DAY) for number in range((today - first).days))
        return month_end(lately, before_today, on(today), (last - today).days + 1)

    so_far = Amounts.sum(amounts for day, amounts in by_day.items() if day >= first)
    cost, charge = ahead(lambda each: each.cost_nano), ahead(lambda each: each.charge_nano)
    return Outlook(first, today, last, so_far, read.total, cost, charge)


async def spent_of(book: Snapshot, budget: Budget) -> Spent:
    """Give what everybody's calls of the month that is under way used, beside the budget for it."""
    first, today = _month(book, budget.zone)
    read = await series.of(book, Window.days(first, today, budget.zone, Bucket.DAY))
    return Spent(budget, first, today, read.total)


def _month(book: Snapshot, zone: ZoneInfo) -> tuple[date, date]:
    """Give the first day of the month that is under way, and today."""
    today = book.as_of.astimezone(zone).date()
    return today.replace(day=1), today
