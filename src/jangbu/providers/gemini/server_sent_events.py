"""Server-sent events out of bytes, as they arrive."""

from collections.abc import Iterator

EVENT_BYTES_MOST = 64 * 2**20
"""The largest event that is read. A larger one is passed over, and the answer then counts as broken off."""

_DATA = b"data:"
_DONE = b"[DONE]"
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")


class ServerSentEvents:
    """Splits an event stream: any line ending, comments, data over several lines."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._after_return = False
        self.oversized = False
        self.done = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Give the data of each event that the chunk ends."""
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if chunk:
            self._after_return = chunk.endswith(b"\r")
        for piece in chunk.splitlines(keepends=True):
            self._keep(piece)
            if piece.endswith((b"\n", b"\r")):
                yield from self._end_line()

    def lone(self, chunk: bytes) -> bytes | None:
        """Give the data of an event that is all of a chunk, where nothing waits for more: most come so, and no lines
        are looked for. None for any other chunk, of which nothing is taken in.
        """
        if self._line or self._data or not (chunk.startswith(_DATA) and chunk.endswith(_EVENT_ENDS)):
            return None
        line = chunk[len(_DATA) :].rstrip(b"\r\n")
        data = line.strip()
        if not data or data == _DONE or b"\n" in line or b"\r" in line:
            return None
        self._after_return = False
        return data

    def finish(self) -> Iterator[bytes]:
        """Give the last event, which a file may leave without its blank line."""
        if self._line:
            yield from self._end_line()
        yield from self._dispatch()

    def _keep(self, piece: bytes) -> None:
        if self._size + len(self._line) + len(piece) > EVENT_BYTES_MOST:
            self.oversized = True
            self._line.clear()
            self._data.clear()
            self._size = 0
            if not piece.endswith((b"\n", b"\r")):
                return
        self._line += piece

    def _end_line(self) -> Iterator[bytes]:
        line = bytes(self._line.rstrip(b"\r\n"))
        self._line.clear()
        if not line:
            yield from self._dispatch()
        elif line.startswith(_DATA):
            data = line[len(_DATA) :].removeprefix(b" ")
            self._data.append(data)
            self._size += len(data)

    def _dispatch(self) -> Iterator[bytes]:
        data = b"\n".join(self._data).strip()
        self._data.clear()
        self._size = 0
        if data == _DONE:
            self.done = True
        elif data:
            yield data
