"""Files of grants: a CSV that says who is given how many tokens. Each line is read strictly, and whatever is wrong is
named with its line, so that a file can be corrected before anything of it is granted.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import zip_longest
from typing import TypeVar
from zoneinfo import ZoneInfo

from jangbu.domain.grant_flaws import Flaw, Problem
from jangbu.domain.ledger import TOKENS_MAX
from jangbu.domain.moments import written_moment
from jangbu.domain.windows import FIRST, LAST, day_start

__all__ = ["BYTES_MAX", "COLUMNS", "LINES_MAX", "GrantFile", "GrantLine", "read", "text_of"]

Taken = TypeVar("Taken")

LINES_MAX = 10_000
BYTES_MAX = 1_000_000

COLUMNS: Mapping[str, str] = {
    "user": "user",
    "tokens": "tokens",
    "amount": "tokens",
    "expires": "expires",
    "expires_at": "expires",
    "priority": "priority",
    "source": "source",
}
"""The columns, by the names that a single grant has for them at the command and at the API."""

_NEEDED = ("user", "tokens")
_SEPARATORS = (",", ";", "\t")
"""Commas; semicolons, as Excel writes them in some countries; tabs, as it copies them."""
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_CONTROLS = re.compile("[\x80-\x9f]")
_UNKNOWN_CHARACTER = "\ufffd"
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,19}|[1-9][0-9]{0,2}(?:[,_][0-9]{3}){1,6})")
"""Groups have to be whole ones, and a group alone is none: what somebody meant by 1,5 or 000 is not known."""
_FIRST_GROUP = re.compile(r"[1-9][0-9]{0,2}")
_GROUP = re.compile(r"[0-9]{3}")
_PRIORITY_MAX = 2**31 - 1
_TEXT_LENGTH_MAX = 200
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class GrantLine:
    """One grant of a file. ``number`` is that of its line."""

    number: int
    user: str
    amount: int
    source: str = "purchase"
    priority: int = 0
    expires_at: datetime | None = None
    expires: str = field(default="", compare=False)
    """When it expires, as it is written."""


@dataclass(frozen=True, slots=True)
class GrantFile:
    """The lines that can be read, and what is wrong with the others."""

    lines: tuple[GrantLine, ...]
    problems: tuple[Problem, ...]


class _WrongCell(Exception):
    """What a cell holds cannot be used; the others of its line are looked at, too."""

    def __init__(self, flaw: Flaw, **values: str | int) -> None:
        super().__init__(flaw)
        self.flaw = flaw
        self.values = values


class _WrongFile(Exception):
    """From here on the file cannot be read."""

    def __init__(self, line: int, flaw: Flaw, **values: str | int) -> None:
        super().__init__(flaw)
        self.problem = Problem(line, flaw, values)


def text_of(data: bytes) -> str | None:
    """Give a file's text, None where it is none: UTF-8 or UTF-16 as its mark says, else UTF-8, else CP949.

    Korean Excel writes CP949 where nothing else is chosen. Hardly anything in it is valid UTF-8, which is why that is
    tried first; controls beyond ASCII, which some syllables would be, are in no spreadsheet. A file whose only Korean
    is of the 314 syllables that are a Latin letter or sign each in UTF-8 (홍, 천, 철) cannot be told from one in UTF-8
    that means those: it is UTF-8, and shown like that before anything of it is granted.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding)
    utf_8 = _decoded(data, "utf-8")
    if utf_8 is not None and _CONTROLS.search(utf_8) is None:
        return utf_8
    cp949 = _decoded(data, "cp949")
    return utf_8 if cp949 is None else cp949


def read(text: str | None, zone: ZoneInfo) -> GrantFile:
    """Read a file's text. A day without a clock means its first moment in the zone."""
    if text is None:
        return GrantFile((), (Problem(1, Flaw.ENCODING),))
    if _UNKNOWN_CHARACTER in text:
        return GrantFile((), (Problem(text[: text.index(_UNKNOWN_CHARACTER)].count("\n") + 1, Flaw.ENCODING),))
    lines: list[GrantLine] = []
    problems: list[Problem] = []
    known: dict[str, int] = {}
    try:
        text = text.removeprefix("\ufeff")
        separator = _separator(text)
        for number, cells in _named_cells(_records(text, separator)):
            line, wrong = _line(number, cells, zone, separator)
            first = known.setdefault(cells["user"], number)
            is_again = first != number and cells["user"] != ""
            if is_again:
                problems.append(Problem(number, Flaw.TWICE, {"text": cells["user"][:_SHOWN], "first": first}))
            problems.extend(wrong)
            if line is not None and not is_again:
                lines.append(line)
    except _WrongFile as error:
        problems.append(error.problem)
    return GrantFile(tuple(lines), tuple(problems))


