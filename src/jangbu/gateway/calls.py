"""The gateway's driver of ``domain.flow.metered_call``: one call between its hold and its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from jangbu.domain.flow import (
    Call,
    CountInput,
    Held,
    LedgerEffect,
    Lost,
    Outcome,
    Receipt,
    Rejected,
    Send,
    metered_call,
)
from jangbu.gateway.upstream import UpstreamFailure
from jangbu.metering.admission import require_able_to_pay
from jangbu.metering.meter import Metering

__all__ = ["MeteredCall"]


class MeteredCall:
    """One call. ``begin`` comes once, then ``finish`` or ``hand_over`` once, whatever happened in between: inside of
    ``held``, that is seen to.
    """

    def __init__(self, ledger: Metering, call: Call) -> None:
        self.call = call
        self._ledger = ledger
        self._steps = metered_call(call)
        self._is_ended = False
        self.held_tokens = 0
        """How many tokens are held for it, once it has begun."""
        self._may_have_left = False

    @asynccontextmanager
    async def held(self, count_input: Callable[[], Awaitable[int | None]]) -> AsyncIterator[int | None]:
        """Begin, and end the call whatever breaks out of the context: no hold is left open behind an error."""
        limit = await self.begin(count_input)
        try:
            yield limit
        except BaseException as error:
            if not self._is_ended:
                await self.finish(self._judged(error))
            raise

    async def begin(self, count_input: Callable[[], Awaitable[int | None]]) -> int | None:
        """Take the hold, durably; give the output limit for each candidate to put into the request, if any.

        Raises InsufficientBalance, and what the ledger raises; nothing is held then.
        """
        effect = next(self._steps)
        while not isinstance(effect, Send):
            if isinstance(effect, CountInput):
                if self.call.bounds.input_most is None:
                    # No hold was tried, which would have told that there is nothing to pay with.
                    await require_able_to_pay(self._ledger, self.call.user)
                effect = self._steps.send(await count_input())
            else:
                taken = await self._ledger.execute(effect)
                self.held_tokens = taken.amount if isinstance(taken, Held) else 0
                effect = self._steps.send(taken)
        return effect.output_limit

    async def finish(self, outcome: Outcome) -> Receipt | None:
        """Settle, release or mark the call, and wait until that is durable; the receipt of what was charged."""
        self._is_ended = True
        try:
            effect = self._steps.send(outcome)
            while True:
                assert not isinstance(effect, Send | CountInput), "a call is sent once"
                effect = self._steps.send(await self._written(effect))
        except StopIteration as end:
            receipt: Receipt | None = end.value
            return receipt

    def leaves(self) -> None:
        """Note that the request is handed to the HTTP client now: what breaks it off from here on may have left."""
        self._may_have_left = True

    def comes_to_nothing(self) -> None:
        """Note that the provider refused the request, so that nothing came of it until it leaves again."""
        self._may_have_left = False

    def hand_over(self) -> None:
        """Leave the hold to whoever sees the result of the call later."""
        self._is_ended = True
        self._ledger.leave(self.call.id)

    async def _written(self, effect: LedgerEffect) -> Any:
        """Write down how the call ended, also for a caller who is ended meanwhile: to repeat it is harmless."""
        try:
            return await self._ledger.end(effect)
        except asyncio.CancelledError:
            await self._ledger.end(effect)
            raise

    def _judged(self, error: BaseException) -> Outcome:
        """Judge a call by what broke it off: it is lost where it left, unless something says that it did not."""
        may_have_left = self._may_have_left
        if isinstance(error, UpstreamFailure):
            reason, may_have_left = error.message, may_have_left and error.may_have_left
        else:
            reason = f"the gateway broke it off: {type(error).__name__}"
        return Lost(reason) if may_have_left else Rejected(reason)
