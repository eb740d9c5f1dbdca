"""Who used most in a window, and what was used by service and model.

The first users are found exactly, without looking at all: how much it takes to be among them is told by some who used
much, and only who used more than their share of that on any day, or just now, can be. How many that are depends on how
alike users are, not on how many there are nor on how many calls they made.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from jangbu.domain.amounts import Amounts
from jangbu.domain.sizes import class_limit, size_class
from jangbu.domain.windows import Window
from jangbu.errors import InvalidInput
from jangbu.metering.reports import average
from jangbu.metering.snapshots import EVERYTHING, Filters, Snapshot
from jangbu.storage import tops
from jangbu.storage.tops import Candidate, Cell, Lists, Used

__all__ = ["Breakdown", "By", "Cell", "Part", "Spread", "TopUser", "breakdown", "spreads", "users"]

By = Literal["tokens", "cost", "calls"]

USERS_MAX = 100
SPREAD_CALLS_MAX = 5_000
"""Of how many calls of a user the spread is told: they are read one by one."""

_COLUMNS = {"tokens": "total", "cost": "cost", "calls": "calls"}
_DAY = timedelta(days=1)
_SHORT = timedelta(hours=3)
"""The longest window of which all users are looked at by quarters of an hour."""
_QUARTER_MINUTES = 15


@dataclass(frozen=True, slots=True)
class TopUser:
    """One of the users who used most."""

    user: str
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Part:
    """What was used of one model, or for one service. ``average_tokens`` is a call's, rounded half to even."""

    name: str
    amounts: Amounts

    @property
    def average_tokens(self) -> int:
        """How many tokens a call used on average."""
        return average(self.amounts.total_tokens, self.amounts.calls)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What was used in a window by service and model, the most used first. ``total`` is the sum of all cells."""

    as_of: datetime
    cells: tuple[Cell, ...]
    models: tuple[Part, ...]
    services: tuple[Part, ...]
    total: Amounts


@dataclass(frozen=True, slots=True)
class Spread:
    """How large calls were: half of them of ``p50`` tokens at most, 95% of them of ``p95``."""

    p50: int
    p95: int


async def users(look: Snapshot, window: Window, by: By = "tokens", limit: int = 10) -> tuple[TopUser, ...]:
    """Give the users who used most in a window, of all models and services, the first one first."""
    if not 1 <= limit <= USERS_MAX:
        raise InvalidInput(f"{limit} users cannot be listed", hint=f"ask for 1 to {USERS_MAX}")
    lists = _lists(window, by)
    find = _known_of_short if window.end - window.start <= _SHORT else _known
    known = await find(look, window, lists, by, limit)
    first = sorted(known.values(), key=lambda each: (-_size(each.amounts, by), each.user))
    return tuple(TopUser(each.user, each.amounts) for each in first[:limit] if _size(each.amounts, by) > 0)


async def breakdown(look: Snapshot, window: Window, filters: Filters = EVERYTHING) -> Breakdown:
    """Give what everybody or one user used by service and model. Raises NotFound for a user without an account."""
    named = (filters.models or None, filters.services or None)
    if filters.user is None:
        cells = await tops.of_project(look.reader, look.project, window.start, window.end, *named)
    else:
        account = await look.account(filters.user)
        cells = await tops.of_user(look.reader, account, window.start, window.end, *named)
    return Breakdown(
        look.as_of,
        tuple(sorted(cells, key=lambda cell: (-cell.amounts.total_tokens, cell.service, cell.model))),
        _parts((cell.model, cell.amounts) for cell in cells),
        _parts((cell.service, cell.amounts) for cell in cells),
        Amounts.sum(cell.amounts for cell in cells),
    )


async def spreads(look: Snapshot, window: Window, user: str) -> dict[tuple[str, str], Spread] | None:
    """Give how large a user's calls were by service and model, from the records: exact, of those that still stand.

    None where there were more than ``SPREAD_CALLS_MAX``, which would take too long.
    """
    found = await breakdown(look, window, Filters(user))
    if found.total.calls > SPREAD_CALLS_MAX:
        return None
    rows = await tops.spreads(look.reader, await look.account(user), window.start, window.end)
    return {(service, model): Spread(*sizes) for service, model, sizes in rows}


async def _known(look: Snapshot, window: Window, lists: Lists, by: By, limit: int) -> dict[UUID, Used]:
    """Give users among whom the first ones are, by days of UTC and what is recent."""
    known = await _amounts(look, window, await tops.some(look.reader, look.project, lists, limit))
    least = _least(known, by, limit)
    # Who has no more than this in any list has less than the last of the first users in all.
    share = max(least - 1, 0) // (len(lists.days) + 1)
    above = _class_below(share)
    may_be = await tops.candidates(look.reader, look.project, lists, above, share if least else -1)
    others = [each for each in may_be if each.account not in known and _at_most(each, lists, above, share) >= least]
    return known | await _amounts(look, window, [each.account for each in others])


async def _known_of_short(look: Snapshot, window: Window, lists: Lists, by: By, limit: int) -> dict[UUID, Used]:
    """Give users among whom the first ones are, by all quarters of an hour of a short window."""
    some = await tops.short(look.reader, look.project, lists, 1, 2 * limit)
    known = await _amounts(look, window, [account for account, _ in some])
    least = _least(known, by, limit)
    if len(some) < 2 * limit or some[-1][1] < least:
        return known
    others = await tops.short(look.reader, look.project, lists, max(least, 1), None)
    return known | await _amounts(look, window, [account for account, _ in others if account not in known])


def _lists(window: Window, by: By) -> Lists:
    first, last = window.start.date(), (window.end - timedelta(minutes=1)).date()
    days: list[date] = [first + number * _DAY for number in range((last - first).days + 1)]
    quarter = window.start.replace(minute=window.start.minute - window.start.minute % _QUARTER_MINUTES)
    return Lists(_COLUMNS[by], days, quarter, window.end)


async def _amounts(look: Snapshot, window: Window, accounts: Sequence[UUID]) -> dict[UUID, Used]:
    found = await tops.amounts(look.reader, accounts, window.start, window.end) if accounts else ()
    return {each.account: each for each in found}


def _least(known: dict[UUID, Used], by: By, limit: int) -> int:
    """Give what the last of the first users used at least, 0 where so many are not known."""
    sizes = sorted((_size(each.amounts, by) for each in known.values()), reverse=True)
    return sizes[limit - 1] if len(sizes) >= limit else 0


def _class_below(share: int) -> int:
    """Give the highest class all of which is at most a share; -1 where there is none."""
    number = size_class(share)
    return number if class_limit(number) - 1 <= share else number - 1


def _at_most(candidate: Candidate, lists: Lists, above: int, share: int) -> int:
    """Give what a candidate used at most: on other days no more than the class says, and recently than the share."""
    others = len(lists.days) - candidate.days
    of_class = class_limit(above) - 1 if above >= 0 else 0
    return candidate.size + others * of_class + (0 if candidate.has_recent else share)


def _size(amounts: Amounts, by: By) -> int:
    match by:
        case "tokens":
            return amounts.total_tokens
        case "cost":
            return amounts.cost_nano
        case "calls":
            return amounts.calls


def _parts(named: Iterable[tuple[str, Amounts]]) -> tuple[Part, ...]:
    sums: dict[str, Amounts] = {}
    for name, amounts in named:
        sums[name] = sums.get(name, Amounts()) + amounts
    parts = [Part(name, amounts) for name, amounts in sums.items()]
    return tuple(sorted(parts, key=lambda part: (-part.amounts.total_tokens, part.name)))
