"""The limits of keys: requests and tokens a minute, and calls at once, counted in the database for all gateways.

A minute is one of the database's clock. A call that was let in is under way until its process ends it, which keeps it
alive meanwhile; what a killed process leaves behind ends by itself, at the latest where it keeps somebody out. One that
was paused, or could not reach the database, counts its calls again as soon as it can; until then others are let in for
them. Keys without limits are never asked for here.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from jangbu import telemetry
from jangbu.clock import Clock, new_id
from jangbu.domain.keys import Key
from jangbu.errors import LimitReached
from jangbu.metering.group_commit import GroupCommit
from jangbu.metering.retry import repeated
from jangbu.storage import key_limits
from jangbu.storage.database import Database
from jangbu.storage.failures import translated
from jangbu.storage.key_limits import KeyAnswer, KeyCall

__all__ = ["Admission", "KeyLimits"]

_ALIVE_SECONDS = 15
"""How long a call counts whose process was killed, or cannot reach the database."""
_RENEWALS = 3
"""How often a process renews its calls in that time: a renewal may fail, and the next one still comes in time."""
_AGAIN_SECONDS = 1
"""How soon a renewal is tried again that failed, and how often a process looks, at most, for calls to be ended."""
_PATIENCE_SECONDS = 5
_BATCH_MAX = 256
_QUEUE_MAX = 20_000


_Wanted = tuple[UUID, Key]
"""A key under whose limits a call wants to be let in: the caller's own, or one that made it; and the caller's."""


class Admission:
    """A call that was let in under the limits of its key, and of those that made it. It is under way until ``end``."""

    def __init__(self, limits: "KeyLimits", calls: Sequence[KeyCall]) -> None:
        self._limits = limits
        self._calls = calls
        self._tokens = 0
        self._has_ended = False

    def spend(self, tokens: int) -> None:
        """Note tokens that the call was charged; they count from its end on."""
        self._tokens += tokens

    async def end(self) -> None:
        """End the call, durably; to end it again does nothing. A failure is told, and leaves the call to expire."""
        if not self._has_ended:
            self._has_ended = True
            own, *makers = self._calls
            ends = [asyncio.ensure_future(self._limits.end(call, self._tokens)) for call in makers]
            await self._limits.end(own, self._tokens)
            for each in ends:
                await asyncio.shield(each)


class KeyLimits:
    """Counts what the keys with limits use. Belongs to one event loop.

    ``alive_seconds`` is for how long a call stays under way that nobody renews.
    """

    def __init__(self, database: Database, clock: Clock, *, alive_seconds: int = _ALIVE_SECONDS) -> None:
        self._database = database
        self._clock = clock
        self._alive_seconds = alive_seconds
        self._under_way: set[KeyCall] = set()
        self._renewing: asyncio.Task[None] | None = None
        # A call that is counted again must not be ended at the same moment: it would be left behind.
        self._restoring = asyncio.Lock()
        self._expired_at = -math.inf
        self._admitting = GroupCommit[_Wanted, KeyCall](
            self._admit_batch, lanes=1, batch_max=_BATCH_MAX, queue_max=_QUEUE_MAX
        )
        self._ending = GroupCommit[tuple[KeyCall, int], None](
            self._end_batch, lanes=1, batch_max=_BATCH_MAX, queue_max=_QUEUE_MAX
        )

    @asynccontextmanager
    async def admitted(self, key: Key) -> AsyncIterator[Admission]:
        """Let a call in that ends with the context at the latest. Raises what ``admit`` raises."""
        admission = await self.admit(key)
        try:
            yield admission
        finally:
            await admission.end()

    async def admit(self, key: Key) -> Admission:
        """Let a call in. Raises LimitReached, with the seconds to wait, or DatabaseUnreachable."""
        calls: list[KeyCall] = []
        try:
            for holder in (key.id, *key.counted_under):
                calls.append(await self._admit((holder, key)))
        except BaseException:
            await asyncio.gather(*(self.end(call, 0) for call in calls))
            raise
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())
        return Admission(self, calls)

    async def _admit(self, wanted: _Wanted) -> KeyCall:
        asked = asyncio.ensure_future(self._admitting.submit(wanted, wanted[0]))
        try:
            call = await asyncio.shield(asked)
        except asyncio.CancelledError:
            # What was asked for cannot be taken back: a call that is let in for nobody is ended.
            with suppress(Exception):
                await self.end(await asked, 0)
            raise
        self._under_way.add(call)
        return call

    async def end(self, call: KeyCall, tokens: int) -> None:
        """End a call that was let in, for ``Admission``. It is ended also where whoever waits for that is cancelled."""
        self._under_way.discard(call)
        try:
            await self._ending.submit((call, tokens), call)
        except Exception as error:
            telemetry.warn("key_limits.not_ended", str(error), key_id=str(call[0]), tokens=tokens)

    async def spend(self, key: UUID, tokens: int) -> None:
        """Count tokens that a key was charged for no call that is under way. A failure is told."""
        try:
            with translated():
                await repeated(
                    "key_limits", lambda: key_limits.spend(self._database, key, tokens), seconds=_PATIENCE_SECONDS
                )
        except Exception as error:
            telemetry.warn("key_limits.not_spent", str(error), key_id=str(key), tokens=tokens)

    async def expire(self) -> int:
        """End the calls whose process keeps them alive no more; give how many."""
        return await key_limits.expire(self._database)

    async def purge(self) -> None:
        """Forget what keys used that have been idle for long."""
        await key_limits.purge(self._database)

    async def close(self) -> None:
        """Write what waits, then stop."""
        await self._admitting.close()
        await self._ending.close()
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    async def _admit_batch(self, wanted: Sequence[_Wanted], _lane: int) -> Sequence[KeyCall | LimitReached]:
        async def attempt() -> tuple[Sequence[KeyCall], Sequence[KeyAnswer]]:
            # Each attempt has calls of its own: those of one whose answer was lost may be under way, and expire.
            calls = [(holder, new_id(self._clock)) for holder, _ in wanted]
            return calls, await key_limits.admit(self._database, calls, self._alive_seconds)

        with translated():
            calls, answers = await repeated("key_limits", attempt, seconds=_PATIENCE_SECONDS)
        found = [
            call if answer.reached is None else _refusal(each, answer)
            for each, call, answer in zip(wanted, calls, answers, strict=True)
        ]
        kept_out = [number for number, answer in enumerate(answers) if answer.reached == "calls"]
        if kept_out and await self._expired_now():
            again = await self._admit_batch([wanted[number] for number in kept_out], _lane)
            for number, answer in zip(kept_out, again, strict=True):
                found[number] = answer
        return found

    async def _expired_now(self) -> bool:
        """End what a killed process left under way; tell whether there was anything. It is looked for now and then."""
        now = asyncio.get_running_loop().time()
        if now < self._expired_at + _AGAIN_SECONDS:
            return False
        self._expired_at = now
        with translated():
            return await self.expire() > 0

    async def _end_batch(self, calls: Sequence[tuple[KeyCall, int]], _lane: int) -> Sequence[None]:
        with translated():
            async with self._restoring:
                await repeated("key_limits", lambda: key_limits.end(self._database, calls), seconds=_PATIENCE_SECONDS)
        return [None] * len(calls)

    async def _renew(self) -> None:
        """Keep the calls under way alive, all by one statement, for as long as there are any."""
        usual = wait = self._alive_seconds / _RENEWALS
        while True:
            await asyncio.sleep(wait)
            if not self._under_way:
                return
            try:
                with translated():
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        await self._keep()
                wait = usual
            except Exception as error:
                wait = min(usual, _AGAIN_SECONDS)
                telemetry.warn("key_limits.not_renewed", str(error), calls=len(self._under_way))

    async def _keep(self) -> None:
        """Renew the calls under way, and count those again that expired meanwhile."""
        calls = tuple(self._under_way)
        renewed = await key_limits.renew(self._database, calls, self._alive_seconds)
        if len(renewed) == len(calls):
            return
        async with self._restoring:
            expired = [call for call in calls if call not in renewed and call in self._under_way]
            if expired:
                telemetry.warn("key_limits.restored", "calls had expired that go on", calls=len(expired))
                await key_limits.restore(self._database, expired, self._alive_seconds)


def _refusal(wanted: _Wanted, answer: KeyAnswer) -> LimitReached:
    """Say which limit was reached. Nobody knows when a call will end, so that is asked for again soon."""
    holder, key = wanted
    if holder != key.id:
        seconds = 1 if answer.reached == "calls" else answer.seconds
        return LimitReached("the key that made this one is at a limit, under which its keys count", seconds=seconds)
    match answer.reached:
        case "requests":
            return LimitReached(
                f"this key may make {key.requests_per_minute:,} requests a minute", seconds=answer.seconds
            )
        case "tokens":
            return LimitReached(f"this key may use {key.tokens_per_minute:,} tokens a minute", seconds=answer.seconds)
        case _:
            return LimitReached(f"this key may make {key.concurrent_calls:,} calls at once", seconds=1)
