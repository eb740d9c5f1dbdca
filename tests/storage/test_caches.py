"""Caches whose time is up are found by it, however many accounts and resources there are."""

from jangbu.storage.database import Database
from jangbu.storage.statements import statement


async def test_those_that_are_due_are_found_by_their_end_also_by_a_plan_of_when_nothing_was_there(
    database: Database,
) -> None:
    async with database.connection() as connection:
        plan = await connection.fetch(f"EXPLAIN {statement('cache_due')}", "default", None, None, 100)
    said = "\n".join(row[0] for row in plan)
    assert "using resources_by_expiry on resources" in said, said
    assert "accounts_by_user" not in said, said
