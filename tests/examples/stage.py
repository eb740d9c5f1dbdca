"""What the examples play on: a gateway as a process on a real ledger, before a fake Gemini."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from jangbu import Balance, Meter
from jangbu.testing import Answer, FakeGemini
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / "build" / "examples"
JANGBU = (sys.executable, "-m", "jangbu")
BOUGHT = 1_000_000
TOP_UP_URL = "https://comics.example/tokens"
UPSTREAM_KEY = "the-key-that-only-the-gateway-knows"
PATIENCE_SECONDS = 60
_FREE_SURFACES = frozenset({"count_tokens", "models"})
_RECORDS = """
SELECT service_type, model_name, total_tokens, metadata FROM jangbu.token_usage WHERE user_id = $1 ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the view ``token_usage``."""

    service: str
    model: str
    total: int
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stage:
    """The gateway's address, an app's key to it, the ledger beneath it and the fake Gemini behind it."""

    url: str
    key: str
    meter: Meter
    gemini: FakeGemini
    database_url: str

    def sign_up(self, tokens: int = BOUGHT) -> str:
        """Open an account with so many tokens, for somebody whose name is not ASCII."""
        user = f"김만화-{uuid4().hex}"
        self.meter.create(user)
        if tokens:
            self.meter.grant(user, tokens, key="bought")
        return user

    def records(self, user: str) -> list[Record]:
        """Give what is recorded of a user's calls, in order."""
        rows = asyncio.run(_fetch(self.database_url, user))
        return [Record(row[0], row[1], row[2], json.loads(row[3]).get("tags", {})) for row in rows]

    def balance(self, user: str) -> Balance:
        """Give what a user has left."""
        return self.meter.balance(user)

    def generated(self, before: int = 0) -> list[Answer]:
        """Give the fake's answers after the first ``before``, but for those that cost nothing whoever asks."""
        return [answer for answer in self.gemini.answers()[before:] if answer.surface not in _FREE_SURFACES]


@contextmanager
def open_stage(database_url: str) -> Iterator[Stage]:
    """Start a gateway on a migrated database; it refuses a call that the balance does not cover as it is."""
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini, Meter.open(database_url) as meter:
        environment = gateway_environment(database_url, gemini) | {
            "JANGBU_SHORT_BALANCE": "refuse",
            "JANGBU_TOP_UP_URL": TOP_UP_URL,
        }
        key = json.loads(jangbu(["keys", "create", "--app", "comics", "--json"], environment))["key"]
        command = [*JANGBU, "serve", "--port", str(free_port()), "--json"]
        with running(command, environment) as process:
            yield Stage(json.loads(first_line(process))["url"], key, meter, gemini, database_url)


def gateway_environment(database_url: str, gemini: FakeGemini) -> dict[str, str]:
    """Give the settings of a gateway on this ledger, before this fake."""
    settings = {"JANGBU_DATABASE_URL": database_url, "JANGBU_UPSTREAM_URL": gemini.url, "GEMINI_API_KEY": UPSTREAM_KEY}
    return plain_environment() | settings | {"JANGBU_SPOOL_DIR": os.environ["JANGBU_SPOOL_DIR"]}


def plain_environment() -> dict[str, str]:
    """Give the environment without anybody's settings of Jangbu or Gemini."""
    ours = ("JANGBU_", "GEMINI_", "GOOGLE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def jangbu(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a command of Jangbu's to its end; give what it wrote."""
    ended = subprocess.run([*JANGBU, *words], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT
) -> "Iterator[subprocess.Popen[str]]":
    """Run a server in a folder and stop it at the end."""
    process = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def first_line(process: "subprocess.Popen[str]") -> str:
    """Give the first line that a server writes."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"{process.args!r} ended and wrote nothing"
    return line.strip()


def wait_for_port(port: int, process: "subprocess.Popen[str]") -> None:
    """Wait until a server listens that does not say so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args!r} ended"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{process.args!r} does not listen")


async def _fetch(database_url: str, user: str) -> list[Any]:
    connection = await asyncpg.connect(database_url)
    try:
        return list(await connection.fetch(_RECORDS, user))
    finally:
        await connection.close()
