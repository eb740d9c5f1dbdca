"""Holds: taken before a call, so that nobody spends what they do not have."""

import asyncio
import os
import socket
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from jangbu.domain.flow import Bounds, Call, Held, Refused, TakeHold
from jangbu.errors import (
    BalanceLocked,
    DatabaseUnreachable,
    HoldInDoubt,
    JangbuError,
    NoAccount,
    NotFound,
    NotPermitted,
    StillRunning,
)
from jangbu.metering.absence import Absence
from jangbu.metering.group_commit import GroupCommit
from jangbu.metering.locked_balances import LockedBalances
from jangbu.metering.retry import repeated
from jangbu.storage import holds
from jangbu.storage.database import Database
from jangbu.storage.failures import gave_up_lock, translated
from jangbu.storage.holds import ANY, HoldAnswer, HoldRequest, HoldRow, Which

_BATCH_MAX = 64
_QUEUE_MAX = 20_000
_SWEEP_MAX = 500

_End = tuple[UUID, UUID, str]
"""An account, a hold of it, and why it is given back."""

Item = TypeVar("Item")
Result = TypeVar("Result")

LATER_SECONDS = 48 * 3600
"""How long a hold waits for a result that comes later: a batch takes up to 24 hours, and then has to be asked for."""


class Holds:
    """Takes, releases and ends holds. Belongs to one event loop.

    ``absence`` bounds how long a hold is waited for, ``retry_seconds`` how long its end is tried. Who waits for a
    balance that is ``locked`` waits beside the others.
    """

    def __init__(
        self,
        database: Database,
        *,
        project: str,
        lanes: int,
        hold_seconds: int,
        retry_seconds: int,
        absence: Absence | None = None,
        locked: LockedBalances | None = None,
    ) -> None:
        self._database = database
        self._project = project
        self._hold_seconds = hold_seconds
        self._retry_seconds = retry_seconds
        self.absence = absence or Absence(retry_seconds)
        self.locked = locked or LockedBalances(database)
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._taking = GroupCommit[HoldRequest, HoldAnswer](
            self._take_batch, lanes=lanes, batch_max=_BATCH_MAX, queue_max=_QUEUE_MAX
        )
        self._releasing = GroupCommit[_End, bool](
            self._release_batch, lanes=lanes, batch_max=_BATCH_MAX, queue_max=_QUEUE_MAX
        )

    async def take(self, account: UUID, effect: TakeHold) -> Held | Refused:
        """Hold tokens for a call, durably. Raises NotFound or NotPermitted for an account that cannot call, and
        DatabaseUnreachable: HoldInDoubt where the hold may have been taken all the same.
        """
        call = effect.call
        request = HoldRequest(
            account, call.id, effect.base, effect.least, effect.most, effect.take_all, call.service, call.model
        )
        match await self._when_free(self._taking, request, account, self.absence.seconds):
            case HoldAnswer(amount=int(amount)):
                return Held(amount)
            case HoldAnswer(is_overtaken=True):
                return await self.take(account, effect)
            case HoldAnswer(known_state="open", known_amount=int(amount)):
                return Held(amount)
            case HoldAnswer(known_state=str(state)):
                raise JangbuError(f"call {call.id} is {state} already", hint="begin a new call")
            case HoldAnswer(account_state=None):
                raise NoAccount(call.user)
            case HoldAnswer(account_state="blocked"):
                raise NotPermitted(f"the account of user {call.user!r} is blocked")
            case answer:
                return Refused(needed=effect.least, available=answer.available)

    async def release(self, account: UUID, hold: UUID, reason: str) -> bool:
        """Give a hold back; tell whether it was held until now."""
        return await self._when_free(self._releasing, (account, hold, reason), account, self._retry_seconds)

    async def mark_unknown(self, account: UUID, hold: UUID, reason: str) -> None:
        """Keep a hold whose call left and never came back."""
        with translated():
            await repeated(
                "holds",
                lambda: holds.mark_unknown(self._database, account, hold, reason),
                seconds=self._retry_seconds,
            )

    async def extend(self, account: UUID, hold: UUID, seconds: int = LATER_SECONDS) -> bool:
        """Let a hold stay open for at least so many seconds from now, by the database's clock, never shorter than it
        would have; tell whether it is open. One that is closed or of unknown outcome stays as it is.
        """
        with translated():
            return await repeated(
                "holds", lambda: holds.extend(self._database, account, hold, seconds), seconds=self._retry_seconds
            )

    async def expire(self) -> int:
        """End the holds whose time is up; give how many ended."""
        ended = 0
        while batch := await holds.expire(self._database, _SWEEP_MAX):
            ended += len(batch)
        return ended

    async def close_findings(self) -> int:
        """Close the findings of unknown outcomes that are known by now: recorded, or given back; give how many."""
        return await holds.close_findings(self._database)

    async def purge(self) -> int:
        """Forget the holds that were closed long ago; give how many."""
        gone = 0
        while batch := await holds.purge(self._database, _SWEEP_MAX):
            gone += batch
        return gone

    async def page(
        self,
        account: UUID | None,
        states: Sequence[str] | None,
        limit: int,
        after: tuple[datetime, UUID] | None = None,
        which: Which = ANY,
    ) -> Sequence[HoldRow]:
        """Give holds, oldest first, from the one after that of this time and id."""
        return await holds.page(self._database, self._project, account, states, limit, after, which)

    async def show(self, hold: UUID) -> HoldRow | None:
        """Give a hold that is named by its id alone; None where there is none, or its call was recorded."""
        return await holds.show(self._database, self._project, hold)

    async def call_of(self, hold: UUID) -> Call:
        """Give the call that a hold was taken for, to settle it by evidence. Raises NotFound."""
        _, user, service, model = await self._find(hold)
        return Call(hold, user, service, model, Bounds(input_most=0, output_most=0, output_chosen=True))

    async def owner_of(self, hold: UUID) -> tuple[UUID, str]:
        """Give whose account a hold was taken from, and as whom it is listed. Raises NotFound."""
        account, user, _, _ = await self._find(hold)
        return account, user

    async def require_ended(self, hold: UUID) -> None:
        """Let only a hold be settled by evidence whose call is not under way. Raises StillRunning: its own answer would
        be taken for another one of a call that is settled, and would not be charged.
        """
        if await holds.is_open(self._database, self._project, hold):
            raise StillRunning(
                f"the call of hold {hold} may still be under way", hint="wait until its outcome is unknown"
            )

    async def _find(self, hold: UUID) -> tuple[UUID, str, str, str]:
        found = await holds.find(self._database, self._project, hold)
        if found is None:
            raise NotFound(
                f"there is no hold {hold}", hint=f"if its call was settled, `jangbu explain {hold}` shows it"
            )
        return found

    async def close(self) -> None:
        """Write what waits, then stop."""
        await self._taking.close()
        await self._releasing.close()
        await self.locked.close()

    async def _when_free(self, queue: GroupCommit[Item, Result], item: Item, account: UUID, seconds: int) -> Result:
        """Submit an item, again when the account's balance is free where it was locked. Raises BalanceLocked."""
        since: float | None = None
        while True:
            try:
                return await queue.submit(item, account)
            except BalanceLocked:
                since = asyncio.get_running_loop().time() if since is None else since
                await self.locked.freed(account, since=since, seconds=seconds)

    async def _take_batch(
        self, requests: Sequence[HoldRequest], _lane: int
    ) -> Sequence[HoldAnswer | DatabaseUnreachable]:
        in_doubt: list[HoldRequest] = []

        async def take(free: Sequence[HoldRequest]) -> Sequence[HoldAnswer]:
            async with self._database.connection(in_passing=True) as connection:
                try:
                    return await holds.take(
                        connection, free, owner=self._owner, seconds=self._hold_seconds, may_have_left=True
                    )
                except BaseException as error:
                    if not gave_up_lock(error):
                        in_doubt.extend(free)
                    raise

        try:
            answers = await self.absence.outlasted("holds", lambda: self.locked.passed_over(requests, account_of, take))
        except DatabaseUnreachable as error:
            if not in_doubt:
                raise
            raise HoldInDoubt(error.message, hint=error.hint) from error.__cause__
        if not in_doubt:
            return answers
        # What an earlier attempt may have taken, and is locked now, is told like what nobody answered for.
        return [
            HoldInDoubt(answer.message, hint=answer.hint)
            if isinstance(answer, BalanceLocked) and request in in_doubt
            else answer
            for request, answer in zip(requests, answers, strict=True)
        ]

    async def _release_batch(self, releases: Sequence[_End], _lane: int) -> Sequence[bool | BalanceLocked]:
        async def release(free: Sequence[_End]) -> Sequence[bool]:
            async with self._database.connection(in_passing=True) as connection:
                return await holds.release(connection, free)

        with translated():
            return await repeated(
                "holds",
                lambda: self.locked.passed_over(releases, account_of, release),
                seconds=self._retry_seconds,
            )


def account_of(item: HoldRequest | _End) -> UUID:
    """Give whose balance something is held of, or given back to: it comes first in both."""
    return item[0]


def erased_user() -> NotPermitted:
    """Say that a user was erased, and is not let in or given anything any more."""
    return NotPermitted("this user was erased", hint="have the app give whoever comes back a new id")
