"""Who used most in a window, and what was used by service and model.

The first users are found exactly, without looking at all: how much it takes to be among them is told by some who used
much, and only who used more than their share of that on any day, or just now, can be. How many that are depends on how
alike users are, not on how many there are nor on how many calls they made. Of some models or services no figures by
days tell that: all who used them are added up, which takes so long that it is done only where somebody asks for it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Literal
from uuid import UUID

from jangbu.domain.amounts import Amounts
from jangbu.domain.sizes import class_limit, class_of_size
from jangbu.domain.windows import Window
from jangbu.errors import InvalidInput
from jangbu.metering.snapshots import EVERYTHING, Filters, Snapshot
from jangbu.storage import tops
from jangbu.storage.tops import Candidate, Cell, Lists, Spread, Used

__all__ = [
    "Breakdown",
    "By",
    "Cell",
    "Part",
    "Spread",
    "Spreads",
    "TopUser",
    "breakdown",
    "spreads",
    "users",
    "users_of_part",
]

By = Literal["tokens", "cost", "calls"]

USERS_MAX = 100
SPREAD_CALLS_MAX = 2_000
"""Of how many calls of a user the spread is told: they are read one by one."""

_SAMPLE_CALLS, _SAMPLE_READ, _SAMPLE_LEAST = 3_000, 20_000, 100
"""How many calls of a window are sampled, how many records are read for that at most, and how few tell nothing."""
_MILLION = 1_000_000
_RECENT = 200
"""How many of the largest recent figures are read at first: those of others rarely matter."""

PART_SECONDS = 5
"""How long it is looked for who used most of some models or services."""

_COLUMNS = {"tokens": "total", "cost": "cost", "calls": "calls"}
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_QUARTER_MINUTES = 15


@dataclass(frozen=True, slots=True)
class TopUser:
    """One of the users who used most."""

    account: UUID
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
        return self.amounts.average_tokens


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What was used in a window by service and model, the most used first. ``total`` is the sum of all cells."""

    as_of: datetime
    cells: tuple[Cell, ...]
    models: tuple[Part, ...]
    services: tuple[Part, ...]
    total: Amounts


@dataclass(frozen=True, slots=True)
class Spreads:
    """How large calls were, by pairs of service and model, and by each alone; exact unless ``is_sample``.

    A user's calls are looked at from the latest on, up to ``SPREAD_CALLS_MAX``. Everybody's are a random sample of some
    thousands, and what there are fewer than a hundred of in it is left out. Records that retention dropped are not
    looked at.
    """

    cells: dict[tuple[str, str], Spread]
    services: dict[str, Spread]
    models: dict[str, Spread]
    is_sample: bool


async def users(look: Snapshot, window: Window, by: By = "tokens", limit: int = 10) -> tuple[TopUser, ...]:
    """Give the users who used most in a window, of all models and services, the first one first."""
    _check(limit)
    lists = _lists(window, by)
    find = _known_of_short if window.end - window.start <= tops.SHORT else _known
    known = await find(look, window, lists, by, limit)
    first = sorted(known.values(), key=lambda each: (-_size(each.amounts, by), each.user))
    return tuple(
        TopUser(each.account, each.user, each.amounts) for each in first[:limit] if _size(each.amounts, by) > 0
    )


async def users_of_part(
    look: Snapshot, window: Window, filters: Filters, by: By = "tokens", limit: int = 10
) -> tuple[TopUser, ...] | None:
    """Give the users who used most of some models and services in a window, the first one first; None where there was
    no time to find them. Who used what has no price is one of them, too, behind all who cost anything.

    After that the look is over: PostgreSQL tells nothing more of it. So this is to be the last that is read in one.
    """
    _check(limit)
    if filters.user is not None:
        raise InvalidInput("one user's calls are not told apart by user", hint="leave user out")
    between, named = (window.start, window.end), (filters.models or None, filters.services or None)
    try:
        async with asyncio.timeout(PART_SECONDS) as time:
            found = await tops.of_part(look.reader, look.project, _COLUMNS[by], limit, between, named)
    except TimeoutError:
        # A connection may be lost by a time-out of its own: then nothing is known, nor is it that time was over.
        if not time.expired():
            raise
        return None
    return tuple(TopUser(each.account, each.user, each.amounts) for each in found)


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


