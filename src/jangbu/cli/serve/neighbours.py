"""Connections that came to another worker and were not taken, because it is busy, or has died and is started again.

Each worker has a socket of its own, among which the system divides what comes: of one socket that all listened on,
whoever wakes first would take nearly all connections of a moment. In exchange a worker looks after its neighbours.
"""

import asyncio
import socket
from collections.abc import Sequence

from jangbu.cli.serve.accepting import Accepting

__all__ = ["take_over"]

_EVERY_SECONDS = 0.05
_AT_ONCE_MAX = 16
"""How many connections of one neighbour are taken at a look: there may be others who look, too."""


async def take_over(listeners: Sequence[socket.socket], accepting: Accepting) -> None:
    """Serve what waits on the neighbours' sockets, until cancelled."""
    for listener in listeners:
        listener.setblocking(False)
    while listeners:
        await asyncio.sleep(_EVERY_SECONDS)
        for listener in listeners:
            accepting.take(listener, _AT_ONCE_MAX)
