"""Plain HTTP, without a Gemini client in between: what bytes went over the wire."""

import json
import socket
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAM = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
HELLO = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


@dataclass(frozen=True)
class Whole:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The JSON values of an event stream, without its closing word."""
        data = [line[6:] for line in self.body.splitlines() if line.startswith(b"data: ")]
        return [json.loads(text) for text in data if text != b"[DONE]"]


def ask(
    url: str, path: str, body: object = None, *, method: str | None = None, headers: dict[str, str] | None = None
) -> Whole:
    """Send one request and read the whole answer."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method or ("GET" if body is None else "POST"), path, data, headers or {})
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Whole(answer.status, names, answer.read())
    finally:
        connection.close()


def behave(behaviour: str) -> dict[str, str]:
    return {"x-fake-behaviour": behaviour}


def ask_and_leave(url: str, path: str, body: object, *, after_bytes: int) -> None:
    """Send a request, read a little of the answer and hang up."""
    parts = urlsplit(url)
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: fake\r\ncontent-length: {len(data)}\r\n\r\n".encode()
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(head + data)
        read = 0
        while read < after_bytes:
            read += len(connection.recv(4096))


def converse(url: str, said: bytes) -> bytes:
    """Send bytes as they are and give all that comes back until the connection ends."""
    parts = urlsplit(url)
    heard = bytearray()
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(said)
        while data := connection.recv(65536):
            heard += data
    return bytes(heard)