async def spreads(look: Snapshot, window: Window, filters: Filters = EVERYTHING) -> Spreads:
    """Give how large the calls of everybody or of one user were. Raises NotFound for a user without an account."""
    if filters.user is not None:
        account, most = await look.account(filters.user), SPREAD_CALLS_MAX
        found = await tops.spreads_of_user(look.reader, account, window.start, window.end, most)
        return _named(found, is_sample=sum(each.calls for each in found if each.service and each.model) == most)
    first = window.start.replace(hour=0, minute=0)
    after = (window.end - _MINUTE).replace(hour=0, minute=0) + _DAY
    in_days, in_months = await tops.days_and_months(look.reader, look.project, first, after)
    in_window = in_days * ((window.end - window.start) // _MINUTE) // ((after - first) // _MINUTE)
    share = min(_SAMPLE_CALLS * _MILLION // max(in_window, 1), _SAMPLE_READ * _MILLION // max(in_months, 1), _MILLION)
    found = await tops.spreads_of_sample(look.reader, look.project, window.start, window.end, share)
    is_sample = share < _MILLION
    return _named([each for each in found if each.calls >= _SAMPLE_LEAST or not is_sample], is_sample=is_sample)


def _named(found: Sequence[Spread], *, is_sample: bool) -> Spreads:
    return Spreads(
        {(each.service, each.model): each for each in found if each.service is not None and each.model is not None},
        {each.service: each for each in found if each.service is not None and each.model is None},
        {each.model: each for each in found if each.service is None and each.model is not None},
        is_sample,
    )


def _check(limit: int) -> None:
    if not 1 <= limit <= USERS_MAX:
        raise InvalidInput(f"{limit} users cannot be listed", hint=f"ask for 1 to {USERS_MAX}")


async def _known(look: Snapshot, window: Window, lists: Lists, by: By, limit: int) -> dict[UUID, Used]:
    """Give users among whom the first ones are, by days of UTC and what is recent."""
    recent = await tops.recent(look.reader, lists, 1, _RECENT)
    some = await tops.some(look.reader, look.project, lists, limit)
    known = await _amounts(look, window, list({*some, *islice(recent, limit)}))
    least = _least(known, by, limit)
    # Who has no more than this in any list has less than the last of the first users in all.
    share = max(least - 1, 0) // (len(lists.days) + 1)
    above = _class_below(share)
    if len(recent) == _RECENT and min(recent.values()) > share:
        recent = await tops.recent(look.reader, lists, share + 1, None)
    found = await tops.candidates(look.reader, look.project, lists, above if least else -1)
    may_be = {each.account: each for each in found}
    others = [
        account
        for account in may_be.keys() | {account for account, size in recent.items() if size > share}
        if account not in known and _at_most(may_be.get(account), recent.get(account), lists, above, share) >= least
    ]
    return known | await _amounts(look, window, others)


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
    first, last = window.start.date(), (window.end - _MINUTE).date()
    days: list[date] = [first + number * _DAY for number in range((last - first).days + 1)]
    quarter = window.start.replace(minute=window.start.minute - window.start.minute % _QUARTER_MINUTES)
    return Lists(_COLUMNS[by], days, quarter, window.end)


async def _amounts(look: Snapshot, window: Window, accounts: Sequence[UUID]) -> dict[UUID, Used]:
    found = await tops.amounts(look.reader, look.project, accounts, window.start, window.end) if accounts else ()
    return {each.account: each for each in found}


def _least(known: dict[UUID, Used], by: By, limit: int) -> int:
    """Give what the last of the first users used at least, 0 where so many are not known."""
    sizes = sorted((_size(each.amounts, by) for each in known.values()), reverse=True)
    return sizes[limit - 1] if len(sizes) >= limit else 0


def _class_below(share: int) -> int:
    """Give the highest class all of which is at most a share; -1 where there is none."""
    number = class_of_size(share)
    return number if class_limit(number) - 1 <= share else number - 1


def _at_most(found: Candidate | None, recent: int | None, lists: Lists, above: int, share: int) -> int:
    """Give what a user used at most: on other days no more than the class says, and recently than the share."""
    size, days = (0, 0) if found is None else (found.size, found.days)
    of_class = class_limit(above) - 1 if above >= 0 else 0
    return size + (len(lists.days) - days) * of_class + (share if recent is None else recent)


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
