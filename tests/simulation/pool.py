"""The driver's pool and connections, as ``storage.database`` uses them, on a server of the simulation."""

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol

import asyncpg

from jangbu.storage.statements import statement, statement_names
from tests.simulation.server import Flight, Server, Transaction
from tests.simulation.tables import Row

NAMES = {statement(name): name for name in statement_names()}


class Host(Protocol):
    """The process that a pool belongs to."""

    is_alive: bool

    def reaches(self, what: str) -> bool:
        """Note that a step is reached; tell whether the process died at it."""
        ...


async def never() -> None:
    """Wait for ever, as the steps of the dead do."""
    await asyncio.get_running_loop().create_future()


class Session:
    """One connection. Every statement is a step at which its process may die, before it and after it."""

    def __init__(self, server: Server, host: Host) -> None:
        self._server = server
        self._host = host
        self._incarnation = server.incarnation
        self._transaction: Transaction | None = None
        self._is_broken = False

    @property
    def is_usable(self) -> bool:
        return not self._is_broken and self._incarnation == self._server.incarnation

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Row]:
        return await self._ask(NAMES[sql], arguments)

    async def fetchrow(self, sql: str, *arguments: Any) -> Row | None:
        rows = await self._ask(NAMES[sql], arguments)
        return rows[0] if rows else None

    async def fetchval(self, sql: str, *arguments: Any) -> Any:
        rows = await self._ask(NAMES[sql], arguments)
        return next(iter(rows[0].values())) if rows else None

    async def execute(self, sql: str, *arguments: Any) -> str:
        await self._ask(NAMES[sql], arguments)
        return ""

    def transaction(self) -> "Session":
        return self

    async def __aenter__(self) -> None:
        self._transaction = Transaction(self._server.book)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None or self.is_usable:
                await self._ask("commit" if error is None else "rollback", ())
        finally:
            self._transaction = None

    def hang_up(self) -> None:
        self._is_broken = True
        if self._transaction is not None:
            self._server.end(self._transaction, commit=False)

    async def _ask(self, name: str, arguments: Sequence[Any]) -> Sequence[Row]:
        if self._host.reaches(name):
            await never()
        if not self.is_usable:
            raise asyncpg.InterfaceError("cannot perform operation: connection is closed")
        flight = Flight(name, arguments, self._server.loop.create_future(), self._transaction)
        self._server.receive(flight)
        try:
            rows: Sequence[Row] = await flight.future
        except (asyncio.CancelledError, GeneratorExit):
            self._is_broken = True
            self._server.leave(flight)
            raise
        except Exception as error:
            if not self._host.is_alive:
                await never()
            self._is_broken = self._is_broken or isinstance(error, asyncpg.PostgresConnectionError)
            raise
        if self._host.reaches(f"{name} answered"):
            await never()
        return rows


class Pool:
    """Lends sessions, opening at most ``size`` of them; who comes later waits in a queue."""

    def __init__(self, server: Server, host: Host, size: int) -> None:
        self._server = server
        self._host = host
        self._free: list[Session] = []
        self._room = size
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._opened: list[Session] = []

    async def close(self) -> None:
        """Nothing is left open: who closes a pool has waited for its statements."""

    async def expire_connections(self) -> None:
        """Have sessions opened anew."""
        self._free.clear()

    def hang_up(self) -> None:
        """Break all connections, as the kernel does for a process that died: what was not committed is undone."""
        for session in self._opened:
            session.hang_up()

    async def acquire(self) -> Session:
        while not self._room:
            turn: asyncio.Future[None] = self._server.loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake()
                raise
        self._room -= 1
        while self._free:
            session = self._free.pop()
            if session.is_usable:
                return session
        try:
            return await self._open()
        except BaseException:
            self._room += 1
            self._wake()
            raise

    async def release(self, session: Session, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the driver's
        """Take a session back. One whose statement was given up is broken, so nothing is waited for."""
        del timeout
        if session.is_usable:
            self._free.append(session)
        self._room += 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._host.is_alive:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _open(self) -> Session:
        server = self._server
        if not server.is_up:
            await asyncio.sleep(server.weather.moment())
            raise _refusal(server)
        session = Session(server, self._host)
        self._opened.append(session)
        return session


def _refusal(server: Server) -> Exception:
    """Give one of the ways in which a server that is away does not let anybody in."""
    refusals = (
        ConnectionRefusedError("connection refused"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        TimeoutError("no answer"),
    )
    return server.weather.chance.choice(refusals)
