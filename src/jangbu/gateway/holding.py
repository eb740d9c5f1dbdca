"""Which bytes of an answer may pass at once, and which wait until the record is durable. Without I/O.

The client has the whole answer only when its last bytes have come, so only those wait: a stream goes on at the pace at
which it is generated, a large image flows through without being kept.
"""

import re
from typing import Protocol

__all__ = ["HoldBack", "LastEvents", "WholeBody"]

KEPT_BYTES_MAX = 256 * 1024
"""Up to here a body waits as a whole, so that its headers can say what it cost."""

TAIL_BYTES = 1024
"""So many bytes at most wait of a large body: without them nobody has the whole of it."""

# Enums are words, or numbers for clients that ask for them so. Usage alone is no mark of an end: chats and interactions
# report it as they go, too. At the end of a chat it comes without a choice.
_MAY_BE_LAST = re.compile(
    rb'"(?:finish|block)_?[rR]eason"\s*:\s*["0-9]|\[DONE\]|interaction\.complete|"choices"\s*:\s*\[\s*\]'
)
_LONGEST_MARK = 40


class HoldBack(Protocol):
    """Takes the pieces of an answer as they come, and gives those that may pass."""

    def push(self, piece: bytes) -> list[bytes]:
        """Take the next piece; give what may pass now."""
        ...

    def rest(self) -> bytes:
        """Give what waited, once the record is durable."""
        ...


class WholeBody:
    """Keeps a body that is small; of a larger one only its latest bytes. ``announced`` is its length, where known."""

    def __init__(self, announced: int | None = None, *, most: int = KEPT_BYTES_MAX) -> None:
        self._most = most if announced is None or announced <= most else 0
        self._kept: list[bytes] = []
        self._size = 0

    def push(self, piece: bytes) -> list[bytes]:
        """Take the next piece; give what may pass now."""
        self._kept.append(piece)
        self._size += len(piece)
        if self._size <= self._most:
            return []
        *passed, last = self._kept
        if len(last) > TAIL_BYTES:
            passed.append(last[:-TAIL_BYTES])
            last = last[-TAIL_BYTES:]
        self._kept = [last]
        return passed

    def rest(self) -> bytes:
        """Give what waited."""
        rest, self._kept = b"".join(self._kept), []
        return rest


class LastEvents:
    """Passes the pieces of a stream at once, until one says that the answer may end here: from then on the latest
    piece waits for the next, or for the record. Marks are found also where pieces cut through them.
    """

    def __init__(self) -> None:
        self._may_end = False
        self._tail = b""
        self._kept = b""

    def push(self, piece: bytes) -> list[bytes]:
        """Take the next piece; give what may pass now."""
        if not self._may_end:
            recent = self._tail + piece
            self._may_end = _may_be_last(recent)
            self._tail = recent[-_LONGEST_MARK:]
        if not self._may_end:
            return [piece]
        passed, self._kept = self._kept, piece
        return [passed] if passed else []

    def rest(self) -> bytes:
        """Give what waited."""
        rest, self._kept = self._kept, b""
        return rest


def _may_be_last(recent: bytes) -> bool:
    """Look for what is in the marks before the marks themselves: most pieces have nothing of it, and that is quick."""
    if b'eason"' in recent or b"[DONE]" in recent or b"interaction.complete" in recent or b'"choices"' in recent:
        return _MAY_BE_LAST.search(recent) is not None
    return False
