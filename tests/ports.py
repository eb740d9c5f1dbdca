"""Ports for processes that are told on which to listen: nobody else takes one between its choice and its use."""

import os
import socket
from itertools import count

# What is bound to port 0 gets one of those from 32768 on, and so does the near end of every connection.
_FIRST, _EACH, _WORKERS = 12_000, 1_000, 20
_numbers = count(os.getpid())


def free_port() -> int:
    """Give a port that nobody listens on: the next one of the range that is this worker's own."""
    for _ in range(_EACH):
        port = _first() + next(_numbers) % _EACH
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError(f"all of {_EACH} ports are taken")


def _first() -> int:
    """Give the first port of this worker's range; without workers there is one range."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return _FIRST + int(worker) % _WORKERS * _EACH
