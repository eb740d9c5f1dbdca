"""The seam of ``live``: the session's web socket. Each turn of the model is a call of its own.

A hold is taken when the app sends the first message of a turn, and settled when the usage message of that turn comes,
before the app sees it. Live takes no output limit in mid-session, so a hold that turns out too small is an overrun.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from jangbu.clock import new_id
from jangbu.domain.flow import Answered, Bounds, Lost, Rejected
from jangbu.domain.usage import Platform, Surface, Usage
from jangbu.providers.gemini import StreamMeter
from jangbu.providers.gemini.limits import output_limit
from jangbu.providers.gemini.live_messages import TURN_ALLOWANCE, ServerMessage
from jangbu.sdk import attribution
from jangbu.sdk.attribution import Attribution
from jangbu.sdk.drivers import CallInProgress
from jangbu.sdk.hook import Hook, metadata_of
from jangbu.sdk.open_calls import Caller
from jangbu.sdk.routes import Metered, Route

__all__ = ["instrument_live"]


def instrument_live(live: Any, hook: Hook, platform: Platform) -> None:
    """Put the meter into the sessions of one client object."""
    live.connect = _metered_connect(live.connect, hook, platform)


def _metered_connect(
    connect: Callable[..., AbstractAsyncContextManager[Any]], hook: Hook, platform: Platform
) -> Callable[..., AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def connected(*, model: str, **options: Any) -> AsyncIterator[Any]:
        payer = attribution.required()
        route = Route(Surface.LIVE, Metered.NOW, model.rpartition("/")[2], platform)
        async with connect(model=model, **options) as session:
            socket = _MeteredSocket(session._ws, hook, route, payer)
            session._ws = socket
            try:
                yield session
            finally:
                await socket.end()

    return connected


class _MeteredSocket:
    """Stands where a session's web socket stood."""

    def __init__(self, socket: Any, hook: Hook, route: Route, payer: Attribution) -> None:
        self._socket = socket
        self._hook = hook
        self._route = route
        self._payer = payer
        self._opening = asyncio.Lock()
        self._call: CallInProgress | None = None
        self._meter = self._new_meter()
        self._context_tokens = 0
        self._is_answering = False

    async def send(self, message: Any, *arguments: Any, **options: Any) -> None:
        """Send a message, after taking a hold where it begins a turn. Raises InsufficientBalance."""
        async with self._opening:
            if self._call is None:
                self._call = await self._begin(len(message))
        await self._socket.send(message, *arguments, **options)

    async def recv(self, *arguments: Any, **options: Any) -> Any:
        """Receive a message; one that reports usage is recorded first."""
        if self._call is not None:
            self._call.caller = Caller.present()
        raw = await self._socket.recv(*arguments, **options)
        said = ServerMessage.read(raw.encode() if isinstance(raw, str) else raw)
        # Transcripts come in no order: one that comes while nothing is held for is of the turn before.
        self._is_answering |= said.begins or (self._call is not None and said.answers)
        self._meter.feed_object(said.body)
        if self._meter.usage_seen:
            await self._settle(self._meter.finish(complete=True))
        return raw

    async def end(self) -> None:
        """Give the open hold back, or keep it where the model had begun a turn that it never reported."""
        if (call := self._call) is None:
            return
        self._call = None
        if self._is_answering:
            await call.finish_after_error_async(Lost("the session ended before the turn was reported"))
        else:
            await call.finish_after_error_async(Rejected("the session ended before the model answered"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    async def _begin(self, message_bytes: int) -> CallInProgress:
        """Hold for one turn: the context so far and the message, which has no more tokens than bytes."""
        input_most = self._context_tokens + message_bytes + TURN_ALLOWANCE
        bounds = Bounds(input_most, output_limit(self._route.model), output_chosen=False)
        with attribution.scope(self._payer):
            call = self._hook.open(self._route, {}, bounds)
        await call.begin_async(_uncounted)
        call.sending()
        return call

    async def _settle(self, usage: Usage) -> None:
        call, self._call = self._call, None
        self._meter = self._new_meter()
        self._is_answering = False
        self._context_tokens = usage.total_tokens
        if call is not None:
            await call.finish_async(Answered(usage))
            return
        payer, model = self._payer, self._route.model
        assert payer.user is not None, "a session has a payer"
        await self._hook.background.wait_async(
            lambda metering: metering.record(
                payer.user or "",
                payer.service or "live",
                usage,
                model=model,
                call_key=f"live:{new_id(self._hook.clock)}",
                metadata=metadata_of(payer),
            )
        )

    def _new_meter(self) -> StreamMeter:
        return StreamMeter(Surface.LIVE, platform=self._route.platform, model=self._route.model)


async def _uncounted() -> None:
    """Live has no countTokens."""
