"""A Live session: two sockets and what is said between them, message by message and byte for byte.

The provider's side is read by the session itself and the client's by a task beside it. So the reading outlives the
client: while the provider has a turn to report it goes on, for a bounded time, and the turn is recorded.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from contextlib import suppress

import aiohttp

from jangbu import telemetry
from jangbu.errors import InvalidInput, JangbuError, TooLarge
from jangbu.gateway.bodies import json_object
from jangbu.gateway.client import ended
from jangbu.gateway.exchange import Parts
from jangbu.gateway.live_client import LiveClient
from jangbu.gateway.live_closing import GOING_AWAY, HIDDEN, INTERNAL_ERROR, Closing, closing, hidden, passed_on
from jangbu.gateway.live_turns import Turns
from jangbu.gateway.upstream_sockets import Opened, say
from jangbu.providers.gemini.live_messages import ClientMessage, ServerMessage

__all__ = ["LiveSession", "first_message"]

_SAID = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)


async def first_message(client: LiveClient, parts: Parts) -> str | bytes | None:
    """Wait for the message that sets a session up; None where the client leaves. Raises InvalidInput, TooLarge."""
    try:
        async with asyncio.timeout(parts.limits.client_seconds):
            message = await client.next()
    except TimeoutError:
        raise InvalidInput(f"no setup came for {parts.limits.client_seconds} s") from None
    if message is not None:
        read(message, parts.limits.live_message_bytes)
    return message


def read(message: str | bytes, most: int) -> bytes:
    """Give a message as bytes. Raises TooLarge."""
    raw = message.encode() if isinstance(message, str) else message
    if len(raw) > most:
        raise TooLarge(f"a message is larger than {most:,} bytes")
    return raw


class LiveSession:
    """One session between its setup, which was sent, and its end."""

    def __init__(self, client: LiveClient, opened: Opened, turns: Turns, parts: Parts, user: str) -> None:
        self._client = client
        self._opened = opened
        self._socket = opened.socket
        self._heard = opened.heard
        self._turns = turns
        self._limits = parts.limits
        self._drains = parts.drains
        self._user = user
        self._upstream = parts.upstream
        self._secrets = parts.upstream.keys.secrets
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time() + parts.limits.live_seconds
        self._until = self._last
        self._waiting: asyncio.Timeout | None = None
        self._has_left = False
        self._drained = False

    async def run(self) -> None:
        """Pass messages both ways until either side ends the session."""
        hearing = asyncio.create_task(self._hear())
        try:
            await self._listen()
        finally:
            # First the turns, which waits for a hold that is being taken; whoever hears may be ended after that.
            try:
                await self._turns.end()
            finally:
                await ended(hearing)
                if self._drained:
                    self._drains.done(self._user)
                await self._socket.close()

    async def dismiss(self, end: Closing) -> None:
        """End the session towards the client; a turn that is open is still read to its report."""
        await self._client.close(end)
        self._left()

    async def _hear(self) -> None:
        """Pass the client's messages on, each after it was held for."""
        try:
            while (message := await self._client.next()) is not None:
                self._stir()
                raw = read(message, self._limits.live_message_bytes)
                heard = ClientMessage.read(json_object(raw))
                if not await self._turns.heard(heard) or self._client.is_gone:
                    break
                await say(self._socket, message)
        except JangbuError as error:
            telemetry.emit("gateway.refused", code=error.code)
            await self._client.close(closing(error))
        finally:
            self._left()

    async def _listen(self) -> None:
        """Pass the provider's messages on, each after what it reports is recorded."""
        while (message := await self._next()) is not None:
            if message.type not in _SAID:
                await self._client.close(self._ending(message))
                return
            self._stir()
            data: str | bytes = message.data
            said = ServerMessage.read(data.encode() if isinstance(data, str) else data)
            if said.is_error:
                data = _without(self._secrets, data)
            await self._affording(self._turns.said(said))
            await self._client.send(data)
            await self._affording(self._turns.hold_ahead())
            if self._client.is_gone:
                self._left()
                if not self._turns.is_owed:
                    return

    async def _affording(self, held: Awaitable[None]) -> None:
        """Wait for what may take a hold, and end the session towards a client who cannot pay for what follows."""
        try:
            await held
        except JangbuError as error:
            telemetry.emit("gateway.refused", code=error.code)
            await self.dismiss(closing(error))

    async def _next(self) -> aiohttp.WSMessage | None:
        """Give the provider's next message, or None once there is no time left for it."""
        if (heard := self._heard) is not None:
            self._heard = None
            return heard
        while True:
            try:
                async with asyncio.timeout_at(self._until) as self._waiting:
                    return await self._socket.receive()
            except TimeoutError:
                if self._client.is_gone:
                    return None
                is_last = self._loop.time() >= self._last
                said = "lasted as long as it may" if is_last else "was silent too long"
                await self.dismiss(Closing(GOING_AWAY, f"the session {said}"))
            finally:
                self._waiting = None

    def _ending(self, message: aiohttp.WSMessage) -> Closing:
        """Word the provider's end of a session for the client. Why it refuses the key only the operator is told."""
        if message.type is not aiohttp.WSMsgType.CLOSE:
            return Closing(INTERNAL_ERROR, "UPSTREAM_UNREACHABLE: Gemini broke the session off")
        said = message.extra or ""
        refused = self._upstream.refused_amid(self._opened, said)
        if refused is None:
            return passed_on(message.data, said, self._secrets)
        telemetry.emit("gateway.refused", code=refused.code)
        return closing(refused)

    def _stir(self) -> None:
        """Note that somebody said something."""
        if not self._has_left:
            self._wait_until(min(self._last, self._loop.time() + self._limits.live_idle_seconds))

    def _left(self) -> None:
        """Give a session without a client the time in which an open turn may be reported, and one without any none."""
        if self._has_left:
            return
        self._has_left = True
        seconds = 0
        if self._turns.is_owed:
            self._drained = self._drains.admit(self._user)
            seconds = self._drains.seconds if self._drained else 0
            if not self._drained:
                telemetry.warn("gateway.drain_refused", "a session is not read on: too many clients left")
        self._wait_until(self._loop.time() + seconds)

    def _wait_until(self, moment: float) -> None:
        self._until = moment
        if self._waiting is not None:
            # It may have run out already, and is about to say so.
            with suppress(RuntimeError):
                self._waiting.reschedule(moment)


def _without(secrets: Iterable[str], data: str | bytes) -> str | bytes:
    """Hide the keys of the gateway in an error of the provider, which may name the one that was used."""
    if isinstance(data, str):
        return hidden(data, secrets)
    for secret in secrets:
        data = data.replace(secret.encode(), HIDDEN.encode())
    return data
