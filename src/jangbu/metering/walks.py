"""Walks over the rows of many accounts, page by page: each is read along its own key, however many others there are."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from jangbu.storage import accounts
from jangbu.storage.database import Database, Row

__all__ = ["ROWS", "all_owners", "walk"]

Place = TypeVar("Place", UUID, int)

ROWS = 1_000
"""How many rows a page has, or few more."""
_OWNERS = 50
_OF_EACH = ROWS // _OWNERS
"""How many rows of each account are read together with those of others; the rest of a busy one is read alone."""


async def all_owners(database: Database, project: str) -> AsyncIterator[dict[UUID, str]]:
    """Give all users by their accounts, some at a time, in the order of the users."""
    after = ""
    while page := await accounts.page(database, project, after, _OWNERS):
        yield {each.id: each.user for each in page}
        after = page[-1].user


async def walk(
    owners: AsyncIterator[dict[UUID, str]],
    read: Callable[[Sequence[UUID], Sequence[Place], int], Awaitable[Sequence[Row]]],
    start: Place,
    place: str,
) -> AsyncGenerator[tuple[str, Sequence[Row]], None]:
    """Give the rows of each owner in order: the first of several owners at once, the rest of a busy one alone.

    Who has none is given, too, with no rows: whoever waits learns how far the walk has come.
    """
    async for some in owners:
        firsts: dict[UUID, list[Row]] = {}
        for row in await read(list(some), [start] * len(some), _OF_EACH):
            firsts.setdefault(row["account_id"], []).append(row)
        for account, user in some.items():
            rows: Sequence[Row] = firsts.get(account, ())
            limit = _OF_EACH
            while True:
                yield user, rows
                if len(rows) < limit:
                    break
                limit = ROWS
                rows = await read([account], [rows[-1][place]], limit)
