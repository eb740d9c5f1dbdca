"""Streams that are metered while the app reads them.

What may be the last piece is handed over only when the record is durable; every other piece passes at once. A stream
that the app leaves early is settled from what was reported until then.
"""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Generic, Protocol, TypeVar

from jangbu.domain.flow import Answered, Lost, Outcome, Rejected
from jangbu.domain.usage import Source, Usage
from jangbu.errors import JangbuError
from jangbu.providers.gemini import StreamMeter
from jangbu.sdk.outcomes import failed

__all__ = ["AsyncMeteredStream", "MeteredStream", "StreamEnd", "StreamReading", "opened_streams"]

Piece = TypeVar("Piece")

opened_streams: ContextVar["list[MeteredStream[Any] | AsyncMeteredStream[Any]] | None"] = ContextVar(
    "jangbu_opened_streams", default=None
)
"""Where streams note themselves, for whoever hands their pieces on and has to end them when the app leaves."""


class StreamReading(Generic[Piece]):
    """Reads the usage out of a stream's pieces and says which pieces may pass. Without I/O.

    ``may_be_last`` says whether an answer may end with this piece: it is then held back until the next one comes. With
    ``keep_holding`` all that follows is held back too, for pieces that are cut anywhere.
    """

    def __init__(
        self,
        meter: StreamMeter,
        feed: Callable[[Piece], None],
        *,
        may_be_last: Callable[[Piece], bool],
        is_error: Callable[[Piece], bool],
        keep_holding: bool = False,
        on_outcome: Callable[[Outcome, Usage], None] = lambda _outcome, _usage: None,
    ) -> None:
        self._meter = meter
        self._feed = feed
        self._may_be_last = may_be_last
        self._is_error = is_error
        self._keep_holding = keep_holding
        self._on_outcome = on_outcome
        self._held_back: list[Piece] = []
        self._refused = False
        # Whoever closes the meter judges the stream under its reader.
        self._one_at_a_time = threading.RLock()

    def read(self, piece: Piece) -> list[Piece]:
        """Take a piece in; give the pieces that may be handed over now."""
        with self._one_at_a_time:
            self._feed(piece)
        self._refused = self._refused or self._is_error(piece)
        if not self._may_be_last(piece):
            return [*self.rest(), piece]
        passed = [] if self._keep_holding else self.rest()
        self._held_back.append(piece)
        return passed

    def rest(self) -> list[Piece]:
        """Give what was held back, once the record is durable."""
        rest, self._held_back = self._held_back, []
        return rest

    def outcome(self, error: BaseException | None, *, complete: bool) -> Outcome:
        """Judge how the stream ended. What was reported before it broke off is charged, and is marked partial."""
        with self._one_at_a_time:
            usage = self._meter.finish(complete=complete)
            outcome = self._judge(usage, error, complete=complete)
        self._on_outcome(outcome, usage)
        return outcome

    def _judge(self, usage: Usage, error: BaseException | None, *, complete: bool) -> Outcome:
        if usage.source is not Source.NONE:
            return Answered(usage)
        if self._refused:
            return Rejected("the provider answered an error in the stream")
        if error is not None:
            return failed(error)
        if complete and self._meter.broke_off:
            return Lost("the stream broke off before anything was reported")
        return Answered(usage) if complete else Lost("the stream was left before anything was reported")


class StreamEnd(Protocol):
    """What a stream tells how it ended: the call that it answers, or what stands in its place and is waited for by
    nobody.
    """

    is_abandoned: bool = False

    def report_by(self, reported: Callable[[], Outcome]) -> None:  # noqa: ARG002 - what nobody waits for is not judged
        """Say how to judge what was reported, should the meter be closed before the end."""
        return

    def read_here(self) -> None:
        """Note that the caller of this method is who goes on. Raises JangbuError as ``check_open``."""
        return

    def check_open(self) -> None:
        """Raise JangbuError where the meter was closed before the end."""
        return

    def finish(self, outcome: Outcome) -> object:
        """End it, and wait until that is durable."""

    async def finish_async(self, outcome: Outcome) -> object:
        """End it as ``finish`` does."""

    def finish_later(self, outcome: Outcome) -> None:
        """End it without waiting."""


