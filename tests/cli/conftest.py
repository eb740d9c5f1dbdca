"""The command as people run it: a process of its own, against a real database."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jangbu.storage.embedded import stop
from tests.cli.forked import run_forked

_SECONDS_MOST = 60
CLEARED = ("JANGBU_", "GEMINI_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_")


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The error object of a command that was given --json: the only thing on standard error."""
        found: dict[str, str] = json.loads(self.err)["error"]
        return found

    @property
    def error_line(self) -> str:
        """The one line on standard error, with nothing on standard output."""
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("error: "), self.err
        return self.err


@dataclass(frozen=True)
class Jangbu:
    """Runs the command in a directory of its own."""

    directory: Path
    environment: Mapping[str, str]

    def __call__(self, *words: str, stdin: bytes | None = None, **environment: str) -> Ended:
        if environment:
            ended = self._begun(words, stdin, {**self.environment, **environment})
        else:
            ended = run_forked(words, stdin, self.directory, self.environment, _SECONDS_MOST)
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def _begun(
        self, words: Sequence[str], stdin: bytes | None, environment: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run a command from nothing, in its own environment."""
        return subprocess.run(
            [sys.executable, "-m", "jangbu", *words],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            cwd=self.directory,
            env=environment,
            timeout=_SECONDS_MOST,
            check=False,
        )

    def ok(self, *words: str, **more: Any) -> Ended:
        """Run a command that has to succeed without a word on standard error."""
        ended = self(*words, **more)
        assert (ended.code, ended.err) == (0, ""), ended.err
        return ended

    def json(self, *words: str, **more: Any) -> Any:
        return self.ok(*words, "--json", **more).json


@pytest.fixture
def offline(tmp_path: Path) -> Jangbu:
    """Give the command without any database to reach."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CLEARED)}
    places = {"JANGBU_DATABASE_URL": "postgresql://kim:secret@127.0.0.1:1/nowhere", "JANGBU_SPOOL_DIR": "spool"}
    return Jangbu(tmp_path, {**kept, **places})


@pytest.fixture
def jangbu(offline: Jangbu, database_url: str) -> Jangbu:
    """Give the command on a fresh ledger."""
    return Jangbu(offline.directory, {**offline.environment, "JANGBU_DATABASE_URL": database_url})


@pytest.fixture
def answer(tmp_path: Path) -> Callable[..., str]:
    """Write an answer as Gemini gives it; give the name of its file."""

    def write(
        prompt: int = 150, candidates: int = 300, thoughts: int = 0, model: str = "gemini-2.5-flash", number: int = 1
    ) -> str:
        counts = {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "thoughtsTokenCount": thoughts}
        body = {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "안녕하세요"}]}, "finishReason": "STOP"}],
            "usageMetadata": counts | {"totalTokenCount": prompt + candidates + thoughts},
            "modelVersion": model,
            "responseId": f"answer-{number}",
        }
        path = tmp_path / f"answer-{number}.json"
        path.write_text(json.dumps(body))
        return str(path)

    return write


@dataclass(frozen=True)
class Kept:
    """A ledger with an archive, one backup of each kind, and grants before and after them."""

    jangbu: Jangbu
    ledger: Path
    base: Path
    portable: Path
    between: str
    """A time at which kim had 1,500 tokens; the base backup has 1,000, the portable one and the archive's end 1,507."""

    @property
    def archive(self) -> Path:
        return next((self.ledger.parent / "wal").iterdir())

    def segments(self, archive: Path) -> list[Path]:
        """Give the segments of its archive or a copy; a note of each backup lies between them."""
        return sorted(path for path in archive.glob("*.gz") if len(path.stem) == 24)


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Make a ledger with backups, once for all tests that restore it; they leave it as it is."""
    place = tmp_path_factory.mktemp("kept")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(CLEARED)}
    jangbu = Jangbu(place, environment)
    here = ("--data-dir", "ledger")
    # Everybody after the first one goes without the setting: the ledger remembers.
    jangbu.ok("accounts", "create", "kim", *here, JANGBU_WAL_ARCHIVE_DIR="wal")
    jangbu.ok("grant", "kim", "1000", "--key", "before", *here)
    base = jangbu.json("db", "backup", "--out", "base", *here)
    jangbu.ok("grant", "kim", "500", "--key", "after", *here)
    between = datetime.now(UTC).isoformat()
    jangbu.ok("grant", "kim", "7", "--key", "last", *here)
    portable = jangbu.json("db", "backup", "--portable", "--out", "portable", *here)
    jangbu.ok("db", "archive", *here)
    stop(place / "ledger")
    return Kept(jangbu, place / "ledger", Path(base["directory"]), Path(portable["directory"]), between)


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Path]:
    """Give a data directory with nothing in it, whose server is stopped after the test."""
    yield tmp_path / "new"
    stop(tmp_path / "new")
