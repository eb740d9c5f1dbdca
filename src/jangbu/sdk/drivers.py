"""Drivers of ``domain.flow.metered_call``: one walk through the life of a call, for sync and for async callers.

What leads up to Send is driven by the caller, because countTokens goes through the caller's own client. What follows
Send touches nothing but the ledger, so it runs as one piece on the ledger's loop: a caller that is cancelled, or gone,
never loses it.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jangbu.domain.flow import (
    Call,
    CountInput,
    Effect,
    Held,
    Lost,
    Outcome,
    Receipt,
    Rejected,
    Release,
    Send,
    TakeHold,
    metered_call,
)
from jangbu.errors import JangbuError
from jangbu.sdk.background import Background
from jangbu.sdk.open_calls import Caller

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

__all__ = ["CallInProgress"]


class CallInProgress:
    """One call between its hold and its end. ``finish*`` works once: whoever comes second finds it finished.

    ``caller`` is who goes on with it: a stream names whoever reads it. A call is abandoned where the meter was closed
    and waits for it no longer.
    """

    def __init__(self, background: "Background[Metering]", call: Call) -> None:
        self.call = call
        self.caller = Caller.present()
        self._background = background
        self._steps = metered_call(call)
        self._finished = threading.Lock()
        self._reported: Callable[[], Outcome] | None = None
        self._ending: Callable[[Metering, Outcome], Coroutine[Any, Any, Outcome | None]] | None = None
        self._is_sent = False
        self.is_abandoned = False
        self._is_held = False
        self._is_left = False

    def begin(self, count_input: Callable[[], int | None]) -> int | None:
        """Take the hold; give the output limit to put into the request, if any.

        Whatever is raised here, InsufficientBalance, an interruption or that the meter is closed, nothing stays held.
        """
        try:
            self._background.begin(self)
            effect = next(self._steps)
            while not isinstance(effect, Send):
                match effect:
                    case CountInput():
                        effect = self._steps.send(count_input())
                    case _:
                        effect = self._steps.send(self._take(effect).result())
        except BaseException:
            self._give_back_later()
            raise
        return effect.output_limit

    async def begin_async(self, count_input: Callable[[], Awaitable[int | None]]) -> int | None:
        """Take the hold as ``begin`` does; a caller that is cancelled meanwhile holds nothing."""
        try:
            self._background.begin(self)
            effect = next(self._steps)
            while not isinstance(effect, Send):
                match effect:
                    case CountInput():
                        effect = self._steps.send(await count_input())
                    case _:
                        taken = asyncio.wrap_future(self._take(effect))
                        effect = self._steps.send(await asyncio.shield(taken))
        except BaseException:
            self._give_back_later()
            raise
        return effect.output_limit

    def sending(self) -> None:
        """Note that the call is sent now: until then whatever ends it gives the hold back.

        Raises JangbuError where the meter was closed meanwhile.
        """
        self.check_open()
        self._is_sent = True

    def finish(self, outcome: Outcome) -> Receipt | None:
        """Settle, release or mark the call, and wait until that is durable. None where it was finished before.

        Raises JangbuError where the meter was closed and could wait no longer.
        """
        if not self._finished.acquire(blocking=False):
            self.check_open()
            return None
        return self._end(outcome).result()

    async def finish_async(self, outcome: Outcome) -> Receipt | None:
        """Finish as ``finish`` does; it goes on where the caller is cancelled."""
        if not self._finished.acquire(blocking=False):
            self.check_open()
            return None
        return await asyncio.shield(asyncio.wrap_future(self._end(outcome)))

    def finish_later(self, outcome: Outcome) -> None:
        """Finish without waiting, for a stream that was dropped. ``Meter.close`` and every balance wait for it."""
        if self._finished.acquire(blocking=False):
            self._background.detach(self._end(outcome))

    def finish_after_error(self, outcome: Outcome) -> None:
        """Finish a call that failed. The error that ended it is on its way to the app and must not be replaced."""
        with suppress(JangbuError):
            self.finish(outcome)

    async def finish_after_error_async(self, outcome: Outcome) -> None:
        """Finish a call that failed, as ``finish_after_error`` does."""
        with suppress(JangbuError):
            await self.finish_async(outcome)

    def ends_by(self, ending: Callable[["Metering", Outcome], Coroutine[Any, Any, Outcome | None]]) -> None:
        """Ask ``ending`` before the call is ended by its outcome: None leaves it to whoever sees the result later."""
        self._ending = ending

    def hand_over(self, note: Callable[["Metering"], Coroutine[Any, Any, Lost | None]]) -> "Future[None]":
        """Leave the hold to whoever sees the result later, once ``note`` has written down whose work it is.

        Where it cannot, it tells how the call ended instead; where that cannot be written down either, the hold's time
        ends it. Both go on where the caller is cancelled. Raises JangbuError where the meter was closed and could wait
        no longer.
        """
        if not self._finished.acquire(blocking=False):
            self.check_open()

        async def hand(ledger: "Metering") -> None:
            if (lost := await note(ledger)) is not None:
                with suppress(JangbuError):
                    await self._drive_to_end(ledger, lost)
            ledger.leave(self.call.id)

        handing = self._background.submit(hand, begun=True)
        handing.add_done_callback(lambda _handed: self._background.end(self))
        return handing

    def report_by(self, reported: Callable[[], Outcome]) -> None:
        """Say how to judge what a stream has reported, should the meter be closed before it has ended."""
        self._reported = reported

    def read_here(self) -> None:
        """Note that the caller of this method is who goes on with the call. Raises JangbuError as ``check_open``."""
        self.caller = Caller.present()
        self.check_open()

    def check_open(self) -> None:
        """Raise JangbuError where the meter was closed before the call had ended."""
        if self.is_abandoned:
            raise JangbuError(
                "the meter was closed before this call had ended",
                hint="close it after the calls and their streams; what was reported until then is recorded",
            )

    def abandon(self) -> None:
        """End the call under its caller, because the meter is closed: by what was reported, else as unknown."""
        self.is_abandoned = True
        if not self._finished.acquire(blocking=False):
            return
        outcome = Lost("the meter was closed before an answer came") if self._reported is None else self._reported()
        with suppress(JangbuError):
            self._background.detach(self._end(outcome))

    def _give_back_later(self) -> None:
        """Give back the hold of a call that was not sent, or that is being taken just now."""
        with suppress(JangbuError):
            self.finish_later(Rejected("the caller went away before the call was sent"))

    def _take(self, effect: Effect) -> "Future[Any]":
        assert isinstance(effect, TakeHold), "a hold comes before all else"
        return self._background.submit(lambda ledger: self._taken(ledger, effect), begun=True)

    async def _taken(self, ledger: "Metering", effect: TakeHold) -> object:
        """Take the hold. Its caller may be gone when it is there: nobody else knows of it then."""
        taken = await ledger.execute(effect)
        self._is_held = isinstance(taken, Held)
        if self._is_left:
            await self._give_back(ledger)
        return taken

    def _end(self, outcome: Outcome) -> "Future[Receipt | None]":
        work = self._drive_to_end if self._is_sent else self._leave
        try:
            ending = self._background.submit(lambda ledger: work(ledger, outcome), begun=True)
        except BaseException:
            self._background.end(self)
            raise
        ending.add_done_callback(lambda _ended: self._background.end(self))
        return ending

    async def _drive_to_end(self, ledger: "Metering", outcome: Outcome) -> Receipt | None:
        ended = outcome if self._ending is None else await self._ending(ledger, outcome)
        if ended is None:
            # Its record, which may come in an hour or never, takes what room there is in the spool then.
            ledger.leave(self.call.id)
            return None
        try:
            effect = self._steps.send(ended)
            while True:
                assert not isinstance(effect, Send | CountInput), "a call is sent once"
                effect = self._steps.send(await ledger.end(effect))
        except StopIteration as end:
            receipt: Receipt | None = end.value
            return receipt

    async def _leave(self, ledger: "Metering", _outcome: Outcome) -> None:
        """Give back what is held; what is being taken is given back when it is there. Runs on the ledger's loop."""
        self._is_left = True
        await self._give_back(ledger)

    async def _give_back(self, ledger: "Metering") -> None:
        if self._is_held:
            self._is_held = False
            await ledger.execute(Release(self.call, "the caller went away before the call was sent"))
