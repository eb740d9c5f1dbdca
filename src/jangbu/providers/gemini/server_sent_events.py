"""Server-sent events out of bytes, as they arrive."""

from collections.abc import Iterator

EVENT_BYTES_MOST = 64 * 2**20
"""The largest event that is read. A larger one is passed over, and the answer then counts as broken off."""


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
        elif line.startswith(b"data:"):
            data = line[5:].removeprefix(b" ")
            self._data.append(data)
            self._size += len(data)

    def _dispatch(self) -> Iterator[bytes]:
        data = b"\n".join(self._data).strip()
        self._data.clear()
        self._size = 0
        if data == b"[DONE]":
            self.done = True
        elif data:
            yield data
