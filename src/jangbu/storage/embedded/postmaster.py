"""The server process: finding the one that runs, starting one, stopping it."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jangbu.errors import DatabaseUnreachable, DataDirectoryInUse, JangbuError
from jangbu.storage.embedded.cluster import damaged, die_with_parent, reachable
from jangbu.storage.embedded.liveness import Liveness, knock
from jangbu.storage.embedded.owner import Owner
from jangbu.storage.embedded.places import PORT, Places

_POLL_MS = 10
_STOP_MS = 60_000
_LAST_WORDS_MS = 10_000
"""How long the process that writes the server's log may take to write the last of it, once the server has ended."""
_TAIL_BYTES = 16_384
_PID_FILE = "postmaster.pid"
_BUSY = ("lock file", "still in use", "already in use")
_SHORTAGE = ("No space left", "Read-only file system", "Permission denied", "Too many open files", "allocate memory")
_DAMAGE = ("PANIC:", "checkpoint", "control file", "pg_control", "corrupt", "checksum", "incompatible", "invalid page")
_TOO_EARLY = "the database system is "
_MISSING = ("could not open file", "could not open directory", "could not read file", "not a valid data directory")


@dataclass(frozen=True, slots=True)
class Running:
    """What PostgreSQL itself notes about a running server in its data directory."""

    pid: int
    socket_dir: Path | None
    is_ready: bool
    """What it last noted: whether sessions may begin."""


@dataclass(frozen=True, slots=True)
class Additions:
    """What a server is started with beyond the settings of its cluster: settings, and descriptors that it inherits."""

    settings: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()

    def words(self) -> list[str]:
        """Give the settings as words of the command line."""
        return [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]


_NOTHING = Additions()


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is our child, and where its socket lies."""

    process: "subprocess.Popen[bytes]"
    socket_dir: Path


def read_running(cluster: Path) -> Running | None:
    """Read the server's own note. It may be stale: only a knock tells."""
    try:
        lines = (cluster / _PID_FILE).read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    if not lines or not lines[0].strip().isdigit():
        return None
    # The socket's directory is the fifth line, the state the eighth.
    socket_dir = Path(lines[4]) if len(lines) > 4 and lines[4] else None
    return Running(int(lines[0]), socket_dir, is_ready=len(lines) > 7 and lines[7].strip() == "ready")


def look(running: Running | None) -> Liveness:
    """Tell whether the server that the note is about serves. It is asked only if it says so itself:

    whoever knocks too early leaves a line of complaint in the server's log.
    """
    if running is None or running.socket_dir is None or not _exists(running.pid):
        return Liveness.SILENT
    if not running.is_ready:
        return Liveness.STARTING
    return knock(running.socket_dir)


def check_unused(places: Places, socket_dir: Path) -> None:
    """See to it that no other server holds the data, before ours is started.

    Ends a server of ours that its supervisor left over. Removes the note of one that is dead although its process id
    is still to be seen (a zombie that nobody reaps, or an id that was given away again). Raises DataDirectoryInUse for
    a server that somebody else started.
    """
    running = read_running(places.cluster)
    if running is None or not _exists(running.pid):
        return
    if not is_server_of(places.cluster, running.pid):
        (places.cluster / _PID_FILE).unlink(missing_ok=True)
        return
    if running.socket_dir != socket_dir:
        raise in_use(places.cluster, running.pid)
    os.kill(running.pid, signal.SIGINT)
    deadline = time.monotonic_ns() + _STOP_MS * 1_000_000
    while is_server_of(places.cluster, running.pid):
        if time.monotonic_ns() > deadline:
            raise in_use(places.cluster, running.pid)
        time.sleep(_POLL_MS / 1000)


