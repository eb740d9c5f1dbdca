"""The ledger that Jangbu's gateway is measured on: its users, their grants, and what it says was used."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from jangbu.config import Settings
from jangbu.locations import database_address
from jangbu.wiring import open_metering

GRANT = 10**15
"""Tokens for each user: more than any run can use."""
_SETTLED_SECONDS_MAX = 10
_USED = "SELECT coalesce(sum(used), 0)::bigint FROM jangbu.balances WHERE asset = 1"
_HELD = "SELECT coalesce(sum(held), 0)::bigint FROM jangbu.balances WHERE asset = 1"


@dataclass(frozen=True, slots=True)
class Ledger:
    """An embedded ledger that stays up for a whole run."""

    data_dir: Path
    connection: asyncpg.Connection

    async def used(self) -> int:
        """Give the tokens that all users have used, once no call is held any more (or after a bounded wait)."""
        for _attempt in range(_SETTLED_SECONDS_MAX * 10):
            if await self.connection.fetchval(_HELD) == 0:
                break
            await asyncio.sleep(0.1)
        return int(await self.connection.fetchval(_USED))


@asynccontextmanager
async def open_ledger(data_dir: Path, users: list[str]) -> AsyncIterator[Ledger]:
    """Make a ledger with these users, each with tokens to spend, and keep its server up."""
    settings = Settings.load(data_dir=data_dir)
    async with database_address(settings) as dsn:
        async with open_metering(settings) as metering:
            for user in users:
                await metering.accounts.create(user)
                await metering.accounts.grant(user, GRANT, key=f"grant-{user}")
        connection = await asyncpg.connect(dsn)
        try:
            yield Ledger(data_dir, connection)
        finally:
            await connection.close()
