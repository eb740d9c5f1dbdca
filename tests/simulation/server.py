"""The database server: a book behind a network. It dies, and comes back with what was committed and nothing else."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg

from tests.simulation.book import READS, Book
from tests.simulation.loop import VirtualLoop
from tests.simulation.tables import Account, Balance, Grant, Row
from tests.simulation.weather import Fault, Weather

_LOCK_SECONDS = 0.8
"""How long a statement waits for a balance (session_prepare)."""

Told = Callable[[str, Sequence[Any], Sequence[Row], Sequence[UUID]], None]
"""Hears of each statement that was committed, with its rows and the accounts that it touched."""


class Transaction:
    """Statements that are committed together. What they change is seen by others meanwhile, and locked for them."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._saved: dict[UUID, tuple[dict[int, Balance], dict[int, dict[UUID, Grant]]]] = {}
        self._keys: list[tuple[UUID, str]] = []
        self.is_ended = False
        self.waiting: list[Flight] = []

    @property
    def locked(self) -> Sequence[UUID]:
        return tuple(self._saved)

    def lock(self, account: Account) -> None:
        if account.id not in self._saved:
            balances = {asset: balance.copy() for asset, balance in account.balances.items()}
            grants = {
                asset: {id_: replace(each) for id_, each in all_.items()} for asset, all_ in account.grants.items()
            }
            self._saved[account.id] = balances, grants

    def keep_locked(self, account: Account) -> None:
        """Lock an account and change nothing."""
        self._saved[account.id] = account.balances, account.grants

    def note_key(self, account: UUID, key: str) -> None:
        self._keys.append((account, key))

    def undo(self) -> None:
        for account_id, (balances, grants) in self._saved.items():
            account = self._book.accounts[account_id]
            account.balances, account.grants = balances, grants
        for account_id, key in self._keys:
            self._book.accounts[account_id].keys.pop(key, None)


