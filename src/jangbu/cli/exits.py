"""Exit codes: what a script may rely on, given in this one place from the error tree."""

from enum import IntEnum

from jangbu.errors import (
    DatabaseUnreachable,
    InsufficientBalance,
    IntegrityMismatch,
    InvalidInput,
    JangbuError,
    NotFound,
    NotPermitted,
)

__all__ = ["ExitCode", "exit_code"]


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILURE = 1
    """It went wrong for a reason that no other code names; a key that was used before with other content, too."""
    USAGE = 2
    """What was given cannot be used: an option, a number, a date, a file, an answer, a setting. Nothing changed."""
    NOT_FOUND = 3
    """The ledger has no such user, call, hold or price."""
    AUTH = 4
    """The key, the account or the database's password does not allow it."""
    INSUFFICIENT_BALANCE = 5
    INTEGRITY_MISMATCH = 6
    """The book does not add up."""
    DATABASE_UNREACHABLE = 7
    INTERRUPTED = 130


_CODES: tuple[tuple[type[JangbuError], ExitCode], ...] = (
    (InvalidInput, ExitCode.USAGE),
    (NotFound, ExitCode.NOT_FOUND),
    (NotPermitted, ExitCode.AUTH),
    (InsufficientBalance, ExitCode.INSUFFICIENT_BALANCE),
    (IntegrityMismatch, ExitCode.INTEGRITY_MISMATCH),
    (DatabaseUnreachable, ExitCode.DATABASE_UNREACHABLE),
)


def exit_code(error: JangbuError) -> ExitCode:
    """Give the exit code of an error: that of the nearest kind that has one, else FAILURE."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILURE)
