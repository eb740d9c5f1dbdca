"""A ledger with a million users and 300,000 rows of each thing that lies beside calls, made in some minutes.

It stands in a database of its own, and its figures do not add up: it is for measuring lists, and for nothing else.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from jangbu.clock import SystemClock
from jangbu.domain.ledger import account_id
from jangbu.metering.pricing import Pricing
from jangbu.storage import migrate, usage
from jangbu.storage.database import Database
from jangbu.storage.names import Names

__all__ = ["PROJECT", "USERS", "crowd", "user_named"]

PROJECT = "default"
USERS = 1_000_000
_MONTHS = 4
_SQL = Path(__file__).with_name("crowding.sql").read_text()
_CROWD = "CREATE TEMPORARY TABLE crowd (number integer PRIMARY KEY, account_id uuid, user_id text)"
_SERVICES = tuple(f"service-{number}" for number in range(5))
_MODELS = tuple(f"model-{number}" for number in range(7))


def user_named(number: int) -> str:
    """Give the name of a user by their number, from 1 on: the first ones used most."""
    return f"user-{number:07}"


async def crowd(dsn: str) -> None:
    """Make everything, in a database that is empty."""
    await migrate.upgrade(dsn)
    database = await Database.connect(dsn, size=1)
    connection = await asyncpg.connect(dsn, server_settings={"synchronous_commit": "off", "work_mem": "64MB"})
    try:
        await Pricing(database, SystemClock(), project=PROJECT).refresh()
        for kind, names in (("service", _SERVICES), ("model", _MODELS)):
            await Names(database, kind).learn(list(names))
        now = datetime.now(UTC)
        await usage.make_partitions(database, [now - timedelta(days=30 * ago) for ago in range(_MONTHS)])
        await connection.execute(_CROWD)
        named = ((number, user_named(number)) for number in range(1, USERS + 1))
        await connection.copy_records_to_table(
            "crowd", records=((number, account_id(PROJECT, user), user) for number, user in named)
        )
        await connection.execute(
            "INSERT INTO jangbu.accounts (account_id, project, user_id) SELECT account_id, $1, user_id FROM crowd",
            PROJECT,
        )
        for statement in _SQL.split(";\n"):
            await connection.execute(statement)
    finally:
        await connection.close()
        await database.close()
