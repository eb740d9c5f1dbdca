"""The users of a project: listed in any order, a page at a time, with what they have left and what they used.

A page costs the same wherever it lies and however many users there are. It goes on from where the last one ended: who
moves in the order meanwhile may be seen twice or not at all, everybody else once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from jangbu.domain.amounts import NOTHING, Amounts
from jangbu.domain.ledger import Balance
from jangbu.domain.windows import Window
from jangbu.errors import InvalidInput
from jangbu.metering.snapshots import Snapshot
from jangbu.metering.user_places import EVERYBODY, Only, Order, State, Walk, narrowed, state_of, walked
from jangbu.storage import directory, tops
from jangbu.storage.directory import Details, Place

__all__ = [
    "BOUNDS",
    "EVERYBODY",
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
    is_anomalous: bool = False,
    only: Only = EVERYBODY,
) -> Page:
    """Give a page of the users whose names begin with a prefix, in an order, with what they used in a window.

    Where it is narrowed, or to those of whom a finding is open (``is_anomalous``), there may be fewer on it than the
    limit, or nobody, and a next page all the same: it looks at so many users at most.

    ``low`` is below how many tokens a balance is low; None for a tenth of all that was granted.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidInput(f"{limit} users cannot be listed", hint=f"ask for 1 to {LIMIT_MAX:,}")
    walk = Walk.through(order, descending, prefix, after)
    if only == EVERYBODY and not is_anomalous:
        found = await walked(look, walk, limit + 1)
        kept, following = found[:limit], found[limit - 1][1] if len(found) > limit else None
        looked_at = len(kept)
    else:
        kept, following, looked_at = await narrowed(look, walk, only, low, limit, is_anomalous=is_anomalous)
    accounts = [account for account, _ in kept]
    known = await directory.details(look.reader, accounts)
    used = await tops.amounts(look.reader, look.project, accounts, window.start, window.end) if accounts else ()
    periods = {each.account: each.amounts for each in used}
    users = tuple(_listed(known[account], periods.get(account, NOTHING), low) for account in accounts)
    return Page(look.as_of, users, following, looked_at)


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


def _listed(known: Details, period: Amounts, low: int | None) -> Listed:
    state = state_of(known.state, known.balance, low)
    has = (known.balance, known.seen_at, known.lifetime, period)
    return Listed(known.user, known.account, state, known.is_anomalous, *has)
