"""The connections to PostgreSQL, and the only way by which a statement reaches it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self, TypeAlias

import asyncpg

from jangbu.errors import DatabaseUnreachable, JangbuError
from jangbu.storage.failures import translated
from jangbu.storage.pooled import PooledConnection, readable_address
from jangbu.storage.statements import statement

VERSION_LEAST = 15
_CONNECT_SECONDS = 10
_GIVE_UP_SECONDS = 1
"""How long a statement that nobody waits for any more may take to be cancelled, before its connection is closed."""

Row: TypeAlias = asyncpg.Record
Connection: TypeAlias = asyncpg.pool.PoolConnectionProxy


class Reader(Protocol):
    """What statements that only read are run by: the pool, or one connection whose snapshot stands."""

    async def rows(self, name: str, *arguments: Any) -> Sequence[Row]:
        """Run a statement; give all its rows."""
        ...

    async def row(self, name: str, *arguments: Any) -> Row | None:
        """Run a statement; give its first row, or None."""
        ...

    async def value(self, name: str, *arguments: Any) -> Any:
        """Run a statement; give the first column of its first row, or None."""
        ...


class _TransactionLost(JangbuError):
    """The connection of a transaction that several steps share is gone; to repeat one of them would lead nowhere."""


@dataclass(frozen=True, slots=True)
class _Together:
    """The transaction that a task's statements are part of."""

    database: "Database"
    connection: Connection
    task: asyncio.Task[Any] | None


_together: ContextVar[_Together | None] = ContextVar("jangbu_together", default=None)


