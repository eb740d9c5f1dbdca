"""The way to the provider: one pool of connections, one origin that only the settings name, no redirects.

aiohttp, because its CPU cost for a relayed call is a fraction of httpx's. The caller's credentials never come here;
the provider's are put in here and nowhere else.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from jangbu import telemetry
from jangbu.errors import InvalidSettings, NotOffered, UpstreamUnreachable
from jangbu.gateway.upstream_keys import UpstreamKey, UpstreamKeys

__all__ = ["Outgoing", "Upstream", "UpstreamAnswer", "UpstreamFailure"]

CONNECT_SECONDS = 10
KEEPALIVE_SECONDS = 30
"""Shorter than the provider keeps a connection open: a request on a dead one could not be told from a lost one."""
ERROR_BYTES_MAX = 1_000_000
TOO_MANY_REQUESTS = 429

Headers = Iterable[tuple[bytes, bytes]]


class UpstreamFailure(UpstreamUnreachable):
    """The provider was not reached, or broke off. ``may_have_left`` tells whether the call may have been made."""

    def __init__(self, message: str, *, may_have_left: bool) -> None:
        super().__init__(message, hint="try again")
        self.may_have_left = may_have_left


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to the provider: the rebuilt path and query, and the headers that may pass."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes | AsyncIterator[bytes] | None = field(default=None, repr=False)


class UpstreamAnswer:
    """An answer of the provider, its body not read yet. Close it, or read it to its end."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status: int = response.status
        self.headers: tuple[tuple[bytes, bytes], ...] = response.raw_headers

    def header(self, name: str) -> str | None:
        """Give a header's value, or None."""
        value: str | None = self._response.headers.get(name)
        return value

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body as it comes. Raises UpstreamFailure where it breaks off."""
        content, waited = self._response.content, 0.0
        try:
            while True:
                began = time.monotonic()
                chunk = await content.readany()
                waited += time.monotonic() - began
                if not chunk:
                    return
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            telemetry.emit("upstream.failed", reason="broken_off")
            raise UpstreamFailure(f"the answer broke off: {type(error).__name__}", may_have_left=True) from error
        finally:
            telemetry.emit("upstream.waited", seconds=waited)

    async def read(self, most: int) -> bytes:
        """Read a small body whole. Raises UpstreamFailure where it breaks off or is larger than ``most`` bytes."""
        pieces, size = [], 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > most:
                self.close()
                raise UpstreamFailure(f"the answer is larger than {most:,} bytes", may_have_left=True)
            pieces.append(chunk)
        return b"".join(pieces)

    def close(self) -> None:
        """Drop what was not read, with its connection."""
        self._response.close()


class Upstream:
    """Calls the provider. Belongs to one event loop."""

    def __init__(self, url: str, keys: UpstreamKeys, *, idle_seconds: int) -> None:
        origin = urlsplit(url)
        if origin.scheme not in ("http", "https") or not origin.hostname or origin.query or origin.fragment:
            raise InvalidSettings(f"upstream_url {url[:100]!r} is no address", hint="write https://host")
        self.origin = url.rstrip("/")
        self.keys = keys
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=idle_seconds),
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )

    async def send(self, outgoing: Outgoing) -> UpstreamAnswer:
        """Make a call with the key whose turn it is; one that answers 429 rests, and the next one is tried.

        Raises UpstreamFailure, or NotOffered where the gateway has no key.
        """
        keys = self.keys.in_order()
        if not keys:
            raise NotOffered("the gateway has no key for Gemini", hint="set GEMINI_API_KEY where it runs")
        can_repeat = not isinstance(outgoing.body, AsyncIterator)
        for key in keys[:-1] if can_repeat else ():
            answer = await self._attempt(outgoing, key)
            if answer.status != TOO_MANY_REQUESTS:
                return answer
            self.keys.rest(key, _seconds(answer.header("retry-after")))
            answer.close()
        return await self._attempt(outgoing, keys[-1] if can_repeat else keys[0])

    async def is_reachable(self, seconds: int) -> bool:
        """Tell whether the provider's address takes connections."""
        origin = urlsplit(self.origin)
        port = origin.port or (443 if origin.scheme == "https" else 80)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(seconds):
                _, writer = await asyncio.open_connection(origin.hostname, port)
                writer.close()
                return True
        return False

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def _attempt(self, outgoing: Outgoing, key: UpstreamKey) -> UpstreamAnswer:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in outgoing.headers]
        headers += [("x-goog-api-key", key.secret), ("accept-encoding", "identity")]
        url = outgoing.target if "://" in outgoing.target else self.origin + outgoing.target
        began = time.monotonic()
        try:
            response = await self._session.request(
                outgoing.method,
                URL(url, encoded=True),
                headers=headers,
                data=outgoing.body,
                allow_redirects=False,
            )
        except aiohttp.ClientConnectorError as error:
            telemetry.emit("upstream.failed", reason="unreachable")
            raise UpstreamFailure(f"Gemini cannot be reached: {type(error).__name__}", may_have_left=False) from error
        except aiohttp.ConnectionTimeoutError as error:
            telemetry.emit("upstream.failed", reason="unreachable")
            raise UpstreamFailure("Gemini cannot be reached in time", may_have_left=False) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            telemetry.emit("upstream.failed", reason="unanswered")
            raise UpstreamFailure(f"Gemini did not answer: {type(error).__name__}", may_have_left=True) from error
        finally:
            telemetry.emit("upstream.waited", seconds=time.monotonic() - began)
        telemetry.emit("upstream.answered", status=response.status)
        return UpstreamAnswer(response)


def _seconds(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def header_map(headers: Headers) -> Mapping[bytes, bytes]:
    """Give headers by name, in lower case; of one that comes more than once, the last."""
    return {name.lower(): value for name, value in headers}


def json_headers() -> tuple[tuple[bytes, bytes], ...]:
    """Give the headers of a request of the gateway's own."""
    return ((b"content-type", b"application/json"), (b"accept", b"application/json"))
