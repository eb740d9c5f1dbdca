"""`jangbu serve` as people start it: a process of its own before a fake Gemini, and a client that has a key."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.ports import free_port

FLASH = "gemini-2.5-flash"
UPSTREAM_KEY = "AIzaSyCanary-the-key-of-the-upstream-00"
GRANT = 1_000_000
PATIENCE_SECONDS = 60


@dataclass
class Service:
    """One running service. ``key`` is an app's; the user kim has tokens."""

    jangbu: Jangbu
    process: "subprocess.Popen[str]"
    facts: dict[str, str]
    log: Path
    key: str = ""
    trust: ssl.SSLContext | None = None
    port: int = field(init=False)

    def __post_init__(self) -> None:
        self.port = int(self.facts["url"].rpartition(":")[2])

    def get(self, path: str, **headers: str) -> tuple[int, bytes, Any]:
        return self.ask(urllib.request.Request(self.facts["url"] + path, headers=headers))

    def json(self, path: str) -> tuple[int, Any]:
        status, body, _ = self.get(path)
        return status, json.loads(body)

    def generate(self, text: str = "hi", *, key: str | None = None, **headers: str) -> tuple[int, bytes, Any]:
        return self.ask(self.request(f"/v1beta/models/{FLASH}:generateContent", text, key=key, **headers))

    def request(self, path: str, text: str = "hi", *, key: str | None = None, **headers: str) -> urllib.request.Request:
        body = json.dumps({"contents": [{"role": "user", "parts": [{"text": text}]}]}).encode()
        sent = {"x-goog-api-key": self.key if key is None else key, "x-jangbu-user": "kim", **headers}
        sent["content-type"] = "application/json"
        return urllib.request.Request(self.facts["url"] + path, data=body, headers=sent)

    def ask(self, request: urllib.request.Request) -> tuple[int, bytes, Any]:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS, context=self.trust) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    def metric(self, name: str, path: str = "/metrics") -> float:
        """Give the sum of a metric's values whose line begins with ``name``."""
        _, text, _ = self.get(path)
        values = re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? ([0-9.e+-]+)$", text.decode(), re.MULTILINE)
        return sum(float(value) for value in values)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)

    def workers(self) -> set[int]:
        """Give the worker processes that run now."""
        pid, found = self.process.pid, set()
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(FileNotFoundError, ProcessLookupError):
                if "worker" in Path(f"/proc/{child}/cmdline").read_text():
                    found.add(int(child))
        return found

    def used(self) -> tuple[int, int]:
        """Give the tokens that kim has used, and those that are held."""
        found = self.jangbu.json("balance", "kim")
        return found["used_tokens"], found["held_tokens"]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def lines(self) -> list[dict[str, Any]]:
        """Give what was logged as JSON so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def lines_that(self, are_meant: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Give those lines that are meant. Of the others, which a busy machine may add, none tells of an error."""
        lines = self.lines()
        assert [line for line in lines if line["level"] in ("error", "critical") and not are_meant(line)] == []
        return [line for line in lines if are_meant(line)]


def eventually(is_true: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.05)


@contextmanager
def serving(
    jangbu: Jangbu, *options: str, gemini: FakeGemini | None = None, before: tuple[str, ...] = (), **environment: str
) -> Iterator[Service]:
    """Serve until the block ends; a gateway before ``gemini`` gets a user and an app's key first.

    ``before`` are words that stand before the command. There is no dashboard, which would offer itself.
    """
    upstream = {} if gemini is None else {"JANGBU_UPSTREAM_URL": gemini.url, "GEMINI_API_KEY": UPSTREAM_KEY}
    log = jangbu.directory / f"serve-{time.monotonic_ns()}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "jangbu", "serve", "--port", str(free_port()), "--json", *options],
            cwd=jangbu.directory,
            env={**os.environ, **jangbu.environment, "JANGBU_DASHBOARD": "false", **upstream, **environment},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, log.read_text()
        service = Service(jangbu, process, json.loads(first), log)
        if gemini is not None:
            service.key = _with_a_user_and_a_key(jangbu)
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _with_a_user_and_a_key(jangbu: Jangbu) -> str:
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("grant", "kim", str(GRANT), "--key", "first")
    key: str = jangbu.json("keys", "create", "--app", "shop")["key"]
    return key
