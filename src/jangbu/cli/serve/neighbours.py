"""Connections that came to another worker and were not taken, because it is busy, or has died and is started again.

Each worker has a socket of its own, among which the system divides what comes: of one socket that all listened on,
whoever wakes first would take nearly all connections of a moment. In exchange a worker looks after its neighbours.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress

__all__ = ["take_over"]

_EVERY_SECONDS = 0.05
_AT_ONCE_MAX = 16
"""How many connections of one neighbour are taken at a look: there may be others who look, too."""

Connect = Callable[[socket.socket], Awaitable[object]]


async def take_over(listeners: Sequence[socket.socket], connect: Connect) -> None:
    """Serve what waits on the neighbours' sockets, until cancelled."""
    for listener in listeners:
        listener.setblocking(False)
    async with asyncio.TaskGroup() as connecting:
        while listeners:
            await asyncio.sleep(_EVERY_SECONDS)
            for listener in listeners:
                for connection in _waiting(listener):
                    connecting.create_task(_connected(connect, connection))


def _waiting(listener: socket.socket) -> Iterator[socket.socket]:
    for _ in range(_AT_ONCE_MAX):
        try:
            connection, _address = listener.accept()
        except OSError:
            # Nobody waits, or the system gives no more files: the next look tells.
            return
        connection.setblocking(False)
        yield connection


async def _connected(connect: Connect, connection: socket.socket) -> None:
    # Where the handshake of TLS fails, nobody is there to be told.
    with suppress(OSError):
        await connect(connection)
