"""What rounds stand on: a server that can be crashed, a fake that nobody touches, and a folder for everything else."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.faults.server import KillableServer, killable_server
from tests.torture.terms import Terms

__all__ = ["Place", "Stage", "standing"]

ROOT = Path(__file__).parents[2]
_END_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Place:
    """Where one round takes place. ``direct`` is the way to its database that nobody disturbs."""

    direct: str
    terms: Terms
    answers: Path
    """The fake's log: the truth."""
    folder: Path
    server_socket: Path


@dataclass(frozen=True, slots=True)
class Stage:
    """The server, and a folder."""

    server: KillableServer
    folder: Path

    @asynccontextmanager
    async def place(self, name: str, *, has_ledger: bool = True, mutant: str = "") -> AsyncIterator[Place]:
        """Give a database of this name, empty, and a fake with a log of its own, until the block ends."""
        folder = self.folder / name
        folder.mkdir()
        socket_folder = self.server.dsn.partition("host=")[2]
        direct = urlunsplit(urlsplit(self.server.dsn)._replace(path=f"/{name}"))
        await self._execute(f"CREATE DATABASE {name}")
        answers = folder / "answers.jsonl"
        with _fake(answers) as url:
            terms = Terms(
                database_url=direct.replace(socket_folder, str(folder)),
                gemini_url=url,
                spool_dir=str(folder / "spool"),
                has_ledger=has_ledger,
                mutant=mutant,
            )
            yield Place(direct, terms, answers, folder, Path(socket_folder) / ".s.PGSQL.5432")
        # Many rounds would fill the disk. What went wrong ends the run, and is left to look at until then.
        await self._execute(f"DROP DATABASE {name} WITH (FORCE)")
        shutil.rmtree(folder)

    async def _execute(self, command: str) -> None:
        connection = await asyncpg.connect(self.server.dsn)
        try:
            await connection.execute(command)
        finally:
            await connection.close()


@contextmanager
def standing() -> Iterator[Stage]:
    """Set up, and leave nothing of it."""
    folder = Path(tempfile.mkdtemp(prefix="jt"))
    try:
        with killable_server() as server:
            yield Stage(server, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _fake(answers: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.torture.fake", str(answers)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("JANGBU_")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, "the fake does not start"
        yield url
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
