"""What may be wrong with a line of a file of grants, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Flaw", "Problem"]


class Flaw(StrEnum):
    """What is wrong with a line, or with the file at that line."""

    ENCODING = "encoding"
    EMPTY = "empty"
    HEADER = "header"
    TOO_MANY = "too_many"
    QUOTES = "quotes"
    CELLS = "cells"
    PARTED = "parted"
    USER = "user"
    TWICE = "twice"
    UNKNOWN = "unknown"
    TOKENS = "tokens"
    TOO_MUCH = "too_much"
    EXPIRES = "expires"
    NO_ZONE = "no_zone"
    PAST = "past"
    PRIORITY = "priority"
    SOURCE = "source"


_SAID: Mapping[Flaw, tuple[str, str]] = {
    Flaw.ENCODING: ("this is no text that can be read", "save the file as CSV UTF-8"),
    Flaw.EMPTY: ("no grant stands below the header", "write a line for each user"),
    Flaw.HEADER: (
        "{text!r} is no header of grants",
        "name the columns user,tokens and where they are wanted expires,priority,source, each once",
    ),
    Flaw.TOO_MANY: ("the file has more than {most:,} lines", "split it, with a key for each part"),
    Flaw.QUOTES: ("the quotation marks do not fit together", 'write "a ""quoted"" cell" so, or without any'),
    Flaw.CELLS: ("the line has more cells than the header has columns", "put a number like 1,000 into quotation marks"),
    Flaw.PARTED: (
        "{text} may be one number or two cells",
        "write {whole} where it is one; where it is two, separate the cells of all lines by semicolons",
    ),
    Flaw.USER: ("{text!r} is no user id", "use 1 to {most} printable characters"),
    Flaw.TWICE: ("user {text!r} stands on line {first} already", "give each user one line"),
    Flaw.UNKNOWN: ("there is no user {text!r}", "open the account with `jangbu accounts create USER`"),
    Flaw.TOKENS: ("{text!r} is no amount of tokens", "write a whole number from 1 to {most:,}"),
    Flaw.TOO_MUCH: ("user {text!r} would have more tokens than a ledger holds", "grant less"),
    Flaw.EXPIRES: ("{text!r} is no date or time", "write 2027-01-31 or 2027-01-31T09:00:00Z"),
    Flaw.NO_ZONE: ("{text!r} has no time zone", "end it with Z or +09:00"),
    Flaw.PAST: ("the expiry {text!r} has passed already", "give a time to come, or none"),
    Flaw.PRIORITY: ("{text!r} is no priority", "write a whole number, or nothing for 0"),
    Flaw.SOURCE: (
        "{text!r} is no source",
        "use 1 to {most} printable characters that are not all digits, or nothing for purchase",
    ),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong on a line of a file, and what to do about it."""

    line: int
    flaw: Flaw
    values: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """Say what is wrong."""
        return _SAID[self.flaw][0].format(**self.values)

    @property
    def hint(self) -> str:
        """Say what to do about it."""
        return _SAID[self.flaw][1].format(**self.values)
