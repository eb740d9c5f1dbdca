"""Drivers of ``domain.flow.metered_call``: one walk through the life of a call, for sync and for async callers.

What leads up to Send is driven by the caller, because countTokens goes through the caller's own client. What follows
Send touches nothing but the ledger, so it runs as one piece on the ledger's loop: a caller that is cancelled, or gone,
never loses it.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jangbu.domain.flow import (
    Call,
    CountInput,
    Effect,
    Held,
    LedgerEffect,
    Outcome,
    Receipt,
    Release,
    Send,
    metered_call,
)
from jangbu.errors import JangbuError
from jangbu.sdk.background import Background

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

__all__ = ["CallInProgress"]


class CallInProgress:
    """One call between its hold and its end. ``finish*`` works once: whoever comes second finds it finished."""

    def __init__(self, background: "Background[Metering]", call: Call) -> None:
        self.call = call
        self._background = background
        self._steps = metered_call(call)
        self._finished = threading.Lock()

    def begin(self, count_input: Callable[[], int | None]) -> int | None:
        """Take the hold; give the output limit to put into the request, if any.

        Raises InsufficientBalance, and then nothing is held.
        """
        effect = next(self._steps)
        while not isinstance(effect, Send):
            match effect:
                case CountInput():
                    effect = self._steps.send(count_input())
                case _:
                    taken = self._execute(effect)
                    try:
                        effect = self._steps.send(taken.result())
                    except BaseException:
                        if not taken.done():
                            self._give_back_later(taken)
                        raise
        return effect.output_limit

    async def begin_async(self, count_input: Callable[[], Awaitable[int | None]]) -> int | None:
        """Take the hold as ``begin`` does; a caller that is cancelled meanwhile holds nothing."""
        effect = next(self._steps)
        while not isinstance(effect, Send):
            match effect:
                case CountInput():
                    effect = self._steps.send(await count_input())
                case _:
                    taken = self._execute(effect)
                    try:
                        result = await asyncio.shield(asyncio.wrap_future(taken))
                    except asyncio.CancelledError:
                        self._give_back_later(taken)
                        raise
                    effect = self._steps.send(result)
        return effect.output_limit

    def finish(self, outcome: Outcome) -> Receipt | None:
        """Settle, release or mark the call, and wait until that is durable. None where it was finished before."""
        if not self._finished.acquire(blocking=False):
            return None
        return self._background.wait(lambda ledger: self._drive_to_end(ledger, outcome))

    async def finish_async(self, outcome: Outcome) -> Receipt | None:
        """Finish as ``finish`` does; it goes on where the caller is cancelled."""
        if not self._finished.acquire(blocking=False):
            return None
        return await self._background.wait_async(lambda ledger: self._drive_to_end(ledger, outcome))

    def finish_later(self, outcome: Outcome) -> None:
        """Finish without waiting, for a stream that was dropped. ``Meter.close`` and every balance wait for it."""
        if self._finished.acquire(blocking=False):
            self._background.detach(lambda ledger: self._drive_to_end(ledger, outcome))

    def finish_after_error(self, outcome: Outcome) -> None:
        """Finish a call that failed. The error that ended it is on its way to the app and must not be replaced."""
        with suppress(JangbuError):
            self.finish(outcome)

    async def finish_after_error_async(self, outcome: Outcome) -> None:
        """Finish a call that failed, as ``finish_after_error`` does."""
        with suppress(JangbuError):
            await self.finish_async(outcome)

    def _execute(self, effect: Effect) -> "Future[Any]":
        assert not isinstance(effect, Send | CountInput), "the caller performs these"
        ledger_effect: LedgerEffect = effect
        return self._background.submit(lambda ledger: ledger.execute(ledger_effect))

    async def _drive_to_end(self, ledger: "Metering", outcome: Outcome) -> Receipt | None:
        try:
            effect = self._steps.send(outcome)
            while True:
                assert not isinstance(effect, Send | CountInput), "a call is sent once"
                effect = self._steps.send(await ledger.execute(effect))
        except StopIteration as end:
            receipt: Receipt | None = end.value
            return receipt

    def _give_back_later(self, taken: "Future[Any]") -> None:
        """Give back a hold whose caller was cancelled or interrupted while it waited for it."""
        self._background.detach(lambda ledger: self._give_back(ledger, taken))

    async def _give_back(self, ledger: "Metering", taken: "Future[Any]") -> None:
        if isinstance(await asyncio.wrap_future(taken), Held):
            await ledger.execute(Release(self.call, "the caller went away before the call was sent"))