def _named_cells(records: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Give the cells of each line below the header by the names of their columns; what is left out is empty."""
    top, head = next(records, (1, []))
    columns, number = _columns(top, head), top
    for count, (number, cells) in enumerate(records, 1):
        if count > LINES_MAX:
            raise _WrongFile(number, Flaw.TOO_MANY, most=LINES_MAX)
        if any(cell.strip() for cell in cells[len(columns) :]):
            raise _WrongFile(number, Flaw.CELLS)
        yield number, dict(zip_longest(columns, cells[: len(columns)], fillvalue=""))
    if number == top:
        raise _WrongFile(top, Flaw.EMPTY)


def _separator(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(_SEPARATORS, key=lambda each: sum(_named(cell) in COLUMNS for cell in first.split(each)))


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Give the cells of each line that has any, with the number of the line on which they begin."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield number, cells
            number = reader.line_num + 1
    except csv.Error:
        raise _WrongFile(number, Flaw.QUOTES) from None


def _named(cell: str) -> str:
    return cell.strip().strip('"').lower()


def _columns(number: int, head: Sequence[str]) -> Sequence[str]:
    """Give what each cell of a line is. What is misspelt is refused: nobody's expiry is passed over."""
    names = [_named(cell) for cell in head]
    while names and not names[-1]:
        names.pop()
    columns = [COLUMNS.get(name, "") for name in names]
    if not all(columns) or len(set(columns)) < len(columns) or not set(_NEEDED) <= set(columns):
        raise _WrongFile(number, Flaw.HEADER, text=",".join(head)[:_SHOWN])
    return columns


def _line(
    number: int, cells: Mapping[str, str], zone: ZoneInfo, separator: str
) -> tuple[GrantLine | None, list[Problem]]:
    """Read one line; give it, or all that is wrong with it."""
    parted = _parted(cells) if separator == "," else None
    if parted is not None:
        return None, [Problem(number, Flaw.PARTED, {"text": parted, "whole": parted.replace(",", "")})]
    problems: list[Problem] = []

    def taken(take: Callable[[str], Taken], name: str) -> Taken | None:
        try:
            return take(cells.get(name, ""))
        except _WrongCell as wrong:
            problems.append(Problem(number, wrong.flaw, wrong.values))
            return None

    user, amount = taken(_user, "user"), taken(_amount, "tokens")
    source, priority = taken(_source, "source"), taken(_priority, "priority")
    expires_at = taken(lambda cell: _expires(cell, zone), "expires")
    if problems or user is None or amount is None or source is None or priority is None:
        return None, problems
    return GrantLine(number, user, amount, source, priority, expires_at, cells.get("expires", "").strip()), []


def _parted(cells: Mapping[str, str]) -> str | None:
    """Give an amount and the cell after it where the two may be one number: 1,500 would be 1 of priority 500."""
    values = list(cells.values())
    at = list(cells).index("tokens")
    amount, after = values[at].strip(), "".join(values[at + 1 : at + 2]).strip()
    return f"{amount},{after}" if _FIRST_GROUP.fullmatch(amount) and _GROUP.fullmatch(after) else None


def _user(cell: str) -> str:
    """A user id is taken as it stands: with a space more it would be another's."""
    if not cell or len(cell) > _TEXT_LENGTH_MAX or not cell.isprintable():
        raise _WrongCell(Flaw.USER, text=cell[:_SHOWN], most=_TEXT_LENGTH_MAX)
    return cell


def _amount(cell: str) -> int:
    amount = _whole(cell)
    if amount is None or not 0 < amount <= TOKENS_MAX:
        raise _WrongCell(Flaw.TOKENS, text=cell[:_SHOWN], most=TOKENS_MAX)
    return amount


def _source(cell: str) -> str:
    source = cell.strip() or "purchase"
    # Digits alone are a part of a number that was meant for another cell.
    if len(source) > _TEXT_LENGTH_MAX or not source.isprintable() or source.isdecimal():
        raise _WrongCell(Flaw.SOURCE, text=cell[:_SHOWN], most=_TEXT_LENGTH_MAX)
    return source


def _priority(cell: str) -> int:
    priority = _whole(cell) if cell.strip() else 0
    if priority is None or not -_PRIORITY_MAX - 1 <= priority <= _PRIORITY_MAX:
        raise _WrongCell(Flaw.PRIORITY, text=cell[:_SHOWN])
    return priority


def _expires(cell: str, zone: ZoneInfo) -> datetime | None:
    text = cell.strip()
    if not text:
        return None
    try:
        found = written_moment(text)
    except (ValueError, OverflowError):
        raise _WrongCell(Flaw.EXPIRES, text=text[:_SHOWN]) from None
    at = found if isinstance(found, datetime) else _beginning(found, zone)
    if at.tzinfo is None:
        raise _WrongCell(Flaw.NO_ZONE, text=text[:_SHOWN])
    at = at.astimezone(UTC)
    if not FIRST < at < LAST:
        raise _WrongCell(Flaw.EXPIRES, text=text[:_SHOWN])
    return at


def _beginning(day: date, zone: ZoneInfo) -> datetime:
    return day_start(day, zone) if FIRST.date() < day < LAST.date() else FIRST


def _whole(cell: str) -> int | None:
    text = cell.strip()
    return int(text.replace(",", "").replace("_", "")) if _WHOLE.fullmatch(text) else None


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None
