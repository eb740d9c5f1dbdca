"""Balances that somebody else keeps locked: a transaction by hand, a tool that waits for its user, a host that froze.

What others need is written in the same batches, so a batch goes on without those whose balance is locked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from jangbu import telemetry
from jangbu.errors import BalanceLocked
from jangbu.metering.retry import has_ended
from jangbu.storage import accounts
from jangbu.storage.database import Database
from jangbu.storage.failures import gave_up_lock

__all__ = ["LockedBalances", "locked_balance"]

_PAUSE_SECONDS = 0.05
_PAUSE_MOST_SECONDS = 1.0
_LOOK_SECONDS = 5
"""How long a look may take: its connection may lead to a machine that is gone."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Lock:
    """Since when a balance is waited for, by the loop's clock, and who wants to know that it is free."""

    since: float
    freed: asyncio.Future[None]


class LockedBalances:
    """Knows whose balances are locked, and finds out when they are free again. Belongs to one event loop.

    ``on_free`` is told of those that are free again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._locks: dict[UUID, _Lock] = {}
        self._following: asyncio.Task[None] | None = None
        self.on_free: Callable[[Collection[UUID]], None] = _nobody

    def __contains__(self, account: UUID) -> bool:
        """Tell whether an account's balance was locked when it was last looked at."""
        return account in self._locks

    @property
    def number(self) -> int:
        """How many are known to be locked."""
        return len(self._locks)

    async def passed_over(
        self,
        items: Sequence[Item],
        account_of: Callable[[Item], UUID],
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
    ) -> Sequence[Result | BalanceLocked]:
        """Write items in one statement, without those whose account's balance is locked; give for each its result, or
        that it was left out. Raises what ``write`` raises.
        """
        began_at = asyncio.get_running_loop().time()
        while True:
            locked = frozenset(self._locks)
            free = [each for each in items if account_of(each) not in locked] if locked else items
            try:
                results = await write(free) if free else ()
            except Exception as error:
                if not gave_up_lock(error) or not await self._look({account_of(each) for each in free}, began_at):
                    raise
            else:
                if len(free) == len(items):
                    return results
                told = iter(results)
                return [locked_balance() if account_of(each) in locked else next(told) for each in items]

    async def freed(self, account: UUID, *, since: float, seconds: float) -> None:
        """Wait until an account's balance is free. Raises BalanceLocked where it has been locked, or whoever asks has
        waited since a moment of the loop's clock, for so long.
        """
        lock = self._locks.get(account)
        if lock is None:
            return
        left = min(lock.since, since) + seconds - asyncio.get_running_loop().time()
        if left <= 0 or not await has_ended(lock.freed, seconds=left):
            raise locked_balance()

    async def close(self) -> None:
        """Look no more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def _look(self, ids: Collection[UUID], began_at: float) -> bool:
        """Find out which of the balances that a statement waited for are locked; tell whether any is.

        They are looked at twice: a neighbour may be in the midst of a flush of its own.
        """
        if found := await accounts.locked(self._database, ids):
            await asyncio.sleep(_PAUSE_SECONDS)
            found = await accounts.locked(self._database, found)
        new = found - self._locks.keys()
        for account in new:
            self._locks[account] = _Lock(began_at, asyncio.get_running_loop().create_future())
        if new:
            telemetry.warn("balances.locked", f"balances locked by other transactions: {len(self._locks)}")
            if self._following is None or self._following.done():
                self._following = asyncio.create_task(self._follow())
        return bool(found)

    async def _follow(self) -> None:
        """Find out which are free, until all are.

        Each time one lock is stood in line for: its end is heard of at once, and where others take short turns, whoever
        only looks in now and then never finds it free.
        """
        pause = _PAUSE_SECONDS
        while self._locks:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._look_again()
                pause = _PAUSE_SECONDS
            except Exception as error:
                if not gave_up_lock(error):
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _PAUSE_MOST_SECONDS)

    async def _look_again(self) -> None:
        asked = tuple(self._locks)
        self._let_go(set(asked) - await accounts.locked(self._database, asked))
        if first := next(iter(self._locks), None):
            self._locks[first] = self._locks.pop(first)
            await accounts.wait_for(self._database, first)
            self._let_go((first,))

    def _let_go(self, ids: Collection[UUID]) -> None:
        if not ids:
            return
        for account in ids:
            self._locks.pop(account).freed.set_result(None)
        telemetry.emit("balances.freed", number=len(ids))
        self.on_free(ids)


def locked_balance() -> BalanceLocked:
    """Say that a balance is locked."""
    return BalanceLocked(
        "the user's balance is locked by another transaction", hint="end it: pg_stat_activity shows who it is"
    )


def _nobody(_ids: Collection[UUID]) -> None:
    """Tell nobody."""
