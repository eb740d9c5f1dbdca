"""Whether a server answers: by the protocol, because a process id proves nothing (a zombie has one too)."""

import socket
import struct
from enum import Enum
from pathlib import Path

from jangbu.storage.embedded.places import PORT

_PROTOCOL_VERSION = 3 << 16
_CANNOT_CONNECT_NOW = b"C57P03\0"
_PATIENCE_SECONDS = 5


class Liveness(Enum):
    """What a server says to somebody who knocks."""

    SERVING = "serving"
    STARTING = "starting"
    """It is up and not ready: starting, recovering from a crash, or shutting down."""
    SILENT = "silent"


def knock(socket_dir: Path) -> Liveness:
    """Begin a session as any client would and see whether the server asks for the password."""
    payload = struct.pack("!i", _PROTOCOL_VERSION) + b"user\0jangbu\0database\0jangbu\0\0"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_PATIENCE_SECONDS)
            client.connect(str(socket_dir / f".s.PGSQL.{PORT}"))
            client.sendall(struct.pack("!i", len(payload) + 4) + payload)
            answer = client.recv(4096)
    except OSError:
        return Liveness.SILENT
    if not answer:
        return Liveness.SILENT
    if answer.startswith(b"E") and _CANNOT_CONNECT_NOW in answer:
        return Liveness.STARTING
    # Any other word, a refusal for too many clients included, comes from a server at work.
    return Liveness.SERVING
