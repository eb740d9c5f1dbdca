"""JSON objects out of bytes, as they arrive: the elements of an array, or objects that follow one another."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jangbu.providers.gemini.server_sent_events import EVENT_BYTES_MOST

BLANK = b" \t\r\n"

_STRUCTURE = re.compile(rb'[{}\[\]"]')
_IN_STRING = re.compile(rb'(?:[^"\\]+|\\.)*+', re.DOTALL)
_WHOLE_DIGITS_MOST = 40
_UTF_8_BEGINS = (b'{"', b"{\n", b"{\r\n", b"{ ")


def load(event: bytes | bytearray) -> Any:
    """Parse one JSON text; raises ValueError for any bytes that are none, however deep or long."""
    try:
        return _DECODER.decode(event.decode(_encoding(event), "surrogatepass"))
    except RecursionError as error:
        raise ValueError("the JSON is nested too deep") from error


def json_or_nothing(content: bytes | str) -> Mapping[str, Any]:
    """Read a JSON object of the provider's; nothing where it is none."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class JsonValues:
    """Splits a JSON array into its elements, or JSON objects that follow one another into each."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._start = -1
        self._depth = 0
        self._in_string = False
        self._array: bool | None = None
        self.closed = False
        self.malformed = False
        self.oversized = False

    @property
    def is_array(self) -> bool:
        """Whether the text began as an array."""
        return bool(self._array)

    @property
    def is_untouched(self) -> bool:
        """Whether nothing was taken in that is not given out: the next bytes begin a value, if they are no array."""
        return self._array is None and not self._buffer and not self.malformed

    @property
    def is_open(self) -> bool:
        """Whether the text ends inside a value, or an array was not closed."""
        return self._depth > 0 or (self.is_array and not self.closed)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Give each object that the chunk ends."""
        if self.malformed or self.oversized:
            return
        self._buffer += chunk
        while not self.malformed:
            if self._in_string and not self._leave_string():
                break
            found = _STRUCTURE.search(self._buffer, self._scanned)
            if found is None:
                self._scanned = len(self._buffer)
                break
            self._scanned = found.end()
            yield from self._step(self._buffer[found.start()], found.start())
        if len(self._buffer) > EVENT_BYTES_MOST:
            self.oversized = True
            self._buffer.clear()

    def finish(self) -> None:
        """Look at what is left over."""
        if self._start < 0 and self._buffer.strip(BLANK):
            self.malformed = True

    def _leave_string(self) -> bool:
        inside = _IN_STRING.match(self._buffer, self._scanned)
        self._scanned = inside.end() if inside else self._scanned
        if self._scanned >= len(self._buffer) or self._buffer[self._scanned] != ord('"'):
            return False
        self._scanned += 1
        self._in_string = False
        return True

    def _step(self, sign: int, at: int) -> Iterator[bytes]:
        base = 1 if self._array else 0
        if sign == ord('"'):
            self._in_string = True
            self.malformed = self._depth == base
        elif sign in b"{[":
            if self._depth == base:
                self._open(sign, at)
            self._depth += 1
        else:
            self._depth -= 1
            if self._start >= 0 and self._depth == (1 if self._array else 0):
                yield bytes(self._buffer[self._start : at + 1])
                del self._buffer[: at + 1]
                self._scanned, self._start = 0, -1
            elif self._depth <= 0:
                self.malformed = self.malformed or self._depth < 0 or bool(self._buffer[:at].strip(BLANK + b","))
                del self._buffer[: at + 1]
                self._scanned = 0
                self.closed = True

    def _open(self, sign: int, at: int) -> None:
        """Begin a value; between values there may be blanks, and commas in an array."""
        between = self._buffer[:at].strip(BLANK + (b"," if self._array else b""))
        if self._array is None:
            self._array = sign == ord("[")
            if self._array:
                self.malformed = bool(between)
                del self._buffer[: at + 1]
                self._scanned = 0
                return
        self.malformed = bool(between) or sign != ord("{") or self.closed
        self._start = at


def _encoding(event: bytes | bytearray) -> str:
    """Tell how a JSON text is encoded: nearly all begin as only UTF-8 does."""
    return "utf-8" if event.startswith(_UTF_8_BEGINS) else json.detect_encoding(event)


def _whole(digits: str) -> int | str:
    """Keep an absurdly long number as its text: Python refuses to convert it, and no count is that long."""
    return int(digits) if len(digits) <= _WHOLE_DIGITS_MOST else digits


# Made once: json.loads would make one anew for each event.
_DECODER = json.JSONDecoder(parse_int=_whole, parse_constant=str)
