"""The way to the provider: one pool of connections, one origin that only the settings name, no redirects.

The caller's credentials never come here; the provider's are put in here and nowhere else.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import urlsplit

from jangbu import telemetry
from jangbu.errors import InvalidSettings, NotConfigured
from jangbu.gateway.http_client import HttpClient, HttpFailure, is_callable
from jangbu.gateway.upstream_answer import REDIRECT, REFUSING, KeyRefused, UpstreamAnswer, UpstreamFailure
from jangbu.gateway.upstream_keys import REST_SECONDS_MAX, UpstreamKey, UpstreamKeys
from jangbu.gateway.upstream_sockets import NotOpened, Opened, Sockets
from jangbu.providers.gemini.key_errors import closing_refusal

__all__ = ["REDIRECT", "Headers", "Outgoing", "Upstream", "UpstreamAnswer", "UpstreamFailure", "checked_origin"]

CONNECT_SECONDS = 10
KEEPALIVE_SECONDS = 30
"""Shorter than the provider keeps a connection open: a request on a dead one could not be told from a lost one."""
ERROR_BYTES_MAX = 1_000_000
STATUS_MOST = 599
TOO_MANY_REQUESTS = 429

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to the provider: the rebuilt path and query, or a whole address of a host that the provider or the
    settings named, and the headers that may pass.
    """

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes | AsyncIterator[bytes] | None = field(default=None, repr=False)
    leaving: Callable[[], None] = field(default=lambda: None, repr=False)
    """Is told when the request is handed to the HTTP client: what fails before that has not left."""
    refused: Callable[[], None] = field(default=lambda: None, repr=False)
    """Is told when it was answered with what refuses it or its key: what fails from then on came to nothing, unless it
    leaves again.
    """


