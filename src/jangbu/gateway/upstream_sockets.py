"""WebSockets to the provider: the upgrade, and the first words on each, which tell whether a session has begun.

The provider may refuse what a session is opened with by its answer to the upgrade, or upgrade it and close it at once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
from yarl import URL

from jangbu import telemetry
from jangbu.gateway.upstream_answer import REFUSAL_BYTES_MAX, REFUSING, UpstreamFailure
from jangbu.gateway.upstream_keys import UpstreamKey
from jangbu.providers.gemini.key_errors import closing_refusal, key_refusal

__all__ = ["NotOpened", "Opened", "Sockets", "say"]

CLOSE_SECONDS = 5
"""How long the provider may take to answer the close frame of a session, or to say what an error is."""
FIRST_SECONDS = 5
"""How long a session waits to hear that it has begun. One that did not hear it by then goes on all the same."""
SWITCHING_PROTOCOLS = 101

Socket = aiohttp.ClientWebSocketResponse


@dataclass(frozen=True, slots=True)
class Opened:
    """A session: its socket, what the provider said first, where it did in time, and the key that it was opened with,
    None where that was done with other credentials.
    """

    socket: Socket
    heard: aiohttp.WSMessage | None
    key: UpstreamKey | None = None


class NotOpened(Exception):
    """The provider did not begin a session: its status, when to try again as it says it, and why it refuses what the
    session was opened with, where it does. Its own words may tell the key.
    """

    def __init__(self, status: int, *, retry_after: str | None = None, refusal: str | None = None) -> None:
        super().__init__(f"the status {status}")
        self.status = status
        self.retry_after = retry_after
        self.refusal = refusal


class Sockets:
    """Opens WebSockets. Belongs to one event loop."""

    def __init__(self, *, connect_seconds: int, idle_seconds: int) -> None:
        # An upgrade would follow redirects unless something stops it.
        self._http = aiohttp.ClientSession(
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds, sock_read=idle_seconds),
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
            middlewares=(_only_upgraded,),
        )

    async def open(
        self,
        url: str,
        headers: Iterable[tuple[bytes, bytes]],
        credentials: Sequence[tuple[str, str]],
        first: str | bytes,
        *,
        message_bytes: int,
    ) -> Opened:
        """Open a session at a whole address, and say the ``first`` message. Raises NotOpened or UpstreamFailure."""
        socket = await self._upgraded(url, headers, credentials, message_bytes)
        try:
            return await _begun(socket, first)
        except BaseException:
            await socket.close()
            raise

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _upgraded(
        self,
        url: str,
        headers: Iterable[tuple[bytes, bytes]],
        credentials: Sequence[tuple[str, str]],
        message_bytes: int,
    ) -> Socket:
        given = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        try:
            return await self._http.ws_connect(
                URL(url, encoded=True),
                headers=[*given, *credentials],
                max_msg_size=message_bytes,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )
        except aiohttp.ClientResponseError as error:
            raise NotOpened(error.status) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            telemetry.emit("upstream.failed", reason="unreachable")
            raise UpstreamFailure(f"Gemini cannot be reached: {type(error).__name__}", may_have_left=False) from error


async def say(socket: Socket, message: str | bytes) -> None:
    """Send a message as it came, text or bytes; waits while the provider is slow. Raises UpstreamFailure."""
    try:
        if isinstance(message, str):
            await socket.send_str(message)
        else:
            await socket.send_bytes(message)
    except (aiohttp.ClientError, OSError) as error:
        raise UpstreamFailure("Gemini broke the session off", may_have_left=True) from error


async def _begun(socket: Socket, first: str | bytes) -> Opened:
    """Say the first message of a session, and hear what is said to it."""
    broken = heard = None
    try:
        await say(socket, first)
    except UpstreamFailure as failure:
        # It may have said before why.
        broken = failure
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_SECONDS):
            heard = await socket.receive()
    if heard is not None and heard.type is aiohttp.WSMsgType.CLOSE:
        refusal = closing_refusal(heard.extra or "")
        if refusal is not None:
            raise NotOpened(SWITCHING_PROTOCOLS, refusal=refusal)
    if broken is not None:
        raise broken
    return Opened(socket, heard)


async def _only_upgraded(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Let an upgrade end with its first answer: a redirect would carry the key to wherever it points."""
    response = await handler(request)
    if response.status != SWITCHING_PROTOCOLS:
        try:
            refusal = await _refusal(response)
        finally:
            response.close()
        raise NotOpened(response.status, retry_after=response.headers.get("retry-after"), refusal=refusal)
    return response


async def _refusal(response: aiohttp.ClientResponse) -> str | None:
    if response.status not in REFUSING:
        return None
    said = b""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            while len(said) < REFUSAL_BYTES_MAX and (piece := await response.content.readany()):
                said += piece
    return key_refusal(said)
