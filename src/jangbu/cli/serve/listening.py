"""The socket that is listened on, and the address under which people find it."""

import socket

from jangbu.errors import JangbuError

__all__ = ["address", "listen"]

_BACKLOG = 2048
_MILLISECONDS_MAX = 2**31 - 1
_UNSENT_BYTES = 128 * 1024


def listen(host: str, port: int, *, client_seconds: int) -> socket.socket:
    """Take the port before anything is started; a client may take no bytes for so long. Raises JangbuError."""
    try:
        listener = socket.create_server((host, port), family=_family(host), backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise JangbuError(f"{host}:{port} cannot be listened on: {reason}", hint="choose another --port") from error
    _limit_unread(listener, client_seconds)
    return listener


def address(host: str, port: int, *, secure: bool) -> str:
    """Give the URL of the service."""
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{shown}:{port}"


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
