"""The turns of a Live session. Each turn of the model is a call of its own: held for, settled, recorded.

A turn is what the provider reports at once: a translation, which never ends, is reported piece by piece. A hold is
taken when the client says something and none is open, and settled when the provider reports the turn, before the client
sees the report. Live takes no output limit in mid-session, so a turn may outgrow its hold: what is heard in it is held
for as it grows, what the model says beyond its limit is an overrun.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from jangbu import telemetry
from jangbu.clock import new_id
from jangbu.domain.flow import Answered, Bounds, Call, Lost, Outcome, Receipt, Rejected, ShortBalance
from jangbu.domain.keys import Key
from jangbu.domain.usage import Source, Surface, Usage
from jangbu.errors import NotPermitted
from jangbu.gateway.calls import MeteredCall
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.live_turn import Turn
from jangbu.gateway.metered import check_model, check_references, service_for
from jangbu.gateway.resumption import context_of, keep
from jangbu.providers.gemini import StreamMeter
from jangbu.providers.gemini.fields import fields
from jangbu.providers.gemini.live_messages import TURN_ALLOWANCE, ClientMessage, ServerMessage, Setup

__all__ = ["Turns"]

RENEWED_AFTER_SECONDS = 300
RENEWED_FOR_SECONDS = 900
"""A turn that goes on and on (somebody talks) keeps its holds open: their time was meant for a call that died."""


class Turns:
    """Meters one session. ``key`` gives the caller's key as it is now: a session outlives a revocation otherwise."""

    def __init__(self, exchange: Exchange, setup: Setup, key: Callable[[], Awaitable[Key]]) -> None:
        self._exchange = exchange
        self._setup = setup
        self._bounds = setup.bounds
        self._key = key
        self._limits = exchange.parts.ledger.keys.limits
        self._model = setup.model
        self._service = service_for(exchange, setup.body, setup.model)
        self._session = new_id(exchange.parts.clock)
        self._metadata = {**exchange.payer.metadata, "session": str(self._session)}
        self._context_tokens = 0
        self._lock = asyncio.Lock()
        self._has_ended = False
        self._turn = self._new_turn()

    @property
    def is_owed(self) -> bool:
        """Whether the provider has still to report what the model was asked for or gave."""
        return self._turn.is_asked or self._turn.is_answering

    async def begin(self) -> None:
        """Hold for the first turn. Raises InsufficientBalance, and what refuses the model or what the setup names."""
        await self._check(self._setup.body)
        if self._setup.resumes is not None:
            self._context_tokens = await context_of(self._exchange, self._setup.resumes)
        async with self._lock:
            await self._open(self._setup.bounds.input_most or 0)

    async def heard(self, message: ClientMessage) -> bool:
        """Take a message of the client before it is sent on; tell whether it may be, or the session has ended.

        Raises InsufficientBalance, and what refuses what the message names.
        """
        await self._check(message.body)
        async with self._lock:
            if self._has_ended:
                return False
            fed_back = self._learn(message.fed_back_most(self._model))
            if self._turn.calls:
                await self._grow(message.input_most, fed_back)
            else:
                await self._open(message.input_most)
            # Who asks while the model speaks is answered by the turn after this one.
            self._turn.is_asked_again |= self._turn.is_answering and message.asks
            self._turn.is_asked |= message.asks
            return True

    async def said(self, message: ServerMessage) -> None:
        """Take a message of the provider before the client sees it; one that reports usage is recorded, durably.

        Raises InsufficientBalance where the model speaks unasked and that cannot be paid for.
        """
        async with self._lock:
            if self._turn.is_over and message.begins:
                await self._finish(Lost("the turn ended and its usage was not reported"))
            self._turn.meter.feed_object(message.body)
            self._turn.follow(message)
            if self._turn.meter.usage_seen:
                await self._settle(self._turn.meter.finish(complete=True))
            elif message.begins:
                await self._open_once()
            if message.resumable is not None:
                await self._keep(message.resumable)

    async def hold_ahead(self) -> None:
        """Hold for the turn that was asked for during the one before, if it is not held for yet.

        Raises InsufficientBalance.
        """
        async with self._lock:
            if self._turn.is_asked:
                await self._open_once()

    async def end(self) -> None:
        """Give the open hold back, or keep it where the model was asked for something that it never reported.

        Speech that no turn of the model followed is in no report of the provider, so nothing is kept for it.
        """
        async with self._lock:
            self._has_ended = True
            if self.is_owed:
                await self._finish(Lost("the session ended before the turn was reported"))
            else:
                await self._finish(Rejected("the session ended before the model answered"))

    async def _check(self, message: Mapping[str, Any]) -> None:
        found = fields(message)
        check_model(self._exchange, found, model=self._model)
        await check_references(self._exchange, found)

    def _new_turn(self, *, is_asked: bool = False) -> Turn:
        meter = StreamMeter(Surface.LIVE, platform=self._exchange.route.platform, model=self._model)
        return Turn(meter, is_asked)

    async def _keep(self, name: str) -> None:
        """Write down that the session can be resumed from here."""
        await keep(self._exchange, name, max(self._context_tokens, self._turn.tokens_most))

    async def _open_once(self) -> None:
        """Hold for a turn that the client says nothing more for. What was refused once goes on without a hold."""
        if self._turn.calls or self._turn.is_refused:
            return
        self._turn.is_refused = True
        await self._open(0)
        self._turn.is_refused = False

    async def _open(self, most: int) -> None:
        """Hold for one turn: the context so far, what was said now and may still be, and the model's output."""
        key = await self._key()
        if not (key.allows_scope(self._exchange.route.scope) and key.allows_model(self._model)):
            raise NotPermitted(f"this key may not call {self._model} any more")
        bounds = replace(self._bounds, input_most=self._context_tokens + most + TURN_ALLOWANCE)
        admission = await self._limits.admit(key) if key.has_limits else None
        try:
            room = await self._hold(bounds)
        except BaseException:
            if admission is not None:
                await admission.end()
            raise
        self._turn.admission = admission
        self._turn.room = TURN_ALLOWANCE + room
        self._turn.renewed_at = asyncio.get_running_loop().time()

    def _learn(self, most: int) -> int:
        """Take in what may be fed back from now on; give how much more that is."""
        # It never becomes less: what was asked before tools were taken away may be answered with them.
        more = max(most - self._bounds.fed_back_most, 0)
        self._bounds = replace(self._bounds, fed_back_most=self._bounds.fed_back_most + more)
        return more

    async def _grow(self, most: int, fed_back: int) -> None:
        """Hold more where a turn hears more than was held for, and for what may be fed back in it beyond that."""
        if fed_back:
            self._turn.room += await self._hold(Bounds(0, 0, output_chosen=True, fed_back_most=fed_back))
        self._turn.room -= most
        if self._turn.room < 0:
            await self._hold(Bounds(TURN_ALLOWANCE - self._turn.room, 0, output_chosen=True))
            self._turn.room = TURN_ALLOWANCE
        now = asyncio.get_running_loop().time()
        if now > self._turn.renewed_at + RENEWED_AFTER_SECONDS:
            self._turn.renewed_at = now
            for call in self._turn.calls:
                holds = self._exchange.parts.ledger.holds
                await holds.extend(self._exchange.account, call.call.id, RENEWED_FOR_SECONDS)

    async def _hold(self, bounds: Bounds) -> int:
        """Hold for what the turn hears and says; give what is held beyond that for tools, which may be heard, too."""
        parts = self._exchange.parts
        call = MeteredCall(
            parts.ledger,
            Call(
                id=new_id(parts.clock),
                user=self._exchange.payer.user,
                service=self._service,
                model=self._model,
                bounds=bounds,
                short_balance=ShortBalance.REFUSE,
                metadata=self._metadata,
            ),
        )
        limit = await call.begin(_uncounted)
        self._turn.calls.append(call)
        return call.held_tokens - (bounds.input_most or 0) - (bounds.output_most if limit is None else limit)

    async def _settle(self, usage: Usage) -> None:
        """Record a turn. One that nothing is held for (it was refused, and went on all the same) is recorded too."""
        turn = self._turn
        self._turn = self._new_turn(is_asked=turn.is_asked_again)
        if usage.source is not Source.NONE:
            self._context_tokens = usage.total_tokens
        try:
            if turn.calls:
                receipt = await turn.calls[0].finish(Answered(usage))
            else:
                receipt = await self._record(usage)
            if receipt is not None:  # Else somebody settled it meanwhile by other evidence: that record stands.
                await self._spend(turn, receipt.charged_tokens)
        finally:
            for call in turn.calls[1:]:
                await call.finish(Rejected("the turn was settled as one"))
            await turn.leave()

    async def _record(self, usage: Usage) -> Receipt:
        exchange = self._exchange
        return await exchange.parts.ledger.record(
            exchange.payer.user,
            self._service,
            usage,
            model=self._model,
            call_key=f"live:{new_id(exchange.parts.clock)}",
            metadata=self._metadata,
        )

    async def _spend(self, turn: Turn, tokens: int) -> None:
        """Count tokens against the limits of the key, also of a turn that they did not let in."""
        key = self._exchange.payer.key
        if turn.admission is not None:
            turn.admission.spend(tokens)
        elif key.tokens_per_minute is not None:
            await self._limits.spend(key.id, tokens)

    async def _finish(self, outcome: Outcome) -> None:
        """End a turn that was not reported."""
        turn, calls = self._turn, self._turn.calls
        if not calls and isinstance(outcome, Lost):
            telemetry.warn("gateway.live_unreported", "a turn without a hold was not reported", reason=outcome.reason)
        self._turn = self._new_turn(is_asked=turn.is_asked_again)
        try:
            for call in calls:
                await call.finish(outcome)
        finally:
            await turn.leave()


async def _uncounted() -> None:
    """Live has no countTokens."""
