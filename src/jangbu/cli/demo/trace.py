"""A recorded trace, read as requests: one row a request, or one row a client's load, or one row a client's sizes."""

import csv
import gzip
import io
import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from jangbu.domain.ledger import USER_LENGTH_MAX
from jangbu.errors import InvalidInput
from jangbu.metering.content import SERVICE_LENGTH_MAX

__all__ = ["Trace", "TraceRequest", "read_trace"]

PROMPT_MOST = 2_097_152
COMPLETION_MOST = 65_536
_ROWS_MOST = 3_000_000
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """One request. ``at_ms`` counts from the trace's own zero; ``user`` is empty where the trace names none."""

    at_ms: int
    user: str
    service: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in the order of time. ``described`` says what of the file they are."""

    name: str
    described: str
    requests: tuple[TraceRequest, ...]

    @property
    def seconds(self) -> int:
        """How long the requests took when they were recorded."""
        return (self.requests[-1].at_ms - self.requests[0].at_ms) // 1000

    @property
    def users(self) -> tuple[str, ...]:
        """The users whom the trace names, in the order in which they come."""
        return tuple(dict.fromkeys(request.user for request in self.requests if request.user))


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the file, by column, with its number for whoever has to look at it."""

    name: str
    line: int
    cells: Mapping[str, str | None]

    def text(self, column: str, length_most: int) -> str:
        text = (self.cells.get(column) or "").strip()
        if len(text) > length_most or not (text.isprintable()):
            raise self.error(f"{column} is no name of up to {length_most} characters")
        return text

    def count(self, column: str, most: int) -> int:
        text = (self.cells.get(column) or "").strip()
        if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) <= most):
            raise self.error(f"{column} {text[:40]!r} is no whole number from 0 to {most:,}")
        return int(text)

    def at_ms(self) -> int:
        text = (self.cells.get("timestamp") or "").strip()
        try:
            moment = datetime.fromisoformat(text) if "-" in text[1:] and ":" in text else None
            if moment is None:
                return int(float(text) * 1000)
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return int(aware.timestamp() * 1000)
        except (ValueError, OverflowError):
            raise self.error(f"timestamp {text[:40]!r} is neither a time nor seconds") from None

    def error(self, what: str) -> InvalidInput:
        return InvalidInput(f"trace {self.name}, line {self.line}: {what}", hint="correct or remove the line")


def read_trace(path: str, requests_most: int, seed: int) -> Trace:
    """Read at most so many requests of a trace. Raises InvalidInput that names the file, and the line if one is bad."""
    file = Path(path)
    rows = _rows(file)
    try:
        first = next(rows, None)
        if first is None:
            raise InvalidInput(f"trace {file.name} has no rows", hint="its first line names the columns")
        everything = _chain(first, rows)
        columns = first.cells.keys()
        if {"prompt_tokens", "completion_tokens"} <= columns:
            return _requests(file, everything, requests_most)
        if "requests" in columns:
            return _loads(file, everything, requests_most, seed)
        if {"field", "q0.5"} <= columns:
            return _sizes_as_requests(file, everything, requests_most, seed)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidInput(
            f"trace {path} cannot be read: {said}", hint="give a CSV file, or one that gzip made"
        ) from None
    raise InvalidInput(
        f"trace {file.name} has no columns prompt_tokens and completion_tokens, nor requests, nor field",
        hint="its first line names the columns",
    )


def _rows(file: Path) -> Iterator[_Row]:
    with file.open("rb") as raw:
        is_compressed = raw.peek(2)[:2] == _GZIP
        stream = gzip.GzipFile(fileobj=raw) if is_compressed else raw
        reader = csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""))
        for cells in reader:
            yield _Row(file.name, reader.line_num, cells)


def _chain(first: _Row, rest: Iterator[_Row]) -> Iterator[_Row]:
    yield first
    yield from rest


def _requests(file: Path, rows: Iterator[_Row], most: int) -> Trace:
    found = [
        TraceRequest(
            row.at_ms(),
            row.text("user", USER_LENGTH_MAX),
            row.text("model", SERVICE_LENGTH_MAX) or "text_generation",
            row.count("prompt_tokens", PROMPT_MOST),
            row.count("completion_tokens", COMPLETION_MOST),
        )
        for row in islice(rows, most)
    ]
    found.sort(key=lambda request: request.at_ms)
    return Trace(file.name, f"the first {len(found):,} requests", tuple(found))


