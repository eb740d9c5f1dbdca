"""Taking connections, as many as there are files for: who comes beyond them waits, and the log says what to raise.

The event loops' own ways do not wait. uvloop's cuts whoever comes when there is no file left, and says nothing; of
both, none knows that each connection may need a second one to Gemini.
"""

import asyncio
import errno
import logging
import resource
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

__all__ = ["Accepting", "connections_max"]

_log = logging.getLogger("jangbu.gateway")

_AT_ONCE_MAX = 128
_AGAIN_SECONDS = 0.1
_HANDSHAKE_SECONDS = 1
"""How long a handshake of TLS may take where somebody waits for its place."""
_TOLD_EVERY_SECONDS = 60
_FILES_WANTED = 65_536
_FILES_KEPT = 128
_CONNECTIONS_LEAST = 8
_NO_FILE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Connect = Callable[[socket.socket], Awaitable[object]]
MakesRoom = Callable[[int], bool]
"""Tells whether one more connection may be taken beside so many whose handshake is under way. Where all are in use it
has one that is idle give way."""


def connections_max() -> int:
    """Take as many files as the system gives, and give how many connections that allows: each may need a second."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(_FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    files = _FILES_WANTED if soft == resource.RLIM_INFINITY else soft
    # The spool, the database and the log need theirs, too, also where there are few.
    return max(_CONNECTIONS_LEAST, (files - min(_FILES_KEPT, files // 2)) // 2)


class Accepting:
    """Takes what comes to the socket of this process from ``start`` until ``stop``. Belongs to one event loop."""

    def __init__(self, listener: socket.socket, connect: Connect, makes_room: MakesRoom) -> None:
        self._listener = listener
        self._connect = connect
        self._makes_room = makes_room
        self._connecting: dict[asyncio.Task[None], float] = {}
        """The handshakes that are under way, and since when: the longest first."""
        self._pause: asyncio.TimerHandle | None = None
        self._told_at: float | None = None

    def start(self) -> None:
        """Begin to take connections."""
        self._listener.setblocking(False)
        self._go_on()

    def stop(self) -> None:
        """Take none any more, and give up those whose handshake is under way."""
        asyncio.get_running_loop().remove_reader(self._listener)
        if self._pause is not None:
            self._pause.cancel()
        for task in self._connecting:
            task.cancel()

    def take(self, listener: socket.socket, most: int) -> bool:
        """Take what waits on a socket; tell whether there was room for it."""
        for _ in range(most):
            if not self._makes_room(len(self._connecting)):
                self._end_slow_handshake()
                self._tell("no connection more may be open")
                return False
            try:
                connection, _address = listener.accept()
            except OSError as error:
                if error.errno not in _NO_FILE:
                    # Nobody waits, or who waited has left.
                    return True
                self._tell(f"no connection can be taken: {error.strerror}")
                return False
            connection.setblocking(False)
            task = asyncio.create_task(self._connected(connection))
            self._connecting[task] = time.monotonic()
            task.add_done_callback(self._connecting.pop)
        return True

    def _go_on(self) -> None:
        self._pause = None
        asyncio.get_running_loop().add_reader(self._listener, self._take_own)

    def _take_own(self) -> None:
        if not self.take(self._listener, _AT_ONCE_MAX):
            # Who waits is still there: the loop would be woken for it again and again.
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._listener)
            self._pause = loop.call_later(_AGAIN_SECONDS, self._go_on)

    async def _connected(self, connection: socket.socket) -> None:
        # Where the handshake of TLS fails, nobody is there to be told.
        with suppress(OSError):
            await self._connect(connection)

    def _end_slow_handshake(self) -> None:
        """Have the client give way that has been silent the longest, before it has said anything."""
        slowest = next(iter(self._connecting), None)
        if slowest is not None and time.monotonic() - self._connecting[slowest] >= _HANDSHAKE_SECONDS:
            slowest.cancel()

    def _tell(self, what: str) -> None:
        """Say that clients wait, and what helps, now and then."""
        now = time.monotonic()
        if self._told_at is None or now - self._told_at >= _TOLD_EVERY_SECONDS:
            self._told_at = now
            _log.warning(
                "%s, clients wait until others have gone: this process may open %d files;"
                " raise its limit (ulimit -n, LimitNOFILE= of systemd) or serve with more --workers",
                what,
                resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            )
