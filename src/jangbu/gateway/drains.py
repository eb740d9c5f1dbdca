"""Answers that are waited for and read on although their client left: for a bounded time, and so many at once.

The reading belongs to the call and not to the client: a client that leaves ends nothing, what it called for is read on
to the usage at its end. That holds from when the call is made, for an answer may be thought about for minutes before
its first byte.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Self, TypeVar

from jangbu import telemetry
from jangbu.gateway.bodies import Receive
from jangbu.gateway.client import Client
from jangbu.gateway.shares import SHARE, Shares
from jangbu.gateway.upstream_answer import UpstreamAnswer, UpstreamFailure

__all__ = ["Drains", "Reading"]

Result = TypeVar("Result")


class Drains:
    """How many answers are read on for nobody, and for how long each may be. The fourth part may be one user's."""

    def __init__(self, most: int, seconds: int) -> None:
        self._shares = Shares(most, max(most // SHARE, 1))
        self.seconds = seconds

    @property
    def under_way(self) -> int:
        """How many are read on now."""
        return self._shares.in_use

    def admit(self, user: str) -> bool:
        """Take one more, if there is room."""
        if not self._shares.take(user):
            return False
        telemetry.emit("gateway.drains", under_way=self.under_way)
        return True

    def done(self, user: str) -> None:
        """Note that one has ended."""
        self._shares.give_back(user)
        telemetry.emit("gateway.drains", under_way=self.under_way)


class Reading:
    """The wait for one answer and the reading of it, from when the context is entered to ``end`` or to its exit.

    While the client is there, each step has its own time. From when it leaves, all that is still to come has that of
    the ``drains`` together; where too many are read on, or without drains, none.
    """

    def __init__(self, client: Client, receive: Receive, drains: Drains | None, user: str) -> None:
        self._client = client
        self._receive = receive
        self._drains = drains
        self._user = user
        self._admitted: Drains | None = None
        self._until: float | None = None
        self._step: asyncio.Timeout | None = None
        self._has_ended = False

    async def __aenter__(self) -> Self:
        self._watch = self._client.watch(self._receive, self._left)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.end()

    async def begun(self, sending: Awaitable[UpstreamAnswer]) -> UpstreamAnswer:
        """Send a call, and wait for its answer to begin. Raises what that raises, and UpstreamFailure where nobody
        waits for it any longer; whoever sends it knows whether it had left.
        """
        return await self._waited_for(sending)

    async def whole(self, answer: UpstreamAnswer, most: int) -> bytes:
        """Read a small body whole. Raises UpstreamFailure, also where nobody waits for it any longer."""
        return await self._waited_for(answer.read(most))

    def step(self, seconds: float | None = None) -> asyncio.Timeout:
        """Bound what comes next by its own time, where it has one, and by what is left without a client."""
        when = self._until
        if seconds is not None:
            own = asyncio.get_running_loop().time() + seconds
            when = own if when is None else min(own, when)
        self._step = step = asyncio.timeout_at(when)
        return step

    async def end(self) -> None:
        """End the reading; to end it again does nothing. A client that leaves from now on leaves nothing to be read."""
        if self._has_ended:
            return
        self._has_ended = True
        if self._admitted is not None:
            self._admitted.done(self._user)
        await self._watch.end()

    async def _waited_for(self, what: Awaitable[Result]) -> Result:
        try:
            async with self.step() as step:
                return await what
        except TimeoutError as error:
            if not step.expired():
                raise
            reason = "the client left, and the answer was waited for no longer"
            raise UpstreamFailure(reason, may_have_left=True) from error

    def _left(self) -> None:
        if self._has_ended:
            return
        seconds = 0
        if self._drains is not None and self._drains.admit(self._user):
            self._admitted = self._drains
            seconds = self._drains.seconds
        elif self._drains is not None:
            telemetry.warn("gateway.drain_refused", "an answer is not read on: too many clients left")
        step, self._until = self._step, asyncio.get_running_loop().time() + seconds
        if step is not None and ((when := step.when()) is None or when > self._until):
            # It may be over, or have run out already and be about to say so.
            with suppress(RuntimeError):
                step.reschedule(self._until)
