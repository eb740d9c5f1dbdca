"""When a stream has said all it had to say, judged by what it said.

Recorded streams name a finishReason in the last chunk; but server-side tools finish in chunk 0 and go on, and chunks
with grounding alone may follow the finish. So content without a finishReason opens a candidate and a finishReason
closes it; a chunk without content changes nothing.
"""

from collections.abc import Mapping
from typing import Any


class Candidates:
    """The candidates of one stream, each open or closed."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._closed: set[int] = set()
        self.answered = False

    @property
    def seen(self) -> bool:
        """Whether there was any candidate at all."""
        return bool(self._open or self._closed)

    @property
    def closed(self) -> bool:
        """Whether at least one candidate finished and none is open."""
        return bool(self._closed) and not self._open

    def read(self, candidate: Mapping[str, Any]) -> None:
        """Take one candidate of the next chunk."""
        index = candidate.get("index")
        number = index if isinstance(index, int) else 0
        has_content = _has_parts(candidate.get("content"))
        self.answered = self.answered or has_content
        if candidate.get("finishReason"):
            self._open.discard(number)
            self._closed.add(number)
        elif has_content or number not in self._closed:
            self._open.add(number)
            self._closed.discard(number)


def _has_parts(content: object) -> bool:
    return isinstance(content, (dict, Mapping)) and bool(content.get("parts"))
