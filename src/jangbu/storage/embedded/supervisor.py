"""The detached process that keeps one server while it has users: ``python -m jangbu.storage.embedded.supervisor``.

It is the server's parent, so it learns of its death at once and leaves no zombie. It tells the user who started it how
the start went, in one line of JSON on its standard output, and says nothing more.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jangbu.errors import DatabaseUnreachable, DataDirectoryInUse, JangbuError
from jangbu.storage.embedded import cluster, postmaster
from jangbu.storage.embedded.archive import archiving
from jangbu.storage.embedded.locks import START, SUPERVISOR, USERS, FileLock
from jangbu.storage.embedded.owner import Owner, owner_of
from jangbu.storage.embedded.places import Places, make_socket_dir, places_of
from jangbu.storage.embedded.programs import programs_for

_BECOME_REAPER = 36
_POLL_MS = 250
_LOCK_MS = 5_000
_LOOK_MS = 10
_PAUSE_FIRST_MS = 100
_PAUSE_LONGEST_MS = 10_000
_PAUSE_IN_USE_LONGEST_MS = 1_000
_IN_USE_PATIENCE_MS = 20_000
"""How long a killed server's last processes are waited for: a zombie's slow reaper has been seen to take 5 s."""


def main() -> None:
    """Supervise the server of the data directory that the first argument names."""
    places, grace_seconds = places_of(Path(sys.argv[1])), int(sys.argv[2])
    os.umask(0o077)
    _adopt_orphans()
    with FileLock(places.home / SUPERVISOR) as lock, _wakeups() as wakeups:
        try:
            if not _take(lock):
                return
            lock.write_number(os.getpid())
            server = _start(places, wakeups, may_make=True)
        except JangbuError as error:
            lock.write_number(None)
            _report({"code": error.code, "message": error.message, "hint": error.hint})
            return
        except OSError as error:
            lock.write_number(None)
            hint = f"see that {places.home} is whole and its disk has room"
            _report({"code": DatabaseUnreachable.code, "message": f"PostgreSQL cannot start: {error}", "hint": hint})
            return
        _report({})
        _Supervisor(places, grace_seconds, lock, wakeups, server).run()


def _take(lock: FileLock) -> bool:
    """Become the supervisor, unless another one lives: then whoever started us joins that one.

    There may be two, because a user who was killed right after it started one no longer keeps the next user out.
    """
    deadline = time.monotonic_ns() + _LOCK_MS * 1_000_000
    while time.monotonic_ns() < deadline:
        if lock.try_exclusive():
            return True
        # Users share the lock for a moment to see whether a supervisor lives; only a supervisor has it alone.
        if not lock.try_shared():
            return False
        lock.release()
        time.sleep(_LOOK_MS / 1000)
    return False


@dataclass(slots=True)
class _Supervisor:
    places: Places
    grace_seconds: int
    lock: FileLock
    wakeups: "_Wakeups"
    server: postmaster.Server
    used_at: int = field(default_factory=time.monotonic_ns)

    def run(self) -> None:
        """Keep the server until nobody uses it, or until told to end."""
        with FileLock(self.places.home / USERS) as users, FileLock(self.places.home / START) as start:
            while not self.wakeups.told_to_end:
                self.wakeups.wait(_POLL_MS)
                _reap_orphans(self.server)
                if self._is_idle(users) and start.try_exclusive():
                    # Nobody can join now; whoever joined a moment ago keeps the server.
                    if users.try_exclusive():
                        break
                    start.release()
                elif self.server.process.poll() is not None and not self.wakeups.told_to_end:
                    self._restart(users)
            self._end()
            start.release()

    def _is_idle(self, users: FileLock) -> bool:
        if not users.try_exclusive():
            self.used_at = time.monotonic_ns()
            return False
        users.release()
        return time.monotonic_ns() - self.used_at >= self.grace_seconds * 1_000_000_000

    def _restart(self, users: FileLock) -> None:
        """Bring a dead server back for its users, with growing pauses for as long as they stay."""
        pause_ms = _PAUSE_FIRST_MS
        while not self.wakeups.told_to_end and not self._is_idle(users):
            try:
                self.server = _start(self.places, self.wakeups, may_make=False)
            except (JangbuError, OSError):
                # The reason stands in the server's log, from where a user who asks is told.
                self.wakeups.wait(pause_ms)
                pause_ms = min(pause_ms * 2, _PAUSE_LONGEST_MS)
            else:
                return

    def _end(self) -> None:
        postmaster.stop(self.server)
        _reap_orphans(self.server)
        shutil.rmtree(self.server.socket_dir, ignore_errors=True)
        # Empty means an orderly end: users who still watch do not bring the server back.
        self.lock.write_number(None)
        self.lock.release()


def _start(places: Places, wakeups: "_Wakeups", *, may_make: bool) -> postmaster.Server:
    """Start the server, making its data where there is none. Users who had a ledger must never find an empty one."""
    has_data = cluster.check_data(places)
    if not has_data and not may_make:
        raise cluster.damaged(places, "it was removed under the running server")
    owner = owner_of(places.cluster)
    programs = programs_for(owner)
    if not has_data:
        cluster.make_cluster(places, owner, programs)
    socket_dir = make_socket_dir(places, owner)
    try:
        return _start_patiently(places, owner, programs, socket_dir, wakeups)
    except JangbuError:
        shutil.rmtree(socket_dir, ignore_errors=True)
        raise


def _start_patiently(
    places: Places, owner: Owner, programs: Path, socket_dir: Path, wakeups: "_Wakeups"
) -> postmaster.Server:
    """Where the data seems in use, the last of a killed server may still be going: try for a while."""
    deadline = time.monotonic_ns() + _IN_USE_PATIENCE_MS * 1_000_000
    pause_ms = _PAUSE_FIRST_MS
    while True:
        postmaster.check_unused(places, socket_dir)
        try:
            _give_rights(places, owner, programs)
            with archiving(places, owner) as additions:
                return postmaster.start(places, owner, programs, socket_dir, wakeups.wait, additions)
        except DataDirectoryInUse:
            if wakeups.told_to_end or time.monotonic_ns() > deadline:
                raise
        wakeups.wait(pause_ms)
        pause_ms = min(pause_ms * 2, _PAUSE_IN_USE_LONGEST_MS)


def _give_rights(places: Places, owner: Owner, programs: Path) -> None:
    """Bring an earlier release's cluster to what backups need. Where that fails the start itself tells why."""
    if not cluster.has_rights(places):
        with contextlib.suppress(JangbuError, OSError):
            cluster.give_rights(places, owner, programs)