def is_server_of(cluster: Path, pid: int) -> bool:
    """Tell whether a process is a living server that works in the cluster; without /proc, whether it exists."""
    about = Path(f"/proc/{pid}")
    if not Path("/proc/self").exists():
        return _exists(pid)
    try:
        home = cluster.stat()
        state = (about / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
        # A server always runs as the owner of its data, so a process of another user is none.
        if state in {"Z", "X"} or about.stat().st_uid != home.st_uid:
            return False
        at = (about / "cwd").stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return (at.st_dev, at.st_ino) == (home.st_dev, home.st_ino)


def in_use(cluster: Path, pid: int | None = None) -> DataDirectoryInUse:
    """Say that somebody else's server has the data."""
    who = f"another PostgreSQL server (process {pid})" if pid else "another PostgreSQL server"
    return DataDirectoryInUse(f"{who} runs on {cluster}", hint="stop it, or set JANGBU_DATA_DIR to another directory")


def start(
    places: Places,
    owner: Owner,
    programs: Path,
    socket_dir: Path,
    wait: Callable[[int], bool],
    additions: Additions = _NOTHING,
) -> Server:
    """Start a server and wait until it serves, recovery included; ``wait(milliseconds)`` tells whether to go on.

    Raises DataDirectoryInUse, DataDirectoryUnusable or DatabaseUnreachable with the server's last words when it ends
    before that.
    """
    for stale in socket_dir.glob(".s.PGSQL.*"):
        stale.unlink(missing_ok=True)
    places.startup_log.unlink(missing_ok=True)
    said_before = {log: log.stat().st_size for log in _logs(places)}
    # Every process of the server inherits the writing end: the last of them, which writes its log, closes it.
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as ended:
        try:
            process = _run(places, owner, programs, socket_dir, additions, writer)
        finally:
            os.close(writer)
        server = Server(process, socket_dir)
        while not _serves(places, process.pid):
            if process.poll() is not None:
                select.select([ended], [], [], _LAST_WORDS_MS / 1000)
                raise _why_not(places, said_before)
            if not wait(_POLL_MS):
                stop(server)
                raise DatabaseUnreachable("PostgreSQL was stopped while it started", hint="try again")
    return server


def _run(
    places: Places, owner: Owner, programs: Path, socket_dir: Path, additions: Additions, inherited: int
) -> "subprocess.Popen[bytes]":
    with places.startup_log.open("wb") as log, reachable(places.cluster, owner) as handle:
        return subprocess.Popen(  # noqa: S603 - a program of the wheel
            [programs / "postgres", "-D", handle.path, "-k", socket_dir, "-p", str(PORT), *additions.words()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"LC_ALL": "C", "PATH": os.defpath},
            umask=0o077,
            pass_fds=(*handle.descriptors, *additions.descriptors, inherited),
            # A server without a supervisor would stay for ever: it has to shut down with it.
            preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509 - the supervisor has one thread
            **owner.process_options(),
        )


def stop(server: Server) -> None:
    """Stop the server: sessions are ended, a checkpoint is written. One that hangs is stopped without."""
    for signal_number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.process.poll() is not None:
            return
        server.process.send_signal(signal_number)
        try:
            server.process.wait(_STOP_MS / 1000)
        except subprocess.TimeoutExpired:
            continue
        return


def last_words(places: Places, said_before: Mapping[Path, int] | None = None) -> str:
    """Give the last complaint in the server's logs, or its last line, or nothing.

    ``said_before`` are sizes of the logs: what was written up to them is skipped.
    """
    lines: list[str] = []
    for log in sorted(_logs(places), key=lambda log: log.stat().st_mtime_ns):
        lines += _tail(log, (said_before or {}).get(log, 0))
    # What was said to clients who came too early tells nothing.
    complaints = [line for line in lines if ("FATAL:" in line or "PANIC:" in line) and _TOO_EARLY not in line]
    return (complaints or lines or [""])[-1]


def _serves(places: Places, pid: int) -> bool:
    running = read_running(places.cluster)
    return running is not None and running.pid == pid and look(running) is Liveness.SERVING


def _why_not(places: Places, said_before: Mapping[Path, int]) -> JangbuError:
    words = last_words(places, said_before)
    if any(sign in words for sign in _BUSY):
        return in_use(places.cluster)
    if not any(sign in words for sign in _SHORTAGE) and any(sign in words for sign in (*_DAMAGE, *_MISSING)):
        return damaged(places, words)
    return DatabaseUnreachable(
        f"PostgreSQL did not start: {words or 'it left no word'}", hint=f"see {places.log_dir} and {places.startup_log}"
    )


def _logs(places: Places) -> list[Path]:
    return [log for log in (places.startup_log, *places.log_dir.glob("*.log")) if log.exists()]


def _tail(log: Path, start: int) -> list[str]:
    size = log.stat().st_size
    with log.open("rb") as file:
        # One that is shorter than it was has been begun anew, as it is each week.
        file.seek(max(start if start <= size else 0, size - _TAIL_BYTES))
        return [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
