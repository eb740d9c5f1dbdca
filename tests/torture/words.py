"""What processes tell the harness, line by line over one pipe: what was said before a kill stays said.

A line is shorter than what a pipe takes in one piece, so those of many processes never mix, and a process whose disk is
full can still speak.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

__all__ = ["Ear", "Say"]

_LINE_BYTES_MAX = 4_000


class Say:
    """Says what happened in one life: a word and its facts. When it returns, the harness will hear it."""

    def __init__(self, descriptor: int, life: int) -> None:
        self._descriptor = descriptor
        self._life = life

    def __call__(self, word: str, **facts: Any) -> None:
        line = json.dumps([word, self._life, facts], separators=(",", ":")).encode() + b"\n"
        assert len(line) < _LINE_BYTES_MAX, "a line goes through in one piece"
        os.write(self._descriptor, line)


class Ear:
    """Puts the bytes of the pipe together to lines again."""

    def __init__(self) -> None:
        self._rest = b""

    def heard(self, data: bytes) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Give what was said in whole: the word, whose life it was, and the facts."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            word, life, facts = json.loads(line)
            yield word, life, facts
