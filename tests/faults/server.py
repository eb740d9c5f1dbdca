"""A PostgreSQL of a test's own, which is really killed and really comes back."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg

from jangbu.storage.embedded.owner import owner_of
from jangbu.storage.embedded.programs import programs_for
from tests.conftest import execute
from tests.faults.waiting import become

_OPTIONS = "-c listen_addresses='' -c autovacuum=off -c max_connections=60"


class KillableServer:
    """A server on a socket of its own. ``dsn`` is the address of its database, whether or not it runs.

    With ``primary`` it is a standby, which follows it by asynchronous replication, unless the primary waits for it.
    """

    def __init__(self, folder: Path, primary: "KillableServer | None" = None) -> None:
        self._cluster = folder / "cluster"
        self._owner = owner_of(self._cluster)
        self._programs = programs_for(self._owner)
        self._folder = folder
        os.chown(folder, self._owner.uid, self._owner.gid)
        self.dsn = f"postgresql://jangbu@/postgres?host={folder}"
        if primary is None:
            self._run("initdb", "-D", str(self._cluster), "-U", "jangbu", "-A", "trust", "--no-sync", "-E", "UTF8")
        else:
            words = ("-X", "stream", "-c", "fast", "--no-sync", "-R")
            self._run("pg_basebackup", "-d", primary.dsn, "-D", str(self._cluster), *words)

    def start(self, **settings: str) -> None:
        """Start, and wait until it serves. One that was killed keeps its number until somebody has seen it dead."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self._start(self._folder, settings)
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def own(self, directory: Path) -> None:
        """Have it own a directory, to keep tables there."""
        os.chown(directory, self._owner.uid, self._owner.gid)

    def take_over(self, primary: "KillableServer") -> None:
        """Be promoted, at the address of the primary, which is dead."""
        self.crash()
        for left in primary._folder.glob(".s.PGSQL*"):
            left.unlink()
        self._start(primary._folder, {})
        # Whoever comes in between meets a server that takes no writes.
        time.sleep(0.5)
        self._run("pg_ctl", "-D", str(self._cluster), "-w", "promote")

    def _start(self, sockets: Path, settings: Mapping[str, str]) -> None:
        more = "".join(f" -c {name}={value}" for name, value in settings.items())
        options = f"{_OPTIONS}{more} -k {sockets}"
        self._run("pg_ctl", "-D", str(self._cluster), "-w", "-l", "log", "-o", options, "start")

    def crash(self) -> None:
        """Have it end at once, as after a crash: whoever waits for an answer loses the connection."""
        self._run("pg_ctl", "-D", str(self._cluster), "-w", "-m", "immediate", "stop")

    def kill(self) -> None:
        """Kill its processes, the first one first."""
        pids = self._pids()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while any(_runs(pid) for pid in pids):
            assert time.monotonic() < deadline, "a killed process still runs"
            time.sleep(0.01)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Stop its processes without ending them: connections stay, and nobody answers."""
        pids = self._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        first = int((self._cluster / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [first, *map(int, children)]

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self._programs / program, *words],
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            **self._owner.process_options(),
        )


def _runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextmanager
def killable_server(primary: KillableServer | None = None) -> Iterator[KillableServer]:
    """Give a server that runs, and leave nothing of it."""
    folder = Path(tempfile.mkdtemp(prefix="jb", dir="/tmp"))
    try:
        server = KillableServer(folder, primary)
        server.start()
        yield server
    finally:
        with suppress(Exception):
            server.crash()
        shutil.rmtree(folder, ignore_errors=True)


async def set_everywhere(server: KillableServer, name: str, value: str) -> None:
    """Change a setting of a server that runs; afterwards each of its sessions has it, old or new."""
    await execute(server.dsn, f"ALTER SYSTEM SET {name} = '{value}'")
    await execute(server.dsn, "SELECT pg_reload_conf()")
    # It reads its settings again when it gets to it, and tells its sessions before it opens another.
    await become(lambda: _new_sessions_have(server, name, value))


async def _new_sessions_have(server: KillableServer, name: str, value: str) -> bool:
    connection = await asyncpg.connect(server.dsn)
    try:
        return bool(await connection.fetchval("SELECT current_setting($1) = $2", name, value))
    finally:
        await connection.close()