@dataclass(frozen=True, slots=True)
class _Sizes:
    """A client's quantiles of input and output tokens in the window that begins at ``at_ms``."""

    at_ms: int
    service: str
    prompts: Sequence[int]
    completions: Sequence[int]

    def request(self, at_ms: int, user: str, service: str, chance: random.Random) -> TraceRequest:
        return TraceRequest(at_ms, user, service, chance.choice(self.prompts), chance.choice(self.completions))


_ANY_SIZES = _Sizes(0, "", (50, 200, 400, 800, 1_600, 3_200), (20, 60, 150, 300, 600))
"""For clients of whom no sizes are known."""


def _loads(file: Path, rows: Iterator[_Row], most: int, seed: int) -> Trace:
    """Thin out the loads evenly, so that each client keeps its share, and size the requests by what is beside."""
    loads = [
        (
            row.at_ms(),
            row.text("user", USER_LENGTH_MAX),
            row.text("model", SERVICE_LENGTH_MAX),
            row.count("requests", 10**9),
        )
        for row in islice(rows, _ROWS_MOST)
    ]
    total = sum(load[3] for load in loads)
    if total == 0:
        raise InvalidInput(f"trace {file.name} has no requests", hint="its column requests is 0 throughout")
    beside = file.with_name("servegen_token_quantiles_6h.csv.gz")
    sizes = _sizes_by_client(_rows(beside)) if beside.is_file() else {}
    chance = random.Random(seed)  # noqa: S311 - a demo has to be repeatable
    wanted, passed = min(most, total), 0
    found: list[TraceRequest] = []
    for at_ms, user, service, requests in loads:
        taken = (passed + requests) * wanted // total - passed * wanted // total
        passed += requests
        for _ in range(taken):
            found.append(_sizes_at(sizes.get(user, ()), at_ms).request(at_ms, user, service, chance))
    found.sort(key=lambda request: request.at_ms)
    origin = f"sized by {beside.name}" if sizes else "of sizes that the trace does not tell"
    return Trace(file.name, f"{len(found):,} of {total:,} requests, evenly thinned out, {origin}", tuple(found))


def _sizes_as_requests(file: Path, rows: Iterator[_Row], most: int, seed: int) -> Trace:
    """Make one request of each client's sizes in each window: load is what this file does not tell."""
    chance = random.Random(seed)  # noqa: S311 - a demo has to be repeatable
    windows = [(user, sizes) for user, several in _sizes_by_client(rows).items() for sizes in several]
    if not windows:
        raise InvalidInput(f"trace {file.name} has no sizes", hint="it needs rows of input_tokens and output_tokens")
    windows.sort(key=lambda window: window[1].at_ms)
    step = max(1, len(windows) // most)
    taken = windows[::step][:most]
    found = tuple(sizes.request(sizes.at_ms, user, sizes.service, chance) for user, sizes in taken)
    return Trace(file.name, f"{len(found):,} requests, one for a client's sizes in a window", found)


def _sizes_by_client(rows: Iterator[_Row]) -> dict[str, list[_Sizes]]:
    """Give each client's sizes in the order of time; windows that lack input or output are left out."""
    kept: dict[tuple[str, int, str], dict[str, list[int]]] = {}
    for row in islice(rows, _ROWS_MOST):
        field = row.text("field", 100)
        most = {"input_tokens": PROMPT_MOST, "output_tokens": COMPLETION_MOST}.get(field)
        if most is not None:
            key = (row.text("user", USER_LENGTH_MAX), row.at_ms(), row.text("model", SERVICE_LENGTH_MAX))
            quantiles = [name for name in row.cells if name and name.startswith("q")]
            kept.setdefault(key, {})[field] = [row.count(name, most) for name in quantiles]
    found: dict[str, list[_Sizes]] = {}
    for (user, at_ms, service), fields in sorted(kept.items()):
        if len(fields) == 2:
            sizes = _Sizes(at_ms, service, fields["input_tokens"], fields["output_tokens"])
            found.setdefault(user, []).append(sizes)
    return found


def _sizes_at(several: Sequence[_Sizes], at_ms: int) -> _Sizes:
    earlier = [sizes for sizes in several if sizes.at_ms <= at_ms]
    return earlier[-1] if earlier else next(iter(several), _ANY_SIZES)
