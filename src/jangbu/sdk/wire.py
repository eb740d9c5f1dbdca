"""HTTP to a server of Jangbu's own: one request on one connection, which is kept for the next.

The standard library's client, because which HTTP libraries an app has depends on its google-genai.
"""

import contextlib
import http.client
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from jangbu.errors import InvalidInput

__all__ = ["Answer", "Wire"]

_KEPT_MOST = 8
_ANSWER_BYTES_MOST = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """Asks one server, from any thread. ``ask`` raises OSError or HTTPException where no answer comes."""

    def __init__(self, url: str, *, seconds: int) -> None:
        try:
            found = urlsplit(url or "")
            self._port = found.port
        except ValueError:
            found = urlsplit("")
        if found.scheme not in ("http", "https") or not found.hostname or found.username or found.query:
            raise InvalidInput(
                f"{str(url)[:60]!r} is no address of a server", hint="write it like https://ledger.example"
            )
        self.url = url.rstrip("/")
        self._host, self._path = found.hostname, found.path.rstrip("/")
        self._trust = ssl.create_default_context() if found.scheme == "https" else None
        self._seconds = seconds
        self._kept: list[http.client.HTTPConnection] = []
        self._gate = threading.Lock()

    def ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Ask and wait for the whole answer. Where a kept connection was closed meanwhile, it is asked on a new one."""
        with self._gate:
            kept = self._kept.pop() if self._kept else None
        if kept is not None:
            with contextlib.suppress(ConnectionError):
                return self._on(kept, method, path, body, headers)
        return self._on(self._new(), method, path, body, headers)

    def _on(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        try:
            connection.request(method, self._path + path, body, dict(headers))
            answer = connection.getresponse()
            content = answer.read(_ANSWER_BYTES_MOST + 1)
            if len(content) > _ANSWER_BYTES_MOST:
                raise http.client.HTTPException("the answer is larger than any of Jangbu's")
            found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)
        except BaseException:
            connection.close()
            raise
        self._give(connection, is_open=not answer.will_close)
        return found

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._gate:
            kept, self._kept = self._kept, []
        for connection in kept:
            connection.close()

    def _new(self) -> http.client.HTTPConnection:
        if self._trust is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._seconds, context=self._trust)

    def _give(self, connection: http.client.HTTPConnection, *, is_open: bool) -> None:
        with self._gate:
            if is_open and len(self._kept) < _KEPT_MOST:
                self._kept.append(connection)
                return
        connection.close()
