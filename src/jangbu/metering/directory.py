"""The users of a project: listed in any order, a page at a time, with what they have left and what they used.

A page costs the same wherever it lies and however many users there are. It goes on from where the last one ended: who
moves in the order meanwhile may be seen twice or not at all, everybody else once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from jangbu.domain.amounts import NOTHING, Amounts
from jangbu.domain.ledger import Balance
from jangbu.domain.windows import Window
from jangbu.errors import InvalidInput
from jangbu.metering.snapshots import Snapshot
from jangbu.storage import directory, tops
from jangbu.storage.directory import Details, Found, Names, Place, Standing

__all__ = [
    "BOUNDS",
    "Bin",
    "Listed",
    "Only",
    "Order",
    "Page",
    "Place",
    "Spark",
    "State",
    "active",
    "called",
    "histogram",
    "page",
    "sparks",
    "state_of",
]

LIMIT_MAX = 1_000
BOUNDS = (1, *(times * 10**power for power in range(3, 15) for times in (1, 2, 5)))
"""Where the bins of a histogram begin, in tokens; before the first are those who used nothing."""

SPARK_DAYS = 30
_FEW = 1_000
"""Of how many users with a prefix all are read and put in order: that costs less than to look for them in the order."""
_FINDINGS_FEW = 5_000
"""Of how many open findings the users are looked up; where more are open, each page of all keeps those of its own."""
_BLOCKED_FEW = 2_000
"""Up to how many blocked users are looked up; where more are blocked, they are kept of all, too."""
_LOOKED = 500
"""At how many users a page looks at most that keeps a part of them."""
_LOW_PARTS = 10
_LAST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Order(StrEnum):
    """What users are listed by."""

    USER = "user"
    """The app's own id of a user, in the order of code points."""
    USED = "used"
    """All tokens that they ever used."""
    LEFT = "left"
    """What is left of their balance, with what is on hold."""
    SEEN = "seen"
    """When they called last."""


class State(StrEnum):
    """How a user stands."""

    OK = "ok"
    LOW = "low"
    """Less is available than the app is told of as low; where it is told of none, less than a tenth of all grants."""
    EMPTY = "empty"
    """Nothing is available."""
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Only:
    """Whom a list is narrowed to: everybody where nothing is given.

    ``since`` is since when they called: who called before and not again does not count, whoever called later does.
    """

    state: State | None = None
    is_anomalous: bool = False
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A user in a list: ``lifetime`` is all that they ever used, ``period`` what they used in the window asked for.

    Whoever is anomalous has an open finding, in whichever state their balance is.
    """

    user: str
    account: UUID
    state: State
    is_anomalous: bool
    balance: Balance
    seen_at: datetime | None
    lifetime: Amounts
    period: Amounts


@dataclass(frozen=True, slots=True)
class Page:
    """A page of users, of so many that were looked at. ``next`` is where it goes on, None after the last."""

    as_of: datetime
    users: tuple[Listed, ...]
    next: Place | None
    looked_at: int


@dataclass(frozen=True, slots=True)
class Spark:
    """The tokens that a user used on each of the last days of UTC, from the first day until today."""

    first: date
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """How many users ever used from ``least`` to before ``below`` tokens; there is no end to the last bin."""

    least: int
    below: int | None
    users: int


@dataclass(frozen=True, slots=True)
class _Walk:
    """A way through the users whose names lie in a range: in which order, and from the one after which place on."""

    order: Order
    descending: bool
    names: Names
    after: Place | None


_EVERYBODY = Only()


async def page(  # noqa: PLR0913 - all that a list can be asked for
    look: Snapshot,
    window: Window,
    *,
    order: Order = Order.USED,
    descending: bool = True,
    prefix: str = "",
    after: Place | None = None,
    limit: int = 50,
    low: int | None = None,
    only: Only = _EVERYBODY,
) -> Page:
    """Give a page of the users whose names begin with a prefix, in an order, with what they used in a window.

    Where it is narrowed there may be fewer on it than the limit, or nobody, and a next page all the same: it looks at
    so many users at most.

    ``low`` is below how many tokens a balance is low; None for a tenth of all that was granted.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidInput(f"{limit} users cannot be listed", hint=f"ask for 1 to {LIMIT_MAX:,}")
    walk = _begun(_Walk(order, descending, _beginning_with(prefix), after), only.since)
    if only == _EVERYBODY:
        found = await _places(look, walk, limit + 1)
        kept, following = found[:limit], found[limit - 1][1] if len(found) > limit else None
        looked_at = len(kept)
    else:
        kept, following, looked_at = await _narrowed(look, walk, only, low, limit)
    accounts = [account for account, _ in kept]
    known = await directory.details(look.reader, accounts)
    used = await tops.amounts(look.reader, look.project, accounts, window.start, window.end) if accounts else ()
    periods = {each.account: each.amounts for each in used}
    users = tuple(_listed(known[account], periods.get(account, NOTHING), low) for account in accounts)
    return Page(look.as_of, users, following, looked_at)


def state_of(state: str, balance: Balance, low: int | None = None) -> State:
    """Tell how a user stands whose account is in a state and has a balance; ``low`` is as in ``page``."""
    if state == "blocked":
        return State.BLOCKED
    if balance.available <= 0:
        return State.EMPTY
    is_low = balance.available * _LOW_PARTS < balance.granted if low is None else balance.available < low
    return State.LOW if is_low else State.OK


