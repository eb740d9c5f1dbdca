"""What the fake Gemini answered, line by line: the ground truth that a meter is compared with.

Each answer is one line of JSON, handed to the operating system before the last byte of the answer is sent, so whoever
saw a whole answer finds it here, even after a kill -9 of the fake. Where the client turned out to be gone after that,
a second line with the same order number amends the first.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = ["Answer", "AnswerLog", "read_answers"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the fake. Usage objects are in the words of the surface.

    ``reported`` is the last usage object of which every byte was handed over, None where there was none; ``counted``
    is what Google would charge for, whether or not the client got to read it. ``members`` are the single answers of a
    batch. ``labels`` are the request's own ``labels`` and those headers that the fake was told to keep.
    """

    order: int
    at: str
    method: str
    path: str
    surface: str
    status: int
    model: str | None = None
    user: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    response_id: str | None = None
    reported: Mapping[str, Any] | None = field(default=None, hash=False)
    counted: Mapping[str, Any] | None = field(default=None, hash=False)
    members: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    behaviour: str = ""
    completely_sent: bool = True


def read_answers(path: str | Path) -> list[Answer]:
    """Read a log that a fake wrote or is writing, in order. A last line that is not finished yet is left out."""
    lines = Path(path).read_bytes().split(b"\n")[:-1]
    return _fold(json.loads(line) for line in lines)


class AnswerLog:
    """The append-only log: a file where one is given, else memory. ``sync`` also has each line reach the disk."""

    def __init__(self, path: Path | None = None, *, sync: bool = False) -> None:
        self._path = path
        self._sync = sync
        self._lines: list[dict[str, Any]] = []
        self._descriptor: int | None = None
        self._order = 0
        if path is not None:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._order = max((answer.order for answer in read_answers(path)), default=0)
            self._end_torn_line()

    def next_order(self) -> int:
        """Give the next order number; numbers go on where an earlier fake on the same file left off."""
        self._order += 1
        return self._order

    def append(self, answer: Answer) -> None:
        """Write one answer; when this returns, another process can read it."""
        self._write(asdict(answer))

    def amend_as_cut(self, answer: Answer) -> None:
        """Note that an answer written as complete did not reach the client after all."""
        self._write({"order": answer.order, "completely_sent": False})

    def answers(self) -> list[Answer]:
        """Give all answers so far, in order."""
        return _fold(list(self._lines)) if self._path is None else read_answers(self._path)

    def close(self) -> None:
        """Close the file; the answers stay readable."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, line: dict[str, Any]) -> None:
        if self._path is None:
            self._lines.append(line)
        elif self._descriptor is not None:
            os.write(self._descriptor, json.dumps(line, separators=(",", ":")).encode() + b"\n")
            if self._sync:
                os.fdatasync(self._descriptor)

    def _end_torn_line(self) -> None:
        """End a line that a killed predecessor left half-written, so that ours does not run into it."""
        assert self._descriptor is not None
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.ftruncate(self._descriptor, self._last_line_end(size))

    def _last_line_end(self, size: int) -> int:
        assert self._descriptor is not None
        return os.pread(self._descriptor, size, 0).rfind(b"\n") + 1


def _fold(lines: Iterable[dict[str, Any]]) -> list[Answer]:
    answers: dict[int, Answer] = {}
    for line in lines:
        known = answers.get(line["order"])
        if known is None:
            answers[line["order"]] = Answer(**{**line, "members": tuple(line["members"])})
        else:
            answers[known.order] = replace(known, completely_sent=line["completely_sent"])
    return [answers[order] for order in sorted(answers)]
