"""What people type, read strictly: a number, a time or a file that could mean two things is refused."""

import json
import re
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from jangbu.domain.moments import written_moment
from jangbu.domain.windows import day_start
from jangbu.errors import InvalidInput, InvalidMetadata

__all__ = [
    "UTC_ZONE",
    "call_id",
    "end_moment",
    "file_bytes",
    "json_object",
    "moment",
    "parts_per_million",
    "span",
    "utf_8",
    "whole_number",
]

UTC_ZONE = ZoneInfo("UTC")
"""Where a date begins that is given without a zone."""

_PERCENT = re.compile(r"-?[0-9]{1,5}(?:\.[0-9]{1,4})?")
_SPAN = re.compile(r"([0-9]{1,4})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_BIGINT_MAX = 2**63 - 1
_NUMBER = re.compile(r"([+-]?)([0-9]+|[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?:_[0-9]{3})+)")


def whole_number(text: str, what: str, *, least: int = 0, most: int = _BIGINT_MAX) -> int:
    """Read a whole number; thousands may be grouped by commas or underscores. Raises InvalidInput.

    A plus may stand before it where the number may also be below zero.
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None or (found[1] == "+" and least >= 0):
        raise InvalidInput(f"{what} {text[:40]!r} is no whole number", hint="write it like 1000 or 1,000")
    digits = found[2].replace(",", "").replace("_", "")
    # A few million digits would be slow to convert, and none of them is a count.
    number = int(digits) if len(digits) < 30 else _BIGINT_MAX + 1
    number = -number if found[1] == "-" else number
    if not least <= number <= most:
        raise InvalidInput(f"{what} {text[:40]} is out of range", hint=f"give {least:,} to {most:,}")
    return number


def parts_per_million(text: str) -> int:
    """Read a percentage with up to four decimals; give it as parts per million. Raises InvalidInput."""
    if _PERCENT.fullmatch(text.strip()) is None:
        raise InvalidInput(f"{text[:40]!r} is no percentage", hint="write it like 20, 12.5 or -10")
    return int(Decimal(text.strip()) * 10_000)


def moment(text: str, what: str, zone: ZoneInfo = UTC_ZONE) -> datetime:
    """Read an ISO 8601 time with its zone, or a date: its first moment in this zone. Raises InvalidInput."""
    try:
        found = written_moment(text)
        if not isinstance(found, datetime):
            return day_start(found, zone)
    except ValueError:
        raise InvalidInput(
            f"{what} {text[:40]!r} is no date or time", hint="write 2027-01-31 or 2027-01-31T09:00:00Z"
        ) from None
    except OverflowError:
        raise InvalidInput(f"{what} {text[:40]!r} is out of range") from None
    if found.tzinfo is None:
        raise InvalidInput(f"{what} {text[:40]!r} has no time zone", hint="end it with Z or +09:00")
    return found


def end_moment(text: str, what: str, zone: ZoneInfo = UTC_ZONE) -> datetime:
    """Read when something ends, as ``moment`` does; a date is in it to its end in this zone. Raises InvalidInput."""
    found = moment(text, what, zone)
    try:
        written = written_moment(text)
        return found if isinstance(written, datetime) else day_start(written + timedelta(days=1), zone)
    except OverflowError:
        raise InvalidInput(f"{what} {text[:40]!r} is out of range") from None


def span(text: str, what: str) -> timedelta:
    """Read a span of time, like 30m, 8h or 2d. Raises InvalidInput."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(f"{what} {text[:40]!r} is no span of time", hint="write it like 30m, 8h or 2d")
    return int(found[1]) * _UNITS[found[2]]


def call_id(text: str, what: str = "a call") -> UUID:
    """Read the id of a call, a hold or an event. Raises InvalidInput."""
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(
            f"{text[:60]!r} is no id of {what}", hint="it looks like 01890a5d-ac96-774b-bcce-b302099a8057"
        ) from None


def file_bytes(name: str, *, most: int | None = None) -> bytes:
    """Read a whole file, or standard input for ``-``. Raises InvalidInput that says why it cannot be read.

    Of one that has more than ``most`` bytes one more is read, so that whoever bounds it sees that it is too large.
    """
    size = -1 if most is None else most + 1
    if name == "-":
        if sys.stdin is None:
            raise InvalidInput("standard input is closed", hint="name a file")
        return sys.stdin.buffer.read(size)
    try:
        with Path(name).open("rb") as file:
            return file.read(size)
    except IsADirectoryError:
        raise InvalidInput(f"{name} is a directory", hint="name a file in it") from None
    except FileNotFoundError:
        raise InvalidInput(f"there is no file {name}", hint="check the name, or give - for standard input") from None
    except PermissionError:
        raise InvalidInput(f"{name} may not be read", hint="check its permissions") from None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{name[:200]} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def utf_8(text: bytes) -> bytes:
    """Give text in UTF-8 that may be in UTF-16 or UTF-32: Windows PowerShell 5 writes UTF-16 by ``>``. What begins like
    them and is neither is given as it is; whoever reads it says what is wrong.
    """
    encoding = json.detect_encoding(text)
    if encoding.startswith("utf-8"):
        return text
    try:
        return text.decode(encoding).encode()
    except UnicodeDecodeError:
        return text


def json_object(text: str | None, what: str) -> dict[str, Any]:
    """Read a JSON object; nothing for None. Raises InvalidMetadata."""
    if text is None:
        return {}
    try:
        found = json.loads(text, object_pairs_hook=_named_once)
    except RecursionError:
        raise InvalidMetadata(f"{what} is nested too deep", hint="keep it flat") from None
    except ValueError as error:
        raise InvalidMetadata(f"{what} is no JSON: {error}", hint='write it like {"requestType": "script"}') from None
    if not isinstance(found, dict):
        raise InvalidMetadata(f"{what} is no JSON object", hint='write it like {"requestType": "script"}')
    return found


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Take an object whose names are all different: of two values under one name one would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found
