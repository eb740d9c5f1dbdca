"""The socket that is listened on, and the address under which people find it."""

import socket

from jangbu.errors import JangbuError

__all__ = ["address", "listen"]

_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything is started. Raises JangbuError."""
    try:
        return socket.create_server((host, port), family=_family(host), backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise JangbuError(f"{host}:{port} cannot be listened on: {reason}", hint="choose another --port") from error


def address(host: str, port: int, *, secure: bool) -> str:
    """Give the URL of the service."""
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{shown}:{port}"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
