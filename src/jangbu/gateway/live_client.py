"""The client's side of a Live session: an ASGI WebSocket, of which one message is taken at a time."""

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any

from jangbu.gateway.bodies import Receive
from jangbu.gateway.client import Send
from jangbu.gateway.live_closing import Closing
from jangbu.gateway.refusals import Refusal

__all__ = ["LiveClient"]

_REFUSAL_EXTENSION = "websocket.http.response"


class LiveClient:
    """One client. Once it is gone, what is written for it goes nowhere.

    ``seconds`` is how long it may take no bytes. The server reads no further message before the last one was taken, so
    nothing piles up.
    """

    def __init__(self, receive: Receive, send: Send, *, seconds: int) -> None:
        self._receive = receive
        self._send = send
        self._seconds = seconds
        self._writing = asyncio.Lock()
        self.gone = asyncio.Event()

    @property
    def is_gone(self) -> bool:
        """Whether the client has left, was closed, or takes nothing any more."""
        return self.gone.is_set()

    async def accept(self) -> None:
        """Upgrade the connection."""
        if (await self._receive())["type"] != "websocket.connect":
            self.gone.set()
        await self._pass({"type": "websocket.accept"})

    async def refuse(self, refusal: Refusal, extensions: Mapping[str, Any]) -> None:
        """Answer the upgrade with an error, as HTTP; a server that cannot say why answers 403."""
        if _REFUSAL_EXTENSION not in extensions:
            await self._pass({"type": "websocket.close", "code": 1008})
            return
        headers = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
        headers.append((b"content-type", b"application/json; charset=UTF-8"))
        await self._pass({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
        await self._pass({"type": "websocket.http.response.body", "body": refusal.body})

    async def next(self) -> str | bytes | None:
        """Give the next message as it came, text or bytes; None once the client is gone."""
        while not self.is_gone:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                self.gone.set()
            elif event["type"] == "websocket.receive":
                text: str | None = event.get("text")
                content: bytes | None = event.get("bytes")
                return text if text is not None else content or b""
        return None

    async def send(self, message: str | bytes) -> None:
        """Send a message; waits while the client is slow, and gives it up when it takes nothing."""
        kind = "text" if isinstance(message, str) else "bytes"
        await self._pass({"type": "websocket.send", kind: message})

    async def close(self, closing: Closing) -> None:
        """End the session towards the client."""
        await self._pass({"type": "websocket.close", "code": closing.code, "reason": closing.reason})
        self.gone.set()

    async def _pass(self, message: MutableMapping[str, Any]) -> None:
        # One at a time: a message that waits for a slow client may not come after the end.
        async with self._writing:
            if self.is_gone:
                return
            try:
                async with asyncio.timeout(self._seconds):
                    await self._send(message)
            except (TimeoutError, OSError):
                self.gone.set()
            if message["type"] == "websocket.close":
                self.gone.set()