async def sparks(look: Snapshot, accounts: Sequence[UUID], days: int = SPARK_DAYS) -> dict[UUID, Spark]:
    """Give what each of some users used on the last days, in one look at all of them.

    Days are those of UTC, whatever zone a page is in: of those there are sums, where a zone's days would take all hours
    of all these users.
    """
    last = look.as_of.astimezone(UTC).date()
    listed = [last - timedelta(days=ago) for ago in reversed(range(days))]
    found = await directory.days(look.reader, accounts, listed[0], last) if accounts else {}
    return {account: Spark(listed[0], tuple(found.get((account, day), 0) for day in listed)) for account in accounts}


async def active(look: Snapshot, window: Window) -> int | None:
    """Give how many users called in a window; None for one that is over: of each only the latest call is known."""
    return None if window.end <= look.as_of else await directory.active(look.reader, look.project, window.start)


async def called(look: Snapshot, window: Window) -> int:
    """Give how many users called in a window, whether it is over or not."""
    users = await active(look, window)
    if users is not None:
        return users
    return await directory.called(look.reader, look.project, window.start, window.end)


async def histogram(look: Snapshot, bounds: Sequence[int] = BOUNDS) -> tuple[Bin, ...]:
    """Give how many users ever used how many tokens, from nothing to the most, without the empty bins at the end."""
    numbers = await directory.histogram(look.reader, look.project, bounds)
    edges = (0, *bounds)
    return tuple(
        Bin(least, edges[place + 1] if place + 1 < len(edges) else None, numbers.get(place, 0))
        for place, least in enumerate(edges[: max(numbers, default=-1) + 1])
    )


async def _narrowed(
    look: Snapshot, walk: _Walk, only: Only, low: int | None, limit: int
) -> tuple[Sequence[Found], Place | None, int]:
    """Give those who are asked for, so many at most, where to go on, and at how many users was looked."""
    reach = max(limit, _LOOKED)
    found = await _sought(look, walk, only, reach + 1)
    looked, following = found[:reach], found[reach - 1][1] if len(found) > reach else None
    if walk.order is Order.SEEN and walk.descending and only.since is not None:
        # Who comes after the first one that did not call since then did not, either.
        called = [each for each in looked if each[1].key >= _milliseconds(only.since)]
        following = None if len(called) < len(looked) else following
        looked = called
    standings = await directory.standings(look.reader, [account for account, _ in looked]) if looked else {}
    kept = [each for each in looked if _is_meant(standings[each[0]], only, low)]
    if len(kept) <= limit:
        return kept, following, len(looked)
    return kept[:limit], kept[limit - 1][1], looked.index(kept[limit - 1]) + 1


async def _sought(look: Snapshot, walk: _Walk, only: Only, limit: int) -> Sequence[Found]:
    """Give those among whom all are who are asked for, as few as can be."""
    project, names, order = look.project, walk.names, walk.order.value
    found: Sequence[Found] | None = None
    if only.is_anomalous:
        found = await directory.anomalous(
            look.reader,
            project,
            order,
            descending=walk.descending,
            after=walk.after,
            names=names,
            limit=limit,
            findings=_FINDINGS_FEW,
        )
    elif only.state is State.BLOCKED:
        few = await directory.blocked(look.reader, project, names, order, _BLOCKED_FEW)
        found = None if few is None else _cut(few, walk, limit)
    return await _places(look, walk, limit) if found is None else found


def _is_meant(each: Standing, only: Only, low: int | None) -> bool:
    return (
        (only.state is None or state_of(each.state, each.balance, low) is only.state)
        and (each.is_anomalous or not only.is_anomalous)
        and (only.since is None or (each.seen_at is not None and each.seen_at >= only.since))
    )


def _begun(walk: _Walk, since: datetime | None) -> _Walk:
    """Leave out who was seen last before a moment, where they come first."""
    if since is None or walk.after is not None or walk.order is not Order.SEEN or walk.descending:
        return walk
    return replace(walk, after=Place(_milliseconds(since) - 1, directory.HIGHEST))


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND


async def _places(look: Snapshot, walk: _Walk, limit: int) -> Sequence[Found]:
    names, order = walk.names, walk.order
    if names != Names() and order is not Order.USER:
        few = await directory.few(look.reader, look.project, names, order.value, _FEW)
        if few is not None:
            return _cut(few, walk, limit)
    return await directory.page(
        look.reader,
        look.project,
        order.value,
        descending=walk.descending,
        after=walk.after,
        names=names,
        limit=limit,
    )


def _cut(found: Sequence[Found], walk: _Walk, limit: int) -> Sequence[Found]:
    """Put users in order, and give those after a place."""
    ordered = sorted(found, key=lambda each: _order(each[1]), reverse=walk.descending)
    if walk.after is not None:
        last = _order(walk.after)
        ordered = [each for each in ordered if (_order(each[1]) < last if walk.descending else _order(each[1]) > last)]
    return ordered[:limit]


def _order(place: Place) -> tuple[int, bytes]:
    return place.key, place.user.encode()


def _listed(known: Details, period: Amounts, low: int | None) -> Listed:
    state = state_of(known.state, known.balance, low)
    has = (known.balance, known.seen_at, known.lifetime, period)
    return Listed(known.user, known.account, state, known.is_anomalous, *has)


def _beginning_with(prefix: str) -> Names:
    """Give the range of all names that begin with a prefix."""
    if not prefix:
        return Names()
    kept = prefix.rstrip(chr(_LAST_CHARACTER))
    if not kept:
        return Names(prefix)
    last = ord(kept[-1]) + 1
    return Names(prefix, kept[:-1] + chr(_SURROGATES.stop if last in _SURROGATES else last))
