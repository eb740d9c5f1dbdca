"""Who used most of what a page shows: of everything at once, of a model or service where its address asks for that."""

from dataclasses import dataclass

from jangbu.dashboard.choices import filters_of
from jangbu.dashboard.look import Look
from jangbu.domain.windows import Window
from jangbu.metering import tops
from jangbu.metering.snapshots import EVERYTHING, Snapshot
from jangbu.metering.tops import PART_SECONDS, By, TopUser

__all__ = ["BY_USER", "TopUsers", "is_of_part", "top_users"]

BY_USER = "by_user"
"""What an address asks for where users of a part are to be found: all of them are added up for it."""


@dataclass(frozen=True, slots=True)
class TopUsers:
    """Who used most, the first one first. ``seconds`` is for how long they are looked for where that takes its time.

    Nobody is told where they are not asked for, or where there was no time to find them.
    """

    users: tuple[TopUser, ...] = ()
    is_asked: bool = True
    is_whole: bool = True
    seconds: int = PART_SECONDS


def is_of_part(look: Look) -> bool:
    """Whether a page is asked who used most of a model or service: it is looked at once and not over and over."""
    filters = filters_of(look)
    return bool(look.asked(BY_USER) and filters.user is None and (filters.models or filters.services))


async def top_users(look: Look, book: Snapshot, window: Window, by: By, limit: int) -> TopUsers | None:
    """Find who used most of what the page shows; None where it is of one user.

    It is the last that a page reads of a look, which is over where there is no time for it.
    """
    filters = filters_of(look)
    if filters.user is not None:
        return None
    if filters == EVERYTHING:
        return TopUsers(await tops.users(book, window, by, limit))
    if not is_of_part(look):
        return TopUsers(is_asked=False)
    found = await tops.users_of_part(book, window, filters, by, limit)
    return TopUsers(found or (), is_whole=found is not None)
