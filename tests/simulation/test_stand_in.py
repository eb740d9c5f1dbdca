"""The database in memory against PostgreSQL: the same statements, one after another and in each other's way, give the
same rows and leave the same tables. What the simulator proves is worth as much as this.
"""

import asyncio
import os
import random
from collections.abc import Sequence
from itertools import count
from typing import Any

import asyncpg
import pytest

from jangbu.storage.database import Connection, Database
from jangbu.storage.failures import lacks_partition
from jangbu.storage.statements import statement
from tests.simulation.book import Book
from tests.simulation.contents import contents_of_book, contents_of_server
from tests.simulation.statements import Drawn, Sequences

SEEDS = range(int(os.environ.get("JANGBU_STAND_IN_SEEDS", "12")))
STATEMENTS = 120
RACES = 60
_MOMENTS = frozenset({"created_at", "recorded_at", "updated_at", "clock_timestamp"})


@pytest.mark.parametrize("seed", SEEDS)
async def test_statements_one_after_another_give_the_same(database: Database, seed: int) -> None:
    drawn = Sequences(random.Random(seed))
    book = await open_both(database, drawn)
    async with database.connection() as connection:
        for number in range(STATEMENTS):
            each = drawn.draw()
            real = await run_real(connection, each)
            assert run_stand_in(book, each) == real, f"statement {number}: {each}"
        assert contents_of_book(book) == await contents_of_server(connection)


@pytest.mark.parametrize("seed", SEEDS)
async def test_statements_in_each_others_way_give_the_same(database: Database, seed: int) -> None:
    """One begins and waits for a balance, because another holds it and is not committed yet."""
    drawn = Sequences(random.Random(1_000 + seed))
    book = await open_both(database, drawn)
    async with (
        database.connection() as first,
        database.connection() as second,
        database.connection() as watching,
    ):
        pid = await second.fetchval("SELECT pg_backend_pid()")
        for number in range(RACES):
            before, waiting = drawn.draw_race()
            snapshot = book.commits
            async with first.transaction():
                await first.fetch("SELECT FROM jangbu.balances FOR NO KEY UPDATE")
                real_before = await run_real(first, before)
                task = asyncio.create_task(run_real(second, waiting))
                await until_it_waits(watching, pid, task)
            real = await task
            assert run_stand_in(book, before) == real_before, f"race {number}: {before}"
            # The sweep leaves out what is locked; everything else waits for it.
            book.locked = book.accounts if waiting.name == "hold_expire" else ()
            assert run_stand_in(book, waiting, snapshot) == real, f"race {number}: {waiting} after {before}"
            book.locked = ()
        assert contents_of_book(book) == await contents_of_server(watching)


async def open_both(database: Database, drawn: Sequences) -> Book:
    """Begin the same ledger in memory and in PostgreSQL; time passes in memory too, a little with each look at it."""
    ticks = count()
    book = Book(lambda: next(ticks) / 1_000_000)
    async with database.connection() as connection:
        for each in drawn.founding():
            assert run_stand_in(book, each) == await run_real(connection, each)
    return book


async def until_it_waits(watching: Connection, pid: int, task: "asyncio.Task[Any]") -> None:
    """Wait until a statement has begun and waits for a lock, or has ended without one."""
    waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"
    while not task.done():
        if await watching.fetchval(waits, pid):
            return
        await asyncio.sleep(0.001)


async def run_real(connection: Connection, each: Drawn) -> Any:
    try:
        async with connection.transaction():
            rows = await connection.fetch(statement(each.name), *each.arguments)
    except asyncpg.PostgresError as error:
        return _told(error)
    return _comparable(each.name, [dict(row) for row in rows])


def run_stand_in(book: Book, each: Drawn, snapshot: int | None = None) -> Any:
    try:
        rows = book.run(each.name, each.arguments, snapshot)
    except asyncpg.PostgresError as error:
        return _told(error)
    return _comparable(each.name, rows)


def _told(error: asyncpg.PostgresError) -> tuple[str, str | None]:
    if isinstance(error, asyncpg.UniqueViolationError):
        return type(error).__name__, error.table_name
    return type(error).__name__, None if lacks_partition(error) else error.constraint_name


def _comparable(name: str, rows: Sequence[dict[str, Any]]) -> list[Any]:
    """Leave out what is a moment of the clock, and the order where the statement promises none."""
    kept = [{key: value for key, value in row.items() if key not in _MOMENTS} for row in rows]
    return kept if name in ("hold_take", "grant_list") else sorted(kept, key=repr)
