"""An answer on its way from the provider to the client, metered as it passes.

A slow client slows the reading down, so nothing piles up.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jangbu.domain.flow import Answered, Lost, Outcome, Rejected
from jangbu.domain.usage import Source
from jangbu.gateway.client import Client
from jangbu.gateway.drains import Reading
from jangbu.gateway.holding import HoldBack
from jangbu.gateway.upstream import UpstreamAnswer, UpstreamFailure
from jangbu.providers.gemini import StreamMeter

__all__ = ["Relay", "Relayed"]

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Relayed:
    """How an answer ended: what it means for the call, the bytes that still wait for the record, and what broke.

    ``answer_id`` is how the answer named itself, also where it broke off before it reported anything; ``continuations``
    are the tokens that it showed, with which its decode can be gone on with.
    """

    outcome: Outcome
    rest: bytes
    failure: UpstreamFailure | None = None
    answer_id: str | None = None
    continuations: tuple[str, ...] = ()


class Relay:
    """Passes one answer on, for as long as its ``reading`` lasts, and ``seconds`` at most.

    ``shape`` may change the bytes for the client; the meter sees them as they came.
    """

    def __init__(
        self,
        answer: UpstreamAnswer,
        meter: StreamMeter,
        holding: HoldBack,
        reading: Reading,
        *,
        seconds: int,
        shape: Callable[[bytes], bytes] = lambda piece: piece,
    ) -> None:
        self._answer = answer
        self._meter = meter
        self._holding = holding
        self._reading = reading
        self._seconds = seconds
        self._shape = shape

    async def run(self, client: Client, headers: Headers, *, at_once: bool) -> Relayed:
        """Read the answer to its end, passing on what may pass. ``at_once`` sends the head before the first byte."""
        try:
            async with self._reading.step(self._seconds):
                if at_once:
                    await client.begin(self._answer.status, headers)
                await self._pass_on(client, headers)
        except TimeoutError:
            return self._broken(UpstreamFailure("the answer took too long", may_have_left=True))
        except UpstreamFailure as failure:
            return self._broken(failure)
        except asyncio.CancelledError:
            # The gateway stops. What was reported until now is still recorded, and then this task ends anyway.
            return self._broken(UpstreamFailure("the gateway stops", may_have_left=True))
        finally:
            # Nobody else reads it, whatever broke this off: what was not read would hold its connection.
            self._answer.close()
            await self._reading.end()
        return self._ended(self._judge(complete=True), self._holding.rest())

    _answer_id: str | None = None

    async def _pass_on(self, client: Client, headers: Headers) -> None:
        async for piece in self._answer.chunks():
            self._meter.feed(piece)
            passed = self._passing(self._answer.redaction.passed(piece))
            # A piece that waits for a slow client is kept once, and no longer than until it is written.
            del piece
            await self._write(client, headers, passed)
        await self._write(client, headers, self._passing(self._answer.redaction.rest()))

    def _passing(self, piece: bytes) -> deque[bytes]:
        return deque(self._holding.push(self._shape(piece)) if piece else ())

    async def _write(self, client: Client, headers: Headers, passed: deque[bytes]) -> None:
        while passed:
            if not client.has_begun:
                await client.begin(self._answer.status, headers)
            await client.write(passed.popleft())

    def _broken(self, failure: UpstreamFailure) -> Relayed:
        self._answer.close()
        return self._ended(self._judge(complete=False), b"", failure)

    def _ended(self, outcome: Outcome, rest: bytes, failure: UpstreamFailure | None = None) -> Relayed:
        return Relayed(outcome, rest, failure, self._answer_id, self._meter.continuations)

    def _judge(self, *, complete: bool) -> Outcome:
        usage = self._meter.finish(complete)
        self._answer_id = usage.response_id
        if usage.source is not Source.NONE:
            return Answered(usage)
        if self._meter.error_seen:
            return Rejected("the provider answered an error in the stream")
        if not complete or self._meter.broke_off:
            return Lost("the answer broke off before anything was reported")
        if self._meter.is_unreadable:
            return Lost("the answer cannot be read")
        return Answered(usage)
