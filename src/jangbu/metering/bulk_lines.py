"""What a file of grants comes to: its lines, as they were looked at and as they were granted."""

from dataclasses import dataclass
from uuid import UUID

from jangbu.domain.grant_files import GrantLine
from jangbu.domain.grant_flaws import Problem
from jangbu.domain.ledger import Balance

__all__ = ["Checked", "Granted", "Line"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file that may be granted; ``grant`` is the grant that was made of it, None where none was yet."""

    line: GrantLine
    account: UUID
    balance: Balance
    grant: UUID | None = None
    replayed: bool = False
    """Whether it had been made before."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that was looked at, under its key. Where there is a problem nothing of it can be granted."""

    key: str
    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]
    content: bytes
    """The digest of what the lines say."""

    @property
    def tokens(self) -> int:
        """What all lines come to."""
        return sum(each.line.amount for each in self.lines)

    @property
    def left(self) -> tuple[Line, ...]:
        """The lines that were not granted yet."""
        return tuple(each for each in self.lines if each.grant is None)


@dataclass(frozen=True, slots=True)
class Granted:
    """What was granted of a file, in the order of its lines; ``is_whole`` tells that nothing is left of it."""

    key: str
    lines: tuple[Line, ...]
    is_whole: bool

    @property
    def tokens(self) -> int:
        """What these lines come to."""
        return sum(each.line.amount for each in self.lines)

    @property
    def new(self) -> tuple[Line, ...]:
        """The lines that were granted now, and not before."""
        return tuple(each for each in self.lines if not each.replayed)