class Upstream:
    """Calls the provider. Belongs to one event loop."""

    def __init__(self, url: str, keys: UpstreamKeys, *, idle_seconds: int, begin_seconds: int | None = None) -> None:
        self.origin = checked_origin(url, "upstream_url")
        self.keys = keys
        self._http = HttpClient(
            connect_seconds=CONNECT_SECONDS,
            idle_seconds=idle_seconds,
            keep_seconds=KEEPALIVE_SECONDS,
            begin_seconds=begin_seconds,
        )
        self._sockets = Sockets(connect_seconds=CONNECT_SECONDS, idle_seconds=idle_seconds)

    async def connect(
        self, target: str, headers: Headers, first: str | bytes, *, message_bytes: int, at_home: bool = False
    ) -> Opened:
        """Open a session by its ``first`` message, with the key whose turn it is; one that answers 429 or is refused
        rests, and the next one is tried.

        A session that may be resumed is opened with the home key alone. A message of the provider has at most
        ``message_bytes``. Raises UpstreamFailure, KeyRefused where all keys are refused, or NotConfigured where the
        gateway has none.
        """
        keys = self._keys_in_order(at_home=at_home)
        tired: NotOpened | None = None
        for key in keys:
            try:
                opened = await self._sockets.open(
                    self._address(target), headers, _opened_by(key), first, message_bytes=message_bytes
                )
                return replace(opened, key=key)
            except NotOpened as answer:
                if answer.status == TOO_MANY_REQUESTS:
                    self.keys.rest(key, _seconds(answer.retry_after))
                    tired = answer
                elif answer.refusal is not None:
                    self._refuse(key, answer.refusal, is_end=tired is None and key is keys[-1])
                else:
                    raise _session_refused(answer) from answer
        assert tired is not None, "where none was tired, the refusal of the last was raised"
        raise _session_refused(tired) from tired

    async def connect_with(
        self,
        url: str,
        headers: Headers,
        credentials: Sequence[tuple[str, str]],
        first: str | bytes,
        *,
        message_bytes: int,
    ) -> Opened:
        """Open a session at a whole address with other credentials than a key.

        Raises UpstreamFailure, or KeyRefused where they are refused for good.
        """
        try:
            return await self._sockets.open(url, headers, credentials, first, message_bytes=message_bytes)
        except NotOpened as answer:
            if answer.refusal is not None:
                raise _key_refused(answer.refusal) from answer
            raise _session_refused(answer) from answer

    def refused_amid(self, opened: Opened, said: str) -> KeyRefused | None:
        """Tell whether the provider ended a session because it refuses what that was opened with, by what its close
        frame said; the key rests then.
        """
        reason = closing_refusal(said)
        if reason is None:
            return None
        return _key_refused(reason) if opened.key is None else self._rested(opened.key, reason)

    async def send(self, outgoing: Outgoing, *, at_home: bool = False, mark: str | None = None) -> UpstreamAnswer:
        """Make a call with the key whose turn it is; one that answers 429 or is refused rests, and the next is tried.
        Where none is left, a 429 is the answer, of the key that rests shortest: to wait helps whoever asks, though
        other keys are refused.

        What lives at the provider is made, used and asked for with the home key alone, whose 429 is the answer; what
        the key of a ``mark`` began is gone on with by that one. A body that passes as it comes is an upload's, which
        cannot be repeated either. Raises UpstreamFailure, KeyRefused where all keys are refused, or NotConfigured where
        the gateway has none.
        """
        comes_once = not (outgoing.body is None or isinstance(outgoing.body, bytes))
        keys = self._keys_in_order(at_home=at_home or comes_once, mark=mark)
        tired: list[tuple[int, UpstreamAnswer]] = []
        try:
            for key in keys:
                answer = await self._attempt(outgoing, _opened_by(key))
                answer.key_mark = key.mark
                if answer.status == TOO_MANY_REQUESTS:
                    tired.append((self.keys.rest(key, _seconds(answer.header("retry-after"))), answer))
                elif (reason := await answer.refusal()) is None:
                    return answer
                else:
                    answer.close()
                    self._refuse(key, reason, is_end=not tired and key is keys[-1])
            assert tired, "where none was tired, the refusal of the last was raised"
            tired.sort(key=lambda each: each[0])
            return tired.pop(0)[1]
        finally:
            for _, each in tired:
                each.close()

    async def send_with(self, outgoing: Outgoing, credentials: Sequence[tuple[str, str]]) -> UpstreamAnswer:
        """Make a call with other credentials than a key: the headers that carry them. Raises UpstreamFailure, or
        KeyRefused where they are refused for good.
        """
        answer = await self._attempt(outgoing, credentials)
        if (reason := await answer.refusal()) is not None:
            answer.close()
            raise _key_refused(reason)
        return answer

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
        await self._sockets.close()
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    def _keys_in_order(self, *, at_home: bool, mark: str | None = None) -> list[UpstreamKey]:
        keys = self.keys.in_order(at_home=at_home, mark=mark)
        if not keys:
            raise NotConfigured("the gateway has no key for Gemini", hint="set GEMINI_API_KEY where it runs")
        return keys

    def _refuse(self, key: UpstreamKey, reason: str, *, is_end: bool) -> None:
        """Let a key rest that the provider refuses, which the operator is told. Raises KeyRefused where that is the end
        of the call.
        """
        refused = self._rested(key, reason)
        if is_end:
            # Where it ends the log has it, too.
            raise refused
        telemetry.warn("upstream.key_refused", str(refused))

    def _rested(self, key: UpstreamKey, reason: str) -> KeyRefused:
        """Let a key rest that the provider refuses; give the error that says so."""
        self.keys.rest(key, REST_SECONDS_MAX)
        return _key_refused(reason, self.keys.number(key))

    async def _attempt(self, outgoing: Outgoing, credentials: Sequence[tuple[str, str]]) -> UpstreamAnswer:
        own = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in credentials]
        headers = [*outgoing.headers, *own, (b"accept-encoding", b"identity")]
        began = time.monotonic()
        try:
            answer = await self._http.request(
                outgoing.method, self._address(outgoing.target), headers, outgoing.body, leaving=outgoing.leaving
            )
        except HttpFailure as failure:
            reason = "unanswered" if failure.has_left else "unreachable"
            telemetry.emit("upstream.failed", reason=reason)
            what = "did not answer" if failure.has_left else "cannot be reached"
            raise UpstreamFailure(f"Gemini {what}: {failure}", may_have_left=failure.has_left) from failure
        finally:
            telemetry.emit("upstream.waited", seconds=time.monotonic() - began)
        telemetry.emit("upstream.answered", status=answer.status)
        if answer.status > STATUS_MOST:
            answer.close()
            raise UpstreamFailure(f"Gemini answered with the status {answer.status}", may_have_left=True)
        if answer.status in (*REFUSING, TOO_MANY_REQUESTS):
            outgoing.refused()
        # The project whose quota is used is no secret: the names of what Google keeps for it begin with it.
        secrets = [value.removeprefix(b"Bearer ") for name, value in own if name != b"x-goog-user-project"]
        return UpstreamAnswer(answer, secrets)

    def _address(self, target: str) -> str:
        return self.origin + target if target.startswith("/") else target


def checked_origin(url: str, setting: str) -> str:
    """Give the address of a setting without the slash at its end. Raises InvalidSettings for one that no call could be
    made to, which each call would say otherwise.
    """
    if "?" in url or not is_callable(url):
        # What stands before an @ may be a password.
        shown = url.rpartition("@")[2][:100]
        raise InvalidSettings(f"{setting} {shown!r} is no address", hint="write https://host, without user or query")
    return url.rstrip("/")


def _opened_by(key: UpstreamKey) -> Sequence[tuple[str, str]]:
    return (("x-goog-api-key", key.secret),)


def _key_refused(reason: str, number: int | None = None) -> KeyRefused:
    telemetry.emit("upstream.failed", reason="key_refused")
    return KeyRefused(reason, number)


def _session_refused(answer: NotOpened) -> UpstreamFailure:
    telemetry.emit("upstream.failed", reason="refused")
    return UpstreamFailure(f"Gemini refused the session with {answer.status}", may_have_left=False)


def _seconds(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def json_headers() -> tuple[tuple[bytes, bytes], ...]:
    """Give the headers of a request of the gateway's own."""
    return ((b"content-type", b"application/json"), (b"accept", b"application/json"))
