"""The ledger that pages are measured on is a sound book, however it was made: at once, or stopped and gone on with."""

from collections import Counter

import pytest
from benchmarks.seeding import seed

from jangbu.clock import SystemClock
from jangbu.metering.evidence import restated
from jangbu.metering.pricing import Pricing
from jangbu.metering.reports import Reports
from jangbu.metering.verify import Verification
from jangbu.storage.database import Database

ROWS, USERS = 3_000, 40


async def test_a_ledger_that_was_made_up_is_sound(database_url: str, database: Database) -> None:
    told: list[int] = []

    stops = 0
    while not await seed(database_url, "default", ROWS, USERS, seconds=0.3, tell=told.append):
        stops += 1

    pricing = Pricing(database, SystemClock(), project="default")
    await pricing.refresh()
    report = await Verification(database, "default").run(recompute=pricing.reprice, restate=restated)
    assert (report.mismatches, report.accounts, report.records) == ((), USERS, ROWS)
    assert told[-1] == ROWS
    assert stops > 0


async def test_its_users_are_drawn_by_zipf_and_its_calls_are_of_all_kinds(
    database_url: str, database: Database
) -> None:
    assert await seed(database_url, "default", ROWS, USERS, tell=lambda _done: None)

    reports = Reports(database, "default")
    calls = Counter({line.user: line.figures.calls for line in await reports.top_users(USERS)})
    ranked = [user for user, _ in calls.most_common(3)]
    assert ranked == ["user-000001", "user-000002", "user-000003"]
    assert sum(calls.values()) == ROWS
    assert len(await reports.totals()) >= 11


async def test_only_an_empty_ledger_is_filled_and_only_as_it_was_begun(database_url: str, database: Database) -> None:
    await seed(database_url, "default", ROWS, USERS, seconds=0)
    with pytest.raises(ValueError, match="begun with 3,000 calls of 40 users"):
        await seed(database_url, "default", ROWS + 1, USERS)
    async with database.connection() as connection:
        await connection.execute("DROP SCHEMA seed CASCADE")
    with pytest.raises(ValueError, match="an empty one only"):
        await seed(database_url, "default", ROWS, USERS)
