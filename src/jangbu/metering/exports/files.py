"""Tables as files: CSV as RFC 4180 writes it, JSON lines, and Parquet where pyarrow is installed.

A table whose rows break off is never a whole file: a CSV or JSON file ends with a line that says so, a Parquet file has
no end and is none. What is raised passes through, so that whoever sends the file breaks off, too.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib.util import find_spec
from typing import Any
from zoneinfo import ZoneInfo

from jangbu.domain.windows import by_clock
from jangbu.errors import JangbuError
from jangbu.metering.exports.parquet import parquet
from jangbu.metering.exports.tables import Column, Kind, Table

__all__ = ["MEDIA_TYPES", "Format", "offered", "written"]

_BOM = "\ufeff"
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""How a cell begins that a spreadsheet would compute; in some languages full-width signs do, too."""

_Cell = Callable[[Any], Any]


class Format(StrEnum):
    """How a table is written; also how the name of its file ends."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


MEDIA_TYPES: Mapping[Format, str] = {
    Format.CSV: "text/csv; charset=utf-8; header=present",
    Format.JSON_LINES: "application/x-ndjson; charset=utf-8",
    Format.PARQUET: "application/vnd.apache.parquet",
}


@cache
def offered() -> tuple[Format, ...]:
    """Give the formats that there are here: Parquet takes pyarrow."""
    return tuple(Format) if find_spec("pyarrow") else (Format.CSV, Format.JSON_LINES)


def written(table: Table, how: Format, *, bom: bool = False) -> AsyncIterator[bytes]:
    """Write a table piece by piece. ``bom`` puts a byte-order mark before a CSV, without which Excel takes it for text
    of another encoding. Raises NotOffered for Parquet without pyarrow.
    """
    match how:
        case Format.CSV:
            return _csv(table, bom)
        case Format.JSON_LINES:
            return _json_lines(table)
        case Format.PARQUET:
            return parquet(table)


async def _csv(table: Table, bom: bool) -> AsyncIterator[bytes]:
    cells = [_csv_cell(column, table.zone) for column in table.columns]
    heads = [f"{each.name} ({table.zone.key})" if each.kind is Kind.MOMENT else each.name for each in table.columns]
    yield ((_BOM if bom else "") + _csv_lines([heads])).encode()
    try:
        async for page in table.pages:
            yield _csv_lines([cell(value) for cell, value in zip(cells, row, strict=True)] for row in page).encode()
    except Exception as error:
        yield _csv_lines([[f"broken off: {_reason(error)}"]]).encode()
        raise


async def _json_lines(table: Table) -> AsyncIterator[bytes]:
    cells = [_json_cell(column, table.zone) for column in table.columns]
    names = [column.name for column in table.columns]
    try:
        async for page in table.pages:
            yield _json_text(
                dict(zip(names, (cell(value) for cell, value in zip(cells, row, strict=True)), strict=True))
                for row in page
            )
    except Exception as error:
        yield _json_text([{"broken_off": _reason(error)}])
        raise


def _csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _json_text(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows).encode()


def _csv_cell(column: Column, zone: ZoneInfo) -> _Cell:
    match column.kind:
        case Kind.INTEGER:
            return _same
        case Kind.MOMENT:
            return _moment(zone)
        case Kind.WORDS:
            return lambda words: _defused(" ".join(words))
        case Kind.TEXT:
            return lambda text: None if text is None else _defused(text)


def _json_cell(column: Column, zone: ZoneInfo) -> _Cell:
    return _moment(zone) if column.kind is Kind.MOMENT else _same


def _moment(zone: ZoneInfo) -> _Cell:
    def write(at: datetime | None) -> str | None:
        return None if at is None else by_clock(at, zone).isoformat(timespec="microseconds")

    return write


def _same(value: Any) -> Any:
    return value


def _defused(text: str) -> str:
    """Have a text stay a text in a spreadsheet: what a user chose shall not be computed by who looks at it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _reason(error: Exception) -> str:
    """Say in a file why it has no end; what only the operator can mend is told elsewhere."""
    return error.code if isinstance(error, JangbuError) else "failure"