class Database:
    """A pool of connections. Statements are named by their files; see ``statements``."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._returning: set[asyncio.Task[None]] = set()
        self._asks_by = "write_try"
        """The statement by which the server is asked whether it takes writes."""

    @classmethod
    async def connect(cls, dsn: str, *, size: int = 6, prepared_statements: bool = True, writes: bool = False) -> Self:
        """Open ``size`` connections at most; without prepared statements through a pooler in transaction mode. With
        ``writes`` a server that only reads is refused.

        Raises DatabaseUnreachable, NotPermitted or InvalidSettings.
        """
        pooled = {"statement_cache_size": 0, "connection_class": PooledConnection}
        options: dict[str, Any] = {} if prepared_statements else pooled
        with translated(), _connecting():
            with readable_address(dsn):
                pool = await asyncpg.create_pool(
                    dsn,
                    init_size=1,
                    # Who asks connects. What restored a least number of connections meanwhile would write a traceback
                    # to the log each time that it does not reach a server of which whoever asks tells already.
                    min_size=0,
                    max_size=size,
                    init=_prepare_session if prepared_statements else None,
                    reset=_keep_session,
                    timeout=_CONNECT_SECONDS,
                    max_inactive_connection_lifetime=0,
                    **options,
                )
            database = cls(pool)
            try:
                await database._check_server()
                if writes:
                    await database.writing_now()
            except BaseException:
                await pool.close()
                raise
            return database

    async def close(self) -> None:
        """Close all connections once their statements have ended."""
        await self._pool.close()

    async def rows(self, name: str, *arguments: Any) -> Sequence[Row]:
        """Run a statement; give all its rows."""
        with translated():
            async with self.connection() as connection:
                found: Sequence[Row] = await connection.fetch(statement(name), *arguments)
                return found

    async def row(self, name: str, *arguments: Any) -> Row | None:
        """Run a statement; give its first row, or None."""
        with translated():
            async with self.connection() as connection:
                return await connection.fetchrow(statement(name), *arguments)

    async def value(self, name: str, *arguments: Any) -> Any:
        """Run a statement; give the first column of its first row, or None."""
        with translated():
            async with self.connection() as connection:
                return await connection.fetchval(statement(name), *arguments)

    async def probe(self, seconds: int) -> None:
        """Ask whether the server answers in time, and takes writes. Raises DatabaseUnreachable.

        Where it does not, connections are made anew: those that there are may lead to a machine that is gone.
        """
        try:
            with translated():
                async with asyncio.timeout(seconds):
                    await self.require_writes()
        except DatabaseUnreachable:
            await self._pool.expire_connections()
            raise

    async def require_writes(self) -> None:
        """Have the server write something that it does not keep. Raises DatabaseUnreachable where it cannot: it only
        reads, its disk is full, or nobody confirms what it commits.

        It takes as long as a commit and a millisecond. One that may not be asked for so much is believed to write.
        """
        with translated():
            async with self.connection() as connection:
                try:
                    found = await connection.fetchrow(statement(self._asks_by))
                except (asyncpg.InsufficientPrivilegeError, asyncpg.ConfigurationLimitExceededError):
                    # Each refusal is a line in the server's log.
                    self._asks_by = "clock_of_writes"
                    found = await connection.fetchrow(statement(self._asks_by))
        _require_writable(found)

    async def now(self) -> datetime:
        """Give the database's clock: the only one that ends holds and grants."""
        moment: datetime = await self.value("clock_read")
        return moment

    async def writing_now(self) -> datetime:
        """Give the database's clock. Raises DatabaseUnreachable where it only reads, as a standby does."""
        found = _require_writable(await self.row("clock_of_writes"))
        moment: datetime = found["now"]
        return moment

    async def server(self) -> Row:
        """Give the server's version and the settings that keep what it acknowledged."""
        found = await self.row("server_show")
        assert found is not None, "one row of settings"
        return found

    @asynccontextmanager
    async def together(self) -> AsyncIterator[Connection]:
        """Have all that this task asks of the database meanwhile be one transaction: all of it is done, or nothing.

        Each use of a connection within is a savepoint, so what fails and is tried again may still succeed. Tasks that
        are begun within are not part of it, so nothing may be waited for that needs what is not committed yet.
        """
        try:
            async with self.connection() as connection, connection.transaction():
                token = _together.set(_Together(self, connection, asyncio.current_task()))
                try:
                    yield connection
                finally:
                    _together.reset(token)
        except _TransactionLost as error:
            raise DatabaseUnreachable(error.message, hint=error.hint) from error

    @asynccontextmanager
    async def connection(self, *, in_passing: bool = False) -> AsyncIterator[Connection]:
        """Lend one connection, for statements that belong together; the driver's errors pass through.

        Who gives up waiting for a server that does not answer is not kept by it: the connection is closed then. With
        ``in_passing`` what was asked is told at once, and the connection goes back meanwhile: that takes three turns of
        the loop, for which calls would wait. Whoever asks again right away would be lent another one.
        """
        shared = _together.get()
        if shared is not None and shared.database is self and shared.task is asyncio.current_task():
            if shared.connection.is_closed():
                raise _TransactionLost("the connection was lost; nothing was changed", hint="try again")
            async with shared.connection.transaction():
                yield shared.connection
            return
        with _connecting():
            connection = await self._pool.acquire()
        try:
            yield connection
        except BaseException:
            with suppress(TimeoutError):
                await self._pool.release(connection, timeout=_GIVE_UP_SECONDS)
            raise
        if in_passing:
            self._return(connection)
        else:
            await self._pool.release(connection)

    def _return(self, connection: Connection) -> None:
        returning = asyncio.create_task(self._pool.release(connection))
        self._returning.add(returning)
        returning.add_done_callback(self._returned)

    def _returned(self, returning: asyncio.Task[None]) -> None:
        self._returning.discard(returning)
        if not returning.cancelled():
            # One that is lost in this moment is made anew when it is needed, and whoever asked has been answered.
            returning.exception()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[tuple[Reader, datetime]]:
        """Lend a reader whose statements all see the database as it is at one moment, and tell the moment."""
        with translated():
            async with (
                self.connection() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                reader = _Snapshot(connection)
                yield reader, await reader.value("snapshot_begin")

    async def _check_server(self) -> None:
        """Refuse a server that is too old, or that may lose what it acknowledged."""
        found = await self.server()
        if found["version"] // 10_000 < VERSION_LEAST:
            raise DatabaseUnreachable(
                f"the server is PostgreSQL {found['version'] // 10_000}", hint=f"use {VERSION_LEAST} or newer"
            )
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            if found[name] == "off":
                raise DatabaseUnreachable(
                    f"the server runs with {name} = off", hint="turn it on: acknowledged records may be lost"
                )


class _Snapshot:
    """Runs statements in a transaction that is under way."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def rows(self, name: str, *arguments: Any) -> Sequence[Row]:
        found: Sequence[Row] = await self._connection.fetch(statement(name), *arguments)
        return found

    async def row(self, name: str, *arguments: Any) -> Row | None:
        return await self._connection.fetchrow(statement(name), *arguments)

    async def value(self, name: str, *arguments: Any) -> Any:
        return await self._connection.fetchval(statement(name), *arguments)


def _require_writable(found: Row | None) -> Row:
    """Give what a server told of itself. Raises DatabaseUnreachable where it told that it only reads."""
    assert found is not None, "one row of what it is"
    if found["is_read_only"]:
        raise DatabaseUnreachable(
            "PostgreSQL takes no writes: it is a standby, or default_transaction_read_only is on",
            hint="promote it, turn that off, or set JANGBU_DATABASE_URL to the primary",
        )
    return found


async def _prepare_session(connection: Connection) -> None:
    """Plan each statement once: the shapes never change, and planning the flush costs more than running it."""
    await connection.execute(statement("session_prepare"))


async def _keep_session(connection: Connection) -> None:
    """Do nothing when a connection comes back: no statement leaves session state behind."""
    del connection


@contextmanager
def _connecting() -> Iterator[None]:
    """Take a database that lets nobody in for a while, as while it is moved or restored, for one that is away."""
    try:
        yield
    except asyncpg.ObjectNotInPrerequisiteStateError as error:
        raise asyncpg.CannotConnectNowError(str(error)) from error
