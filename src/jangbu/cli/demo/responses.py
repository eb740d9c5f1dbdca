"""Recorded answers of Gemini, metered for the users of a demo and held beside the counts that an index expects."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jangbu.cli.values import utf_8
from jangbu.domain.usage import Source, Units, Usage
from jangbu.errors import InvalidAnswer, InvalidInput
from jangbu.metering.meter import Metering
from jangbu.providers.gemini import parse
from jangbu.storage.usage import UsageRecord

__all__ = ["Difference", "RecordedAnswer", "Responses", "read_responses", "record_responses"]

FILE_TAG = "file"
SERVICE = "recorded"
_INDEX = "index.jsonl"
_SUFFIXES = (".json", ".sse", ".jsonl")
_COUNTS = ("prompt", "candidates", "thoughts", "tool", "cached")
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """One file: what was read of it (None where it cannot be), and what an index expects of it, where one does."""

    name: str
    usage: Usage | None
    problem: str = ""
    is_expected: bool = False
    expected: Mapping[str, int | None] | None = None
    model: str | None = None

    @property
    def is_charged(self) -> bool:
        """Whether there is anything to record: errors and answers without counts cost nothing."""
        return self.usage is not None and (self.usage.source is not Source.NONE or self.usage.units != Units())


@dataclass(frozen=True, slots=True)
class Difference:
    """A count that the ledger does not have as the index expects it; None stands for no record at all."""

    file: str
    what: str
    expected: int
    found: int | None


@dataclass(frozen=True, slots=True)
class Responses:
    """The recorded answers of a directory."""

    directory: str
    answers: tuple[RecordedAnswer, ...]

    @property
    def recorded(self) -> int:
        """How many are recorded."""
        return sum(answer.is_charged for answer in self.answers)

    @property
    def compared(self) -> int:
        """How many are held beside the index."""
        return sum(answer.is_expected for answer in self.answers)

    def differences(self, records: Iterable[UsageRecord]) -> tuple[Difference, ...]:
        """Hold what the ledger has of each file beside the index; a file that no index names cannot differ."""
        by_file = {file: record for record in records if (file := _file_of(record)) is not None}
        return tuple(
            difference
            for answer in self.answers
            if answer.is_expected
            for difference in _differences(answer, by_file.get(answer.name))
        )


def read_responses(path: str) -> Responses:
    """Read all answers of a directory. Raises InvalidInput where there is none to read."""
    directory = Path(path)
    try:
        index = _read_index(directory)
        names = sorted(each.name for each in directory.iterdir() if each.suffix in _SUFFIXES and each.is_file())
    except OSError as error:
        raise InvalidInput(
            f"the recorded answers in {path} cannot be read: {error.strerror}", hint="give a directory of answers"
        ) from None
    missing = [name for name in index if name not in names]
    answers = [_read(directory / name, index.get(name)) for name in names if name != _INDEX]
    answers += [
        RecordedAnswer(name, None, "the file is missing", True, index[name].get("expected")) for name in missing
    ]
    if all(answer.usage is None for answer in answers):
        raise InvalidInput(
            f"there is no recorded answer in {path}", hint=f"it needs {', '.join(_SUFFIXES)} files as Gemini sent them"
        )
    return Responses(path, tuple(answers))


async def record_responses(metering: Metering, responses: Responses, users: Sequence[str]) -> None:
    """Record what may be charged, for one user after the other. A file is one answer, whatever id it carries."""
    charged = [answer for answer in responses.answers if answer.is_charged]
    for start in range(0, len(charged), _AT_ONCE):
        batch = enumerate(charged[start : start + _AT_ONCE], start)
        await asyncio.gather(*(_record(metering, users[number % len(users)], answer) for number, answer in batch))


async def _record(metering: Metering, user: str, answer: RecordedAnswer) -> None:
    assert answer.usage is not None, "what is charged was read"
    await metering.record(
        user,
        SERVICE,
        answer.usage,
        model=answer.model,
        call_key=f"file:{answer.name[:200]}",
        metadata={FILE_TAG: answer.name},
    )


def _read_index(directory: Path) -> dict[str, dict[str, Any]]:
    """Read the index by file name; a directory without one has nothing to compare with."""
    file = directory / _INDEX
    if not file.is_file():
        return {}
    index: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            entry = json.loads(line)
            _expected_counts(entry["expected"])
            index[str(entry["file"])] = entry
        except (ValueError, KeyError, TypeError):
            raise InvalidInput(
                f"{file}, line {number} names no file with the counts that are expected of it",
                hint='write it like {"file": "0001.json", "expected": {"prompt": 3, ..., "total": 9}}',
            ) from None
    return index


def _read(file: Path, entry: Mapping[str, Any] | None) -> RecordedAnswer:
    expected = entry.get("expected") if entry else None
    model = str(entry["model"]) if entry and entry.get("model") else None
    try:
        usage = parse(utf_8(file.read_bytes()), model=model)
    except InvalidAnswer as error:
        return RecordedAnswer(file.name, None, error.message, entry is not None, expected, model)
    return RecordedAnswer(file.name, usage, "", entry is not None, expected, model)


def _expected_counts(expected: Mapping[str, int | None] | None) -> dict[str, int]:
    """Give the counts to be found, and as total what is charged: the reported total, else the sum, else nothing."""
    given = {} if expected is None else expected
    counts = {name: int(given.get(name) or 0) for name in _COUNTS}
    total = given.get("total")
    summed = sum(counts[name] for name in _COUNTS if name != "cached")
    return {**counts, "total": summed if total is None else int(total)}


def _differences(answer: RecordedAnswer, record: UsageRecord | None) -> Iterator[Difference]:
    for what, expected in _expected_counts(answer.expected).items():
        found = getattr(record, what) if record is not None else None
        if (found or 0) != expected:
            yield Difference(answer.name, what, expected, found)


def _file_of(record: UsageRecord) -> str | None:
    file: str | None = json.loads(record.metadata or "{}").get(FILE_TAG)
    return file
