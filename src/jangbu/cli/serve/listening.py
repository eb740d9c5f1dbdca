"""The sockets that are listened on, and the address under which people find them."""

import errno
import socket

from jangbu.errors import JangbuError

__all__ = ["address", "listen"]

_BACKLOG = 2048
_MILLISECONDS_MAX = 2**31 - 1
_UNSENT_BYTES = 128 * 1024
_OF_THE_PORT = frozenset({errno.EADDRINUSE, errno.EACCES})
"""It is taken, or for those with more rights."""


def listen(host: str, port: int, *, workers: int, client_seconds: int) -> list[socket.socket]:
    """Take the port before anything is started, with a socket for each worker; a client may take no bytes for so long.

    Raises JangbuError.
    """
    listeners: list[socket.socket] = []
    try:
        listeners.append(socket.create_server((host, port), family=_family(host), backlog=_BACKLOG))
        if workers > 1:
            # It is shared when it is taken, and not before: nobody else shall have it.
            listeners[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        while len(listeners) < workers:
            listeners.append(_beside(listeners[0]))
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise _refusal(host, port, error) from error
    for listener in listeners:
        _limit_unread(listener, client_seconds)
        # Connections inherit it. Python's own loop sets it on none that somebody else took: an answer's end would wait.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listeners


def _refusal(host: str, port: int, error: OSError) -> JangbuError:
    """Say why nothing can be listened on; where it is not the port's, it is the address that is wrong."""
    # Python says in brackets once more what was attempted.
    reason = (error.strerror or str(error)).partition(" (")[0]
    hint = "choose another --port"
    if error.errno not in _OF_THE_PORT:
        hint = "choose as --host an address of this machine, or 0.0.0.0 for all that it has"
    return JangbuError(f"{_place(host, port)} cannot be listened on: {reason}", hint=hint)


def _beside(listener: socket.socket) -> socket.socket:
    return socket.create_server(listener.getsockname()[:2], family=listener.family, backlog=_BACKLOG, reuse_port=True)


def address(host: str, port: int, *, secure: bool) -> str:
    """Give the URL of the service."""
    return f"{'https' if secure else 'http'}://{_place(host, port)}"


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _limit_unread(listener: socket.socket, seconds: int) -> None:
    """Have the system end a connection whose client takes nothing of what it was sent, also one that is closing.

    And have it keep little that is not sent yet: with megabytes of its own it takes nothing more from us until about
    one of them was read, and a client that reads slowly looks like one that does not read at all. Connections inherit
    both. Where the system has no such option its own, longer, limits hold.
    """
    options = {
        "TCP_USER_TIMEOUT": min(seconds * 1_000, _MILLISECONDS_MAX),
        "TCP_NOTSENT_LOWAT": _UNSENT_BYTES,
    }
    for name, value in options.items():
        if (option := getattr(socket, name, None)) is not None:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
