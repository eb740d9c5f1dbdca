"""PostgreSQL's messages, as much of them as tells which statement is run and whether it was committed."""

import struct
from collections.abc import Iterator

__all__ = ["Answer", "Requests"]

_LENGTH = struct.Struct("!I")
_NAMES = {
    "flush": (b"INSERT INTO jangbu.usage (", b"INSERT INTO guide.token_usage"),
    "hold": (b"INSERT INTO jangbu.holds (",),
    "grant": (b"INSERT INTO jangbu.grants",),
    "release": (b"SET state = 'released'",),
    "deduct": (b"UPDATE guide.user_tokens",),
}
"""What is in the text of each kind of statement."""


class Requests:
    """Reads what a client sends: whose connection it is, and the statements that it runs."""

    def __init__(self) -> None:
        self._rest = b""
        self._has_begun = False
        self._kinds: dict[bytes, str | None] = {}
        self.life = 0

    def feed(self, data: bytes) -> Iterator[str]:
        """Take the next bytes; give the kinds of the statements that they run, where they are of interest."""
        self._rest += data
        if not self._has_begun:
            if len(self._rest) < _LENGTH.size or len(self._rest) < (size := _LENGTH.unpack_from(self._rest)[0]):
                return
            self._has_begun = True
            self.life = _life(self._rest[:size])
            self._rest = self._rest[size:]
        for kind, body in self._messages():
            if kind == b"P":
                name, _, text = body.partition(b"\0")
                self._kinds[name] = _kind(text)
            elif kind == b"B":
                name = body.split(b"\0", 2)[1]
                if (found := self._kinds.get(name)) is not None:
                    yield found

    def _messages(self) -> Iterator[tuple[bytes, bytes]]:
        while len(self._rest) > _LENGTH.size:
            end = 1 + _LENGTH.unpack_from(self._rest, 1)[0]
            if len(self._rest) < end:
                return
            message, self._rest = self._rest[:end], self._rest[end:]
            yield message[:1], message[1 + _LENGTH.size :]


class Answer:
    """Reads what the server answers to one statement."""

    def __init__(self) -> None:
        self._rest = b""
        self._failed = False
        self._done = False

    def feed(self, data: bytes) -> bool | None:
        """Take the next bytes; tell whether the statement was committed, or None while that is not known."""
        self._rest += data
        while len(self._rest) > _LENGTH.size:
            end = 1 + _LENGTH.unpack_from(self._rest, 1)[0]
            if len(self._rest) < end:
                return None
            message, self._rest = self._rest[:end], self._rest[end:]
            match message[:1]:
                case b"E":
                    self._failed = True
                case b"C":
                    # What gave no row found that it is not the statement for this record, and changed nothing.
                    self._done = not message[5:].startswith(b"SELECT 0")
                case b"s":
                    # Whoever asked for one row has it.
                    self._done = True
                case b"Z":
                    return self._done and not self._failed and message[5:6] == b"I"
        return None


def _life(startup: bytes) -> int:
    _, _, rest = startup.partition(b"application_name\0life-")
    number = rest.partition(b"\0")[0]
    return int(number) if number.isdigit() else 0


def _kind(text: bytes) -> str | None:
    return next((kind for kind, marks in _NAMES.items() if any(mark in text for mark in marks)), None)
