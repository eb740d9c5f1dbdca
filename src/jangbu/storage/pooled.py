"""A connection through a pooler in transaction mode, which lends another session of the server to each transaction.

No setting outlives a transaction there, so each begins with those that every statement needs; a statement that comes
alone has a transaction of its own. That also keeps its parsing and its running in one session.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from jangbu.errors import InvalidSettings
from jangbu.storage.statements import statement

__all__ = ["PooledConnection", "lone_connection", "readable_address"]

_BEGIN = "BEGIN"
_CONNECT_SECONDS = 10


class _LoneConnection(asyncpg.Connection):  # type: ignore[misc] # the driver tells no types
    """A connection whose every statement runs in a transaction."""

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a statement, or several that take no arguments."""
        if self.is_in_transaction() or query.startswith(_BEGIN):
            return await super().execute(query, *args, **options)
        async with self.transaction():
            return await super().execute(query, *args, **options)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a statement; give all its rows."""
        if self.is_in_transaction():
            return await super().fetch(query, *args, **options)
        async with self.transaction():
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a statement; give its first row, or None."""
        if self.is_in_transaction():
            return await super().fetchrow(query, *args, **options)
        async with self.transaction():
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a statement; give a column of its first row, or None."""
        if self.is_in_transaction():
            return await super().fetchval(query, *args, **options)
        async with self.transaction():
            return await super().fetchval(query, *args, **options)


class PooledConnection(_LoneConnection):
    """A connection whose every statement runs in a transaction that was prepared for it."""

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a statement, or several that take no arguments."""
        if query.startswith(_BEGIN) and not self.is_in_transaction():
            # The driver's own beginning of a transaction: one way to the server for both.
            query += "\n" + statement("transaction_prepare")
        return await super().execute(query, *args, **options)


@contextmanager
def readable_address(dsn: str) -> Iterator[None]:
    """Connect to an address inside. Raises InvalidSettings for what is none."""
    if not dsn.startswith(("postgresql://", "postgres://")):
        raise InvalidSettings(
            "JANGBU_DATABASE_URL is no PostgreSQL address", hint="write postgresql://user:password@host/database"
        )
    try:
        yield
    except ValueError as error:
        raise InvalidSettings(f"JANGBU_DATABASE_URL cannot be read: {error}") from None


@asynccontextmanager
async def lone_connection(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Connect for a few statements, which wait for locks as long as they have to.

    It prepares nothing that outlives a transaction, so it may lead through a pooler whatever the settings say.
    """
    with readable_address(dsn):
        connection = await asyncpg.connect(
            dsn, timeout=_CONNECT_SECONDS, statement_cache_size=0, connection_class=_LoneConnection
        )
    try:
        yield connection
    finally:
        await connection.close()
