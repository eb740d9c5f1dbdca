"""How the fake is told to misbehave: in a header of one request, in a queue, or by rules on the model.

A behaviour is written as items parted by semicolons, in the header ``x-fake-behaviour`` as well as in code::

    429; retry_after=3        an error of Google's, of that status
    blocked                   the prompt is blocked: no candidates, no counts
    safety | continuation     another finishReason (or finish=RECITATION)
    cut | cut=2               the connection breaks in mid-body, or after so many chunks of a stream
    error_after=2             a stream turns into an error object after so many chunks
    garbage | html            a 200 whose body is no JSON
    delay=0.2; chunk_delay=1  seconds before the first byte, and between chunks
    usage=missing             or one of ``ODD_USAGES``
    prompt=100; candidates=7; thoughts=9; tool=3; cached=50    counts to report, as from a trace
    chunks=8; image_bytes=2000000; model_version=gemini-2.5-flash; shrinking_prompt
"""

from collections import deque
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from jangbu.errors import InvalidInput

__all__ = ["ODD_USAGES", "Behaviour", "Behaviours", "Recorded"]

ODD_USAGES = ("missing", "empty", "null", "negative", "string", "word", "float", "nan", "bool", "huge", "mismatch")
"""What may be odd about a usage object: absent, ``{}``, null, counts of another type or range, a wrong total."""

_WORDS: dict[str, dict[str, Any]] = {
    "safety": {"finish": "SAFETY"},
    "continuation": {"finish": "CONTINUATION"},
    "cut": {"cut": 1},
    "garbage": {"garbage": "text"},
    "html": {"garbage": "html"},
    "blocked": {"blocked": True},
    "shrinking_prompt": {"shrinking_prompt": True},
}
_SUFFIXES = {".sse": "text/event-stream", ".json": "application/json; charset=UTF-8", ".html": "text/html"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer to be served byte for byte. Event streams are sent event by event, all else in one piece."""

    body: bytes
    content_type: str = "application/json; charset=UTF-8"
    status: int = 200

    @classmethod
    def from_file(cls, path: str | Path, *, status: int = 200) -> Self:
        """Read the body from a file, and its content type from the file's suffix."""
        path = Path(path)
        return cls(path.read_bytes(), _SUFFIXES.get(path.suffix, "application/octet-stream"), status)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What to do with one request; the default is to answer it well. Counts are tokens, delays seconds."""

    status: int = 200
    retry_after: int = 1
    blocked: bool = False
    finish: str | None = None
    cut: int | None = None
    error_after: int | None = None
    garbage: str | None = None
    delay: float = 0.0
    chunk_delay: float | None = None
    usage: str | None = None
    shrinking_prompt: bool = False
    prompt: int | None = None
    candidates: int | None = None
    thoughts: int | None = None
    tool: int | None = None
    cached: int | None = None
    chunks: int | None = None
    image_bytes: int | None = None
    model_version: str | None = None
    recorded: Recorded | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.usage is not None and self.usage not in ODD_USAGES:
            raise InvalidInput(f"there is no odd usage {self.usage!r}", hint=f"one of {', '.join(ODD_USAGES)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a behaviour from its written form. Raises InvalidInput for a word that is none."""
        values: dict[str, Any] = {}
        for item in filter(None, (item.strip() for item in text.split(";"))):
            values |= _item_values(item)
        return cls(**values)

    def __str__(self) -> str:
        """Write what differs from the default, in the form that ``parse`` reads."""
        default = Behaviour()
        names = [entry.name for entry in fields(self) if getattr(self, entry.name) != getattr(default, entry.name)]
        return "; ".join("recorded" if name == "recorded" else f"{name}={getattr(self, name)}" for name in names)


class Behaviours:
    """Decides how each request is treated: its own header first, then the queue, then the latest rule that fits."""

    def __init__(self, usual: Behaviour | None = None) -> None:
        self._usual = usual or Behaviour()
        self._queue: deque[Behaviour] = deque()
        self._rules: list[tuple[str, str, Behaviour]] = []

    def enqueue(self, behaviour: Behaviour | str, times: int = 1) -> None:
        """Treat the next so many requests this way."""
        self._queue.extend([as_behaviour(behaviour)] * times)

    def add_rule(self, behaviour: Behaviour | str, *, model: str = "", path: str = "") -> None:
        """Treat all requests this way whose model begins with ``model`` and whose path contains ``path``."""
        self._rules.insert(0, (model, path, as_behaviour(behaviour)))

    def clear(self) -> None:
        """Forget the queue and the rules."""
        self._queue.clear()
        self._rules.clear()

    def choose(self, *, header: str | None, model: str, path: str) -> Behaviour:
        """Give the behaviour for one request; taking it from the queue uses it up."""
        if header is not None:
            return Behaviour.parse(header)
        if self._queue:
            return self._queue.popleft()
        for model_prefix, path_part, behaviour in self._rules:
            if model.startswith(model_prefix) and path_part in path:
                return behaviour
        return self._usual


def as_behaviour(behaviour: Behaviour | str) -> Behaviour:
    """Take a behaviour as it is, or read its written form."""
    return Behaviour.parse(behaviour) if isinstance(behaviour, str) else behaviour


def _item_values(item: str) -> dict[str, Any]:
    name, given, text = (part.strip() for part in item.partition("="))
    if not given and name.isdigit():
        return {"status": int(name)}
    if not given and name in _WORDS:
        return _WORDS[name]
    kinds = {entry.name: entry.type for entry in fields(Behaviour) if entry.name != "recorded"}
    if name not in kinds or not text:
        raise InvalidInput(f"{item!r} is no behaviour of the fake", hint="see jangbu.testing.behaviours")
    try:
        return {name: _read_value(kinds[name], text)}
    except ValueError as failure:
        raise InvalidInput(f"{item!r} has no value that {name} can take") from failure


def _read_value(kind: object, text: str) -> object:
    if kind in {int, int | None}:
        return int(text)
    if kind in {float, float | None}:
        return float(text)
    if kind is bool:
        return text.lower() in {"1", "true", "yes"}
    return text
