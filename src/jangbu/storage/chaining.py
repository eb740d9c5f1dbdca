"""Chaining the entries that were there before entries were chained.

The work is done in pages, each a statement of its own that leaves the book sound, so that calls go on meanwhile and a
run that is killed is gone on with where it ended. Entries that are written meanwhile wait for their hashes where their
account's chain is not complete.
"""

from uuid import UUID

from jangbu.storage.database import Connection, Row
from jangbu.storage.statements import statement

BALANCES_PAGE = 200
ENTRIES_PAGE = 500
"""How many entries of each balance one statement chains at most."""

_WORK = "chain"
_TRIES_MAX = 3
"""How often a balance is tried that comes no further; what is wrong with its entries, the verification tells."""


async def complete_chains(connection: Connection, *, entries_page: int = ENTRIES_PAGE) -> int:
    """Chain what an upgrade left unchained; give how many balances that were. Harmless by many at once, and again."""
    if not await connection.fetchval(statement("unfinished_find"), _WORK):
        return 0
    chained = 0
    after: tuple[UUID, int] = (UUID(int=0), 0)
    while page := await connection.fetch(statement("chain_pending"), *after, BALANCES_PAGE):
        await _complete(connection, page, entries_page)
        chained += len(page)
        after = (page[-1]["account_id"], page[-1]["asset"])
    await connection.execute(statement("unfinished_end"), _WORK)
    return chained


async def _complete(connection: Connection, page: list[Row], entries_page: int) -> None:
    """Chain the balances of a page, so many entries of each at a time, until all are complete."""
    pending, tries = page, 0
    while pending and tries < _TRIES_MAX:
        columns = [[row[name] for row in pending] for name in ("account_id", "asset", "seq", "hash")]
        left = await connection.fetch(statement("chain_extend"), *columns, entries_page)
        tries = 0 if {*_reached(left)} - {*_reached(pending)} else tries + 1
        pending = left


def _reached(rows: list[Row]) -> list[tuple[UUID, int, int]]:
    return [(row["account_id"], row["asset"], row["seq"]) for row in rows]