class Flight:
    """One statement on its way, and who waits for it."""

    __slots__ = (
        "arguments",
        "future",
        "incarnation",
        "is_alone",
        "is_cut",
        "is_left",
        "name",
        "snapshot",
        "transaction",
    )

    def __init__(
        self, name: str, arguments: Sequence[Any], future: asyncio.Future[Any], transaction: Transaction | None
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.future = future
        self.transaction = transaction
        self.snapshot: int | None = None
        self.incarnation = 0
        self.is_left = False
        """Its caller has given up on it."""
        self.is_cut = False
        """Its caller is told nothing of what becomes of it."""


class Server:
    """Takes statements from sessions and answers them, or not. All draws come from the weather's chance."""

    def __init__(self, loop: VirtualLoop, book: Book, weather: Weather, told: Told) -> None:
        self.book = book
        self.weather = weather
        self.loop = loop
        self.is_up = True
        self.incarnation = 0
        self.statements = 0
        self.given_up = 0
        """How many statements waited for a balance for as long as one may."""
        self._told = told
        self._context = Context()
        self._flights: dict[Flight, None] = {}
        self._locks: dict[UUID, Transaction] = {}
        book.locked = self._locks

    def after(self, seconds: float, callback: Callable[..., object], *arguments: Any, **named: Any) -> None:
        """Do something later, in the server's own time: no death of a process keeps it from being done."""
        self.loop.call_later(seconds, partial(callback, *arguments, **named), context=self._context)

    def receive(self, flight: Flight) -> None:
        """Take a statement."""
        self.statements += 1
        flight.incarnation = self.incarnation
        weather, fault = self.weather, self.weather.fault()
        self._flights[flight] = None
        moment = weather.moment()
        if fault is Fault.NONE:
            self.after(moment, self._apply, flight)
        elif fault is Fault.DROPPED_BEFORE:
            self.after(moment, self._fail, flight, _reset())
        elif fault is Fault.CONFLICT:
            self.after(moment, self._fail, flight, _conflict(weather))
        elif fault is Fault.DROPPED_AFTER:
            self.after(moment, self._cut, flight)
            self.after(moment, self._apply, flight)
        elif fault is Fault.OVERTAKEN:
            self.after(moment, self._begin, flight, weather.while_())
            self.after(moment, self._cut, flight)
        elif fault is Fault.SLOW:
            self.after(moment, self._begin, flight, weather.while_())
        elif fault is Fault.STALLED:
            self.after(weather.while_(1.0), self._apply, flight)
        else:
            flight.is_cut = True
            self.after(moment, self._apply, flight)
            self.after(weather.while_(1.0), self._fail, flight, _reset())

    def leave(self, flight: Flight) -> None:
        """Its caller gave up: sometimes the server hears of it in time."""
        flight.is_left = True
        if flight.transaction is not None:
            self.end(flight.transaction, commit=False)
        elif self.weather.chance.random() < 0.5:
            self._flights.pop(flight, None)
            flight.incarnation = -1

    def die(self, seconds: float) -> None:
        """Break all connections, forget what was not committed, and be back in so many seconds."""
        self.incarnation += 1
        self.is_up = False
        flights, self._flights = self._flights, {}
        for transaction in {id(each): each for each in self._locks.values()}.values():
            transaction.is_ended = True
            transaction.undo()
        self._locks.clear()
        for flight in flights:
            self._answer(flight, asyncpg.AdminShutdownError("terminating connection due to administrator command"))
        self.after(seconds, self.come_back)

    def come_back(self) -> None:
        self.is_up = True

    def end(self, transaction: Transaction, *, commit: bool) -> None:
        """Commit or undo, and let those go on who wait for it."""
        if transaction.is_ended:
            return
        transaction.is_ended = True
        held = [account for account in transaction.locked if self._locks.get(account) is transaction]
        if not commit:
            transaction.undo()
        for account in held:
            del self._locks[account]
        if commit and held:
            self._told("commit", (), (), held)
        waiting, transaction.waiting = transaction.waiting, []
        for flight in waiting:
            self.after(0.0, self._apply, flight)

    def lock_by_hand(self, account: Account, seconds: float) -> None:
        """Keep a balance locked, as somebody at a console does, if nobody else has it."""
        if self.is_up and account.id not in self._locks:
            transaction = self._locks[account.id] = Transaction(self.book)
            transaction.keep_locked(account)
            self.after(seconds, self.end, transaction, commit=False)

    def is_locked(self, account: UUID) -> bool:
        return account in self._locks

    def _begin(self, flight: Flight, seconds: float) -> None:
        flight.snapshot = self.book.commits
        self.after(seconds, self._apply, flight)

    def _apply(self, flight: Flight) -> None:
        if flight.incarnation != self.incarnation:
            return
        if flight.transaction is not None and flight.transaction.is_ended:
            self._answer(flight, () if flight.name == "rollback" else _reset())
            return
        name, arguments = flight.name, flight.arguments
        locks = self.book.locks(name, arguments)
        if not self._may_lock(flight, locks):
            return
        try:
            if name in ("commit", "rollback"):
                assert flight.transaction is not None
                self.end(flight.transaction, commit=name == "commit")
                rows: Sequence[Row] = ()
            else:
                rows = self.book.run(name, arguments, flight.snapshot)
        except asyncpg.PostgresError as error:
            self._answer(flight, error)
            return
        if flight.transaction is None and name not in READS:
            touched = arguments[:1] if name in ("hold_mark_unknown", "key_claim") else locks
            self._told(name, arguments, rows, touched)
        if not flight.is_cut:
            self._answer(flight, rows)

    def _may_lock(self, flight: Flight, accounts: Sequence[UUID]) -> bool:
        transaction = flight.transaction
        if self._locks:
            for account in accounts:
                other = self._locks.get(account)
                if other is not None and other is not transaction:
                    if flight.snapshot is None:
                        flight.snapshot = self.book.commits
                    other.waiting.append(flight)
                    self.after(_LOCK_SECONDS, self._give_up, flight, other)
                    return False
        if transaction is not None:
            for id_ in accounts:
                known = self.book.accounts.get(id_)
                if known is not None:
                    self._locks[id_] = transaction
                    transaction.lock(known)
                    if flight.name == "entry_post" and flight.arguments[6] not in known.keys:
                        transaction.note_key(id_, flight.arguments[6])
        return True

    def _give_up(self, flight: Flight, other: Transaction) -> None:
        if flight in other.waiting:
            other.waiting.remove(flight)
            self.given_up += 1
            self._fail(flight, asyncpg.LockNotAvailableError("canceling statement due to lock timeout"))

    def _cut(self, flight: Flight) -> None:
        """Break the connection under a statement that the server goes on with, unless more were to come with it."""
        flight.is_cut = True
        if flight.transaction is not None and flight.name not in ("commit", "rollback"):
            self._fail(flight, _reset())
        elif not flight.future.done():
            flight.future.set_exception(_reset())

    def _fail(self, flight: Flight, error: Exception) -> None:
        if flight.transaction is not None:
            self.end(flight.transaction, commit=False)
            flight.incarnation = -1
        elif not flight.is_cut:
            flight.incarnation = -1
        self._answer(flight, error)

    def _answer(self, flight: Flight, result: Any) -> None:
        self._flights.pop(flight, None)
        future = flight.future
        if future.done():
            return
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


def _reset() -> Exception:
    error: Exception = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    return error


def _conflict(weather: Weather) -> Exception:
    serialization: Exception = asyncpg.SerializationError("could not serialize access due to concurrent update")
    deadlock: Exception = asyncpg.DeadlockDetectedError("deadlock detected")
    return serialization if weather.chance.random() < 0.5 else deadlock
