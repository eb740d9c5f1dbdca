"""The requests of a batch that stand in a file, one JSON object on each line: what they name and cost at most.

A file cannot be read back from the provider, so its lines are read while they pass. No more than one line is kept at a
time, and a file whose first line is no request (a video, a PDF) is not read on.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, TypeVar

from jangbu.domain.flow import Bounds
from jangbu.domain.usage import COUNT_MAX, Platform
from jangbu.errors import InvalidInput
from jangbu.providers.gemini import request
from jangbu.providers.gemini.app_resources import AppResource, Use, app_resources
from jangbu.providers.gemini.fields import MODEL_FIELDS, Field, fields
from jangbu.providers.gemini.limits import largest_input, output_limit
from jangbu.providers.gemini.references import references

__all__ = ["LINE_BYTES_MAX", "BatchLines", "BatchLinesReader", "source_file"]

LINE_BYTES_MAX = 20_000_000
NAMES_MAX = 10_000
NAMES_LENGTH_MAX = 1_000_000
"""As many characters as all names together may have: they are kept for as long as the file lives."""
_BLANK = b" \t\r"
_BEGINNING = 1_024
_SOURCE, _INLINE = ("inputconfig", "filename"), ("inputconfig", "requests")

Named = TypeVar("Named", str, AppResource)


@dataclass(frozen=True, slots=True)
class BatchLines:
    """What the lines of a file ask for together; tokens are those that they can cost at most.

    ``unbounded`` counts the lines whose input only the provider can tell, which are not in ``input_most``, and
    ``unlimited`` the candidates whose output has no limit of its own, which are not in ``output_most``.
    """

    lines: int
    input_most: int
    unbounded: int
    output_most: int
    unlimited: int
    models: tuple[str, ...]
    references: tuple[str, ...]
    app_resources: tuple[AppResource, ...]

    @classmethod
    def loaded(cls, stored: Mapping[str, Any]) -> Self:
        """Read what ``stored`` wrote."""
        resources = tuple(AppResource(Use(use), name, reason) for use, name, reason in stored["app_resources"])
        names = {name: tuple(stored[name]) for name in ("models", "references")}
        return cls(**{**stored, **names, "app_resources": resources})

    def stored(self) -> dict[str, Any]:
        """Write it as JSON has it."""
        resources = [[named.use.value, named.name, named.reason] for named in self.app_resources]
        return {**asdict(self), "app_resources": resources}

    def bounds(self, model: str | None, *, writes: bool) -> Bounds:
        """Bound the lines by the limits of the model that answers them; ``writes`` says whether it writes tokens.

        What nothing bounds counts with all that the model takes.
        """
        limit = largest_input(model)
        output = self.output_most + self.unlimited * output_limit(model) if writes else 0
        most = self.input_most + self.unbounded * limit
        return Bounds(min(most, COUNT_MAX), min(output, COUNT_MAX), output_chosen=True)


class BatchLinesReader:
    """Reads a file as it passes, in pieces that may be cut anywhere.

    ``parse`` reads the JSON object of a line, and raises InvalidInput for what two readers could read differently.
    """

    def __init__(self, parse: Callable[[bytes], Mapping[str, Any]]) -> None:
        self._parse = parse
        self._line = bytearray()
        self._is_batch = True
        self._lines = self._input = self._unbounded = self._output = self._unlimited = 0
        self._models: set[str] = set()
        self._references: set[str] = set()
        self._resources: set[AppResource] = set()
        self._names = self._names_length = 0

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        if not self._is_batch:
            return
        first, *others = piece.split(b"\n")
        self._line += first
        for other in others:
            self._end_line()
            self._line += other
        if len(self._line) > LINE_BYTES_MAX or (self._lines == 0 and not _may_be_object(self._line)):
            self._give_up()

    def finish(self) -> BatchLines | None:
        """Give what the whole file asks for; None where it is no file of requests, or cannot be judged by its lines."""
        self._end_line()
        if not self._is_batch or self._lines == 0:
            return None
        return BatchLines(
            self._lines,
            self._input,
            self._unbounded,
            self._output,
            self._unlimited,
            tuple(sorted(self._models)),
            tuple(sorted(self._references)),
            tuple(sorted(self._resources, key=lambda named: (named.use, named.name))),
        )

    def _end_line(self) -> None:
        line = bytes(self._line).strip(_BLANK)
        self._line.clear()
        if not self._is_batch or not line:
            return
        try:
            self._take(self._parse(line))
        except InvalidInput:
            self._give_up()

    def _take(self, line: Mapping[str, Any]) -> None:
        single = line.get("request")
        if not isinstance(single, Mapping):
            raise InvalidInput("the line holds no request")
        # A key is the caller's own word for the line, whatever it looks like.
        found = fields({name: value for name, value in line.items() if name != "key"})
        bounds = request.bounds("generateContent", single, None)
        self._lines += 1
        self._unbounded += bounds.input_most is None
        self._input += (bounds.input_most or 0) + bounds.fed_back_most
        if bounds.output_chosen:
            self._output += bounds.output_most
        else:
            self._unlimited += bounds.candidates
        self._add(self._models, _models(found), str)
        self._add(self._references, references(found), str)
        self._add(self._resources, app_resources(found, Platform.GEMINI_API), lambda named: named.name)

    def _add(self, known: set[Named], found: Iterable[Named], text: Callable[[Named], str]) -> None:
        """Keep what is named. Raises InvalidInput where that is too much, or cannot be stored."""
        for named in found:
            if named in known:
                continue
            known.add(named)
            self._names += 1
            self._names_length += len(text(named))
            if self._names > NAMES_MAX or self._names_length > NAMES_LENGTH_MAX or not text(named).isprintable():
                raise InvalidInput("the lines name too much, or what is no name")

    def _give_up(self) -> None:
        self._is_batch = False
        self._line.clear()


def source_file(found: Iterable[Field]) -> str | None:
    """Name the file in which the requests of a batch stand; None where it names none.

    Raises InvalidInput where there is more than one source, because nobody can tell which the provider takes.
    """
    given = [(path[-2:], value) for path, value in found if path[-2:] in (_SOURCE, _INLINE)]
    files = [value for path, value in given if path == _SOURCE]
    if not files:
        return None
    named = references([(_SOURCE, files[0])])
    if len(given) != 1 or len(named) != 1:
        raise InvalidInput("a batch takes its requests from one file, or inline", hint="give one of the two")
    return named[0]


def _may_be_object(line: bytearray) -> bool:
    beginning = bytes(line[:_BEGINNING]).lstrip(_BLANK)
    return not beginning or beginning.startswith(b"{")


def _models(found: Iterable[Field]) -> list[str]:
    """Give the models that a line names, wherever it does, as it writes them."""
    given = [value for path, value in found if path[-1] in MODEL_FIELDS and value is not None]
    if not all(isinstance(model, str) for model in given):
        raise InvalidInput("the line's model is no text")
    return given