class MeteredStream(Generic[Piece]):
    """An iterator over a stream's pieces that settles its call when the stream ends, breaks off or is dropped."""

    def __init__(self, pieces: Iterator[Piece], reading: StreamReading[Piece], call: StreamEnd) -> None:
        self._pieces = pieces
        self._reading = reading
        self._call = call
        self._ready: list[Piece] = []
        self._ended = False
        self._advancing = False
        call.report_by(lambda: reading.outcome(None, complete=False))
        _note(self)

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        while not self._ready:
            if self._ended:
                raise StopIteration
            self._call.read_here()
            self._advancing = True
            try:
                self._advance()
            finally:
                self._advancing = False
        return self._ready.pop(0)

    def close(self) -> None:
        """Settle what was reported, if the stream did not end by itself.

        HTTP libraries close a response themselves when it is read to its end: that is no early end.
        """
        if self._ended or self._advancing or self._call.is_abandoned:
            return
        self._ended = True
        self._call.finish(self._reading.outcome(None, complete=False))

    def _advance(self) -> None:
        try:
            piece = next(self._pieces)
        except StopIteration:
            self._ended = True
            self._call.finish(self._reading.outcome(None, complete=True))
            self._ready = self._reading.rest()
        except BaseException as error:
            self._ended = True
            with suppress(JangbuError):
                self._call.finish(self._reading.outcome(error, complete=False))
            raise
        else:
            self._ready = self._reading.read(piece)
            self._call.check_open()

    def abandon(self) -> None:
        """Settle what was reported without waiting, for a stream that is dropped."""
        if self._ended or self._advancing:
            return
        self._ended = True
        with suppress(JangbuError):
            self._call.finish_later(self._reading.outcome(None, complete=False))

    def __del__(self) -> None:
        self.abandon()


class AsyncMeteredStream(Generic[Piece]):
    """An asynchronous iterator over a stream's pieces, settled as ``MeteredStream`` is."""

    def __init__(self, pieces: AsyncIterator[Piece], reading: StreamReading[Piece], call: StreamEnd) -> None:
        self._pieces = pieces
        self._reading = reading
        self._call = call
        self._ready: list[Piece] = []
        self._ended = False
        self._advancing = False
        call.report_by(lambda: reading.outcome(None, complete=False))
        _note(self)

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self

    async def __anext__(self) -> Piece:
        while not self._ready:
            if self._ended:
                raise StopAsyncIteration
            self._call.read_here()
            self._advancing = True
            try:
                await self._advance()
            finally:
                self._advancing = False
        return self._ready.pop(0)

    async def aclose(self) -> None:
        """Settle what was reported, if the stream did not end by itself.

        HTTP libraries close a response themselves when it is read to its end: that is no early end.
        """
        if self._ended or self._advancing or self._call.is_abandoned:
            return
        self._ended = True
        await self._call.finish_async(self._reading.outcome(None, complete=False))

    async def _advance(self) -> None:
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._ended = True
            await self._call.finish_async(self._reading.outcome(None, complete=True))
            self._ready = self._reading.rest()
        except BaseException as error:
            self._ended = True
            with suppress(JangbuError):
                await self._call.finish_async(self._reading.outcome(error, complete=False))
            raise
        else:
            self._ready = self._reading.read(piece)
            self._call.check_open()

    def abandon(self) -> None:
        """Settle what was reported without waiting, for a stream that is dropped."""
        if self._ended or self._advancing:
            return
        self._ended = True
        with suppress(JangbuError):
            self._call.finish_later(self._reading.outcome(None, complete=False))

    def __del__(self) -> None:
        self.abandon()


def _note(stream: "MeteredStream[Any] | AsyncMeteredStream[Any]") -> None:
    opened = opened_streams.get()
    if opened is not None:
        opened.append(stream)
