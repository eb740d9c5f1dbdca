"""What a command writes: data to standard output, messages to standard error, and nothing that a terminal obeys."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import TextIO
from uuid import UUID

from jangbu.errors import JangbuError

__all__ = ["json_text", "one_line", "shown_moment", "tell_error", "write_data", "write_message"]


def write_data(text: str) -> None:
    """Write lines to standard output, now. Raises JangbuError where they cannot be written (a full disk)."""
    _write(sys.stdout, text)


def write_message(text: str) -> None:
    """Write lines to standard error, now."""
    _write(sys.stderr, text)


def tell_error(code: str, message: str, hint: str, *, as_json: bool) -> None:
    """Write exactly one line about what went wrong to standard error."""
    if as_json:
        write_message(json_text({"error": {"code": code, "message": message, "hint": hint}}))
        return
    write_message(one_line(f"error: {message}; {hint}" if hint else f"error: {message}"))


def json_text(value: object) -> str:
    """Give a value as one line of JSON; integers stay exact, times are ISO 8601 in UTC."""
    return json.dumps(value, default=_plain, ensure_ascii=not _is_unicode(sys.stdout))


def one_line(text: str) -> str:
    """Give a text without anything that would move a terminal's cursor or begin a new line."""
    spaced = " ".join(text.split())
    return "".join(character if character.isprintable() else _escaped(character) for character in spaced)


def shown_moment(moment: datetime | None) -> str:
    """Give a time for a table: UTC, to the second."""
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`). What is left goes nowhere, and the exit code stays the command's own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except OSError as error:
        if stream is sys.stderr:
            return
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise JangbuError(f"the output cannot be written: {error.strerror}") from None


def _plain(value: object) -> object:
    """Give the JSON form of what JSON itself does not know."""
    plain: object
    match value:
        case datetime():
            plain = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            plain = value.isoformat()
        case UUID() | Path():
            plain = str(value)
        case Enum():
            plain = value.value
        case Mapping():
            plain = dict(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")
    return plain


def _is_unicode(stream: TextIO | None) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
