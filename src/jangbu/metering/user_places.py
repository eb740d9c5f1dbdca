"""Which users come next in an order: all of them, or those that a list is narrowed to, without a look at all others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from jangbu.domain.ledger import Balance
from jangbu.metering.snapshots import Snapshot
from jangbu.storage import directory
from jangbu.storage.directory import Found, Names, Place, Standing

__all__ = ["EVERYBODY", "Only", "Order", "State", "Walk", "narrowed", "state_of", "walked"]

_FEW = 1_000
"""Of how many users with a prefix all are read and put in order: that costs less than to look for them in the order."""
_FINDINGS_FEW = 5_000
"""Of how many open findings the users are looked up; where more are open, each page of all keeps those of its own."""
_BLOCKED_FEW = 1_000
"""Up to how many blocked users are put in any order; where more are blocked, they are kept of all but in that of names,
in which they have an index of their own.
"""
_LOOKED = 250
"""At how many users a page looks at most that keeps a part of them."""
_LOW_PARTS = 10
_FIRST_CHARACTER, _LAST_CHARACTER = "\x01", 0x10FFFF
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
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """A way through the users whose names lie in a range: in which order, and from the one after which place on."""

    order: Order
    descending: bool
    names: Names
    after: Place | None

    @classmethod
    def through(cls, order: Order, descending: bool, prefix: str, after: Place | None) -> Self:
        """Go through the users whose names begin with a prefix."""
        return cls(order, descending, _beginning_with(prefix), after)


EVERYBODY = Only()


async def walked(look: Snapshot, walk: Walk, limit: int) -> Sequence[Found]:
    """Give the users who come next, so many at most."""
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


async def narrowed(
    look: Snapshot, walk: Walk, only: Only, low: int | None, limit: int, *, is_anomalous: bool
) -> tuple[Sequence[Found], Place | None, int]:
    """Give those who are asked for, so many at most, where to go on, and at how many users was looked."""
    reach, walk = max(limit, _LOOKED), _begun(walk, only)
    found = await _sought(look, walk, only.state, reach + 1, is_anomalous=is_anomalous)
    looked, following = found[:reach], found[reach - 1][1] if len(found) > reach else None
    if walk.order is Order.SEEN and walk.descending and only.since is not None:
        # Who comes after the first one that did not call since then did not, either.
        called = [each for each in looked if each[1].key >= _milliseconds(only.since)]
        following = None if len(called) < len(looked) else following
        looked = called
    kept = list[Found]()
    # Mostly the first ones suffice.
    for few in (looked[: limit + 1], looked[limit + 1 :]):
        if few and len(kept) <= limit:
            standings = await directory.standings(
                look.reader, [account for account, _ in few], with_findings=is_anomalous
            )
            kept += [
                (account, place)
                for account, place in few
                if _is_meant(standings[account], only, low) and (standings[account].is_anomalous or not is_anomalous)
            ]
    if len(kept) <= limit:
        return kept, following, len(looked)
    return kept[:limit], kept[limit - 1][1], looked.index(kept[limit - 1]) + 1


def state_of(state: str, balance: Balance, low: int | None = None) -> State:
    """Tell how a user stands whose account is in a state and has a balance; ``low`` is as in ``page``."""
    if state == "blocked":
        return State.BLOCKED
    if balance.available <= 0:
        return State.EMPTY
    is_low = balance.available * _LOW_PARTS < balance.granted if low is None else balance.available < low
    return State.LOW if is_low else State.OK


async def _sought(
    look: Snapshot, walk: Walk, state: State | None, limit: int, *, is_anomalous: bool
) -> Sequence[Found]:
    """Give those among whom all are who are asked for, as few as can be."""
    project, names, order = look.project, walk.names, walk.order.value
    found: Sequence[Found] | None = None
    if is_anomalous:
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
    elif state is State.BLOCKED:
        found = await _blocked(look, walk, limit)
    return await walked(look, walk, limit) if found is None else found


async def _blocked(look: Snapshot, walk: Walk, limit: int) -> Sequence[Found] | None:
    names, order = walk.names, walk.order.value
    if walk.order is Order.USER and not walk.descending:
        if walk.after is not None:
            names = replace(names, first=max(names.first, walk.after.user + _FIRST_CHARACTER))
        return await directory.blocked(look.reader, look.project, names, order, limit)
    few = await directory.blocked(look.reader, look.project, names, order, _BLOCKED_FEW + 1)
    return None if len(few) > _BLOCKED_FEW else _cut(few, walk, limit)


def _is_meant(each: Standing, only: Only, low: int | None) -> bool:
    return (only.state is None or state_of(each.state, each.balance, low) is only.state) and (
        only.since is None or (each.seen_at is not None and each.seen_at >= only.since)
    )


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND


def _cut(found: Sequence[Found], walk: Walk, limit: int) -> Sequence[Found]:
    """Put users in order, and give those after a place."""
    ordered = sorted(found, key=lambda each: _order(each[1]), reverse=walk.descending)
    if walk.after is not None:
        last = _order(walk.after)
        ordered = [each for each in ordered if (_order(each[1]) < last if walk.descending else _order(each[1]) > last)]
    return ordered[:limit]


def _order(place: Place) -> tuple[int, bytes]:
    return place.key, place.user.encode()


def _begun(walk: Walk, only: Only) -> Walk:
    """Leave out those who come first and cannot be meant: who was seen last before a moment, or has nothing left."""
    if walk.after is not None or walk.descending:
        return walk
    if walk.order is Order.SEEN and only.since is not None:
        return replace(walk, after=Place(_milliseconds(only.since) - 1, directory.HIGHEST))
    if walk.order is Order.LEFT and only.state is State.LOW:
        return replace(walk, after=Place(0, directory.HIGHEST))
    return walk


def _beginning_with(prefix: str) -> Names:
    """Give the range of all names that begin with a prefix."""
    if not prefix:
        return Names()
    kept = prefix.rstrip(chr(_LAST_CHARACTER))
    if not kept:
        return Names(prefix)
    last = ord(kept[-1]) + 1
    return Names(prefix, kept[:-1] + chr(_SURROGATES.stop if last in _SURROGATES else last))