class _Wakeups:
    """Signals as something to wait for."""

    def __init__(self, reader: int) -> None:
        self._reader = reader
        self.told_to_end = False

    def wait(self, milliseconds: int) -> bool:
        """Wait until the time is over, a child has ended or we are told to end; tell whether to go on."""
        ready, _, _ = select.select([self._reader], [], [], milliseconds / 1000)
        if ready:
            numbers = os.read(self._reader, 1024)
            self.told_to_end |= bool({signal.SIGTERM, signal.SIGINT} & set(numbers))
        return not self.told_to_end


@contextmanager
def _wakeups() -> Iterator[_Wakeups]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    yield _Wakeups(reader)


def _report(outcome: dict[str, str]) -> None:
    """Tell the one who started us, then let go of the pipe. It may be gone: the server then waits for the next user."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(outcome).encode() + b"\n")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _adopt_orphans() -> None:
    """Inherit the children of a killed server instead of process 1, which reaps late or never in some containers."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_BECOME_REAPER, 1)


def _reap_orphans(server: postmaster.Server) -> None:
    """Reap what a killed server left to us; the server itself is left to its own handle."""
    server.process.poll()
    if sys.platform != "linux":
        return
    with contextlib.suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid == server.process.pid:
                return
            os.waitpid(found.si_pid, 0)


if __name__ == "__main__":
    main()
