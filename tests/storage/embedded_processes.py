"""Real processes around an embedded server: users that can be killed, and a look at what runs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parents[2] / "src"
SITE = next(path for path in sys.path if path.endswith("site-packages"))
PATIENCE_SECONDS = 60
USER_PROGRAM = """
import sys
from pathlib import Path
from jangbu.errors import JangbuError
from jangbu.storage.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), grace_seconds=int(sys.argv[2]))
try:
    print(server.ensure().dsn, flush=True)
except JangbuError as error:
    print(error.code, error, flush=True)
sys.stdin.read()
"""


class UserProcess:
    """A process that uses the server until it is told to end, or killed."""

    def __init__(
        self,
        data_dir: Path,
        *,
        grace: int = 0,
        python: str = sys.executable,
        env: Mapping[str, str] | None = None,
        **as_user: Any,
    ) -> None:
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [python, "-c", USER_PROGRAM, str(data_dir), str(grace)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env={"PYTHONPATH": f"{SOURCES}{os.pathsep}{SITE}", **(env or {})},
            **as_user,
        )

    def said(self) -> str:
        """Wait for the address of the server, or for the error."""
        assert self._process.stdout is not None
        return str(self._process.stdout.readline(), "utf-8").strip()

    def kill(self) -> None:
        self._process.kill()
        self._finish()

    def end(self) -> None:
        self._finish()

    def _finish(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_SECONDS)
        self._process.stdout.close()


@contextmanager
def users(data_dir: Path, count: int) -> Iterator[list[UserProcess]]:
    """Start several users at the same moment."""
    together = [UserProcess(data_dir) for _ in range(count)]
    try:
        yield together
    finally:
        for user in together:
            user.end()


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def cluster_of(data_dir: Path) -> Path:
    return data_dir / "postgresql" / "cluster"


def postmaster_of(data_dir: Path) -> int:
    return int((cluster_of(data_dir) / "postmaster.pid").read_text().split()[0])


def supervisor_of(data_dir: Path) -> int:
    return int((data_dir / "postgresql" / "supervisor.lock").read_text())


def supervisors(data_dir: Path) -> list[int]:
    """Find the processes that supervise the server, or would."""
    return [pid for pid in _processes() if _supervises(pid, data_dir)]


def server_processes(data_dir: Path) -> list[int]:
    """Find the living processes that work in the data, and the supervisor, by what the kernel says of them."""
    cluster = cluster_of(data_dir)
    return [pid for pid in _processes() if _works_in(pid, cluster) or _supervises(pid, data_dir)]


def kill_at_once(processes: list[int]) -> None:
    for pid in processes:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _works_in(pid: int, cluster: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").samefile(cluster)
    except OSError:
        return False


def _supervises(pid: int, data_dir: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"jangbu.storage.embedded.supervisor" in words and os.fsencode(data_dir) in words
