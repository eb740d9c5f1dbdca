"""What went wrong in PostgreSQL, in Jangbu's words: the one place that knows its error classes."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from jangbu.errors import BalanceLocked, DatabaseUnreachable, InvalidInput, JangbuError, NotPermitted, Overdrawn

_LOST_CONNECTION = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # Of connections, of room on its disk or of memory: it takes nothing until there is some again.
    asyncpg.InsufficientResourcesError,
    asyncpg.InternalClientError,
    # A standby that stands at the primary's address already, and is promoted in a moment.
    asyncpg.ReadOnlySQLTransactionError,
)
_OTHER_SCHEMA = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedObjectError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidSchemaNameError,
)
_MISLAID_STATEMENT = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
"""What was prepared in one session is met, or missed, in another: a pooler in transaction mode stands between."""

_GRANTED_RULE = "balances_granted_check"
_USAGE_PARTITION = re.compile(r"usage_\d{6}")
_CONFLICT = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    # By the role's own statement_timeout, or by whoever administers the server: nothing was written.
    asyncpg.QueryCanceledError,
)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same statement may succeed when it is sent again.

    A lost connection is ambiguous: the statement may have been committed. Every statement of Jangbu that writes may
    be repeated without harm, so the answer is yes for it too.
    """
    if isinstance(error, DatabaseUnreachable):
        return True
    if isinstance(error, asyncpg.InterfaceError):
        return "connection" in str(error) or "pool is clos" in str(error)
    return isinstance(error, (*_LOST_CONNECTION, *_CONFLICT, *_MISLAID_STATEMENT))


def is_unreachable(error: BaseException) -> bool:
    """Tell whether the server was not reached, or was lost, rather than that it asks for another attempt."""
    waits_for_others = isinstance(error, BalanceLocked) or isinstance(_told_by_driver(error), _CONFLICT)
    return is_transient(error) and not waits_for_others


def is_of_one_row(error: BaseException) -> bool:
    """Tell whether a value of some row is at fault, so that the other rows of the batch may be written without it."""
    return isinstance(
        error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError | asyncpg.ProgramLimitExceededError
    )


def is_known_already(error: BaseException) -> bool:
    """Tell whether a record was there first: its id, or the key of its answer, and no other rule of the book."""
    if not isinstance(error, asyncpg.UniqueViolationError):
        return False
    return error.table_name == "idempotency_keys" or _USAGE_PARTITION.fullmatch(error.table_name or "") is not None


def lacks_partition(error: BaseException) -> bool:
    """Tell whether a usage row found no partition for its month."""
    return isinstance(error, asyncpg.CheckViolationError) and "no partition" in str(error)


def lacks_lock(error: BaseException) -> bool:
    """Tell whether a statement gave up waiting for others, as it was told to."""
    return isinstance(_told_by_driver(error), asyncpg.LockNotAvailableError | asyncpg.DeadlockDetectedError)


def gave_up_lock(error: BaseException) -> bool:
    """Tell whether a statement may have waited for a lock for as long as one may: by session_prepare, or by the role's
    own statement_timeout where that is shorter.
    """
    return isinstance(_told_by_driver(error), asyncpg.LockNotAvailableError | asyncpg.QueryCanceledError)


def _told_by_driver(error: BaseException) -> BaseException | None:
    return error.__cause__ if isinstance(error, DatabaseUnreachable) else error


@contextmanager
def translated() -> Iterator[None]:
    """Turn an error of the driver into one of Jangbu's, with what to do about it."""
    try:
        yield
    except JangbuError:
        raise
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise NotPermitted(
            f"PostgreSQL refuses: {error}", hint="check the user and password in JANGBU_DATABASE_URL"
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise NotPermitted(
            f"PostgreSQL refuses: {error}",
            hint="check JANGBU_PROJECT, or run this as the owner of the tables, who runs `jangbu db upgrade`",
        ) from error
    except asyncpg.InvalidCatalogNameError as error:
        raise DatabaseUnreachable(str(error), hint="create it, or correct JANGBU_DATABASE_URL") from error
    except _OTHER_SCHEMA as error:
        raise DatabaseUnreachable(
            f"the schema is not there or too old: {error}", hint="run `jangbu db upgrade`"
        ) from error
    except asyncpg.NumericValueOutOfRangeError as error:
        raise InvalidInput(
            "a number is larger than a ledger holds", hint="tokens and nano-USD end at 2^63 - 1"
        ) from error
    except asyncpg.CheckViolationError as error:
        if error.constraint_name == _GRANTED_RULE:
            raise Overdrawn("this would take more than was ever granted") from error
        raise InvalidInput(f"PostgreSQL refuses this: {error}") from error
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise InvalidInput(f"PostgreSQL cannot store this: {error}") from error
    except _CONFLICT as error:
        raise DatabaseUnreachable(f"PostgreSQL let others go first: {error}", hint="try again") from error
    except (*_LOST_CONNECTION, *_MISLAID_STATEMENT, asyncpg.InterfaceError) as error:
        raise _unreachable(error) from error


def _unreachable(error: BaseException) -> DatabaseUnreachable:
    """Say why the server takes nothing, and what brings it back."""
    match error:
        case asyncpg.DuplicatePreparedStatementError() | asyncpg.InvalidSQLStatementNameError():
            return DatabaseUnreachable(
                "a pooler in transaction mode is between here and PostgreSQL, and mislays prepared statements",
                hint="set JANGBU_PREPARED_STATEMENTS=false",
            )
        case asyncpg.DiskFullError():
            return DatabaseUnreachable(
                f"PostgreSQL's disk is full: {error}", hint="make room there; what waits goes on by itself then"
            )
        case socket.gaierror():
            return DatabaseUnreachable(
                f"PostgreSQL's host is not known: {error}",
                hint="check JANGBU_DATABASE_URL, where a password's @, / and # are written as %40, %2F and %23",
            )
        case _:
            cause = str(error) or type(error).__name__
            return DatabaseUnreachable(f"PostgreSQL does not answer: {cause}", hint="check JANGBU_DATABASE_URL")
