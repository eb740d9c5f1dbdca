"""What an app holds of an embedded server: its use of the server, and the address."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from types import TracebackType
from urllib.parse import urlencode

from jangbu import telemetry
from jangbu.errors import DatabaseUnreachable, DataDirectoryUnusable, JangbuError
from jangbu.storage.embedded.archive import configure
from jangbu.storage.embedded.cluster import DATABASE, USER, check_data
from jangbu.storage.embedded.launch import join_server
from jangbu.storage.embedded.locks import START, SUPERVISOR, USERS, FileLock
from jangbu.storage.embedded.owner import owner_of
from jangbu.storage.embedded.places import PORT, Places, default_data_dir, make_home, places_of
from jangbu.storage.embedded.postmaster import in_use, is_server_of, read_running

GRACE_SECONDS = 3
"""How long the server stays after its last user, so that one command after another finds it running."""
_LOCK_MS = 120_000
_STOP_MS = 120_000
_POLL_MS = 20
_CONNECT_SECONDS = 30
_RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server is reached. The DSN suits asyncpg and libpq; the password stays in its file."""

    dsn: str
    socket_dir: Path
    port: int
    user: str
    database: str
    password_file: Path


class EmbeddedServer:
    """One user's use of the server of a data directory; any number of them, in any processes, share the server.

    ``with EmbeddedServer(data_dir) as endpoint:`` uses it for a block. A user counts until it leaves or its process
    ends. While it uses the server, a server that dies comes back at the same address. The calls block: run them in a
    thread where an event loop must go on.
    """

    def __init__(
        self, data_dir: Path | None = None, *, grace_seconds: int = GRACE_SECONDS, wal_archive_dir: str | None = None
    ) -> None:
        self._places = places_of(default_data_dir() if data_dir is None else data_dir)
        self._grace_seconds = grace_seconds
        self._wal_archive_dir = wal_archive_dir
        self._mutex = threading.RLock()
        self._users: FileLock | None = None
        self._supervisor: Popen[bytes] | None = None
        self._guard: threading.Thread | None = None

    def __enter__(self) -> Endpoint:
        return self.ensure()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def ensure(self) -> Endpoint:
        """Start the server, or join the one that runs, and give its address once it answers a query.

        It may be called again at any time, and does nothing where all is well. Raises DataDirectoryInUse,
        DataDirectoryUnusable or DatabaseUnreachable; nothing was changed then.
        """
        with self._mutex:
            was_user = self._users is not None
            endpoint = self._join()
            # A forked child has the guard's name and not its thread.
            if self._guard is None or not self._guard.is_alive():
                self._guard = threading.Thread(target=self._keep_supervised, name="jangbu-server-guard", daemon=True)
                self._guard.start()
            try:
                self._prove(endpoint)
            except DatabaseUnreachable:
                if not was_user:
                    self.leave()
                raise
            return endpoint

    def leave(self) -> None:
        """Stop using the server. The last user's leaving stops it a few seconds later."""
        with self._mutex:
            if self._users is not None:
                self._users.close()
                self._users = None

    def _join(self) -> Endpoint:
        _check(self._places)
        make_home(self._places)
        # What a forked child inherits of the lock is closed: it uses the server by a lock of its own.
        users = self._users if self._users is not None and self._users.is_open else FileLock(self._places.home / USERS)
        try:
            with FileLock(self._places.home / START) as start:
                start.exclusive(within_ms=_LOCK_MS)
                # A supervisor that sees no user for an instant changes nothing while the start lock is held.
                users.shared()
                configure(self._places, owner_of(self._places.cluster), self._wal_archive_dir)
                socket_dir, supervisor = join_server(self._places, self._grace_seconds)
        except BaseException:
            if users is not self._users:
                users.close()
            raise
        self._users = users
        self._supervisor = supervisor or self._supervisor
        return _endpoint(self._places, socket_dir)

    def _prove(self, endpoint: Endpoint) -> None:
        try:
            _select_one(endpoint)
        except DataDirectoryUnusable:
            raise
        except DatabaseUnreachable:
            # It may have died just after it served: its successor comes back at the same address.
            self._join()
            _select_one(endpoint)

    def _keep_supervised(self) -> None:
        """Bring the supervisor back when it was killed. Waiting for its lock costs nothing until then."""
        while True:
            try:
                with FileLock(self._places.home / SUPERVISOR) as lock:
                    lock.shared()
                    was_killed = lock.read_number() is not None
                with self._mutex:
                    if self._supervisor is not None:
                        self._supervisor.wait()
                        self._supervisor = None
                    if self._users is None or not was_killed:
                        self._guard = None
                        return
                    self._join()
            except JangbuError as error:
                if not self._places.home.exists():
                    return
                telemetry.warn("embedded.unsupervised", str(error))
                time.sleep(_RETRY_SECONDS)


def stop(data_dir: Path | None = None) -> bool:
    """Stop the server now, even under its users, and wait until it has stopped; tell whether one ran.

    It stays stopped until somebody calls ``ensure`` again. Raises DatabaseUnreachable if it does not stop.
    """
    places = places_of(default_data_dir() if data_dir is None else data_dir)
    if not places.home.exists():
        return False
    with FileLock(places.home / START) as start, FileLock(places.home / SUPERVISOR) as supervisor:
        start.exclusive(within_ms=_LOCK_MS)
        if supervisor.try_shared():
            return False
        deadline = time.monotonic_ns() + _STOP_MS * 1_000_000
        told = None
        while not supervisor.try_shared():
            pid = supervisor.read_number()
            if pid is not None and pid != told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
                told = pid
            if time.monotonic_ns() > deadline:
                raise DatabaseUnreachable(
                    f"the server of {places.data_dir} does not stop", hint=f"see {places.log_dir}, then try again"
                )
            time.sleep(_POLL_MS / 1000)
    return True


def _check(places: Places) -> None:
    """Refuse a directory that is not ours to use, before anything is written there."""
    running = read_running(places.data_dir)
    if running is not None and is_server_of(places.data_dir, running.pid):
        raise in_use(places.data_dir, running.pid)
    check_data(places)


def _endpoint(places: Places, socket_dir: Path) -> Endpoint:
    where = urlencode({"host": str(socket_dir), "port": PORT, "passfile": str(places.password_file)})
    return Endpoint(
        dsn=f"postgresql://{USER}@/{DATABASE}?{where}",
        socket_dir=socket_dir,
        port=PORT,
        user=USER,
        database=DATABASE,
        password_file=places.password_file,
    )


def _select_one(endpoint: Endpoint) -> None:
    """Prove that the server answers a query and that the password is right.

    The query has a thread and an event loop of its own, because the caller's thread may be running one already.
    """
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(_query(endpoint))).result()


async def _query(endpoint: Endpoint) -> None:
    import asyncpg

    try:
        connection = await asyncpg.connect(endpoint.dsn, timeout=_CONNECT_SECONDS)
        try:
            await connection.execute("SELECT 1", timeout=_CONNECT_SECONDS)
        finally:
            connection.terminate()
    except asyncpg.TooManyConnectionsError:
        # So it is alive; the caller's pool waits its turn.
        return
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise DataDirectoryUnusable(
            f"the password in {endpoint.password_file} is not the server's",
            hint="restore the file from the backup of the data directory",
        ) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise DatabaseUnreachable(f"the embedded PostgreSQL does not answer: {error}", hint="try again") from error
