"""Every error that Jangbu raises, as one tree. Exit codes are in ``jangbu.cli.exits``, statuses where HTTP is spoken.

JangbuError
├── InvalidInput            the caller gave something that cannot be used
│   ├── InvalidAnswer       the bytes are no answer of a provider
│   ├── InvalidMetadata     metadata or tags break a bound
│   ├── InvalidSettings     a setting is missing or malformed
│   ├── TooLarge            a request is larger than is taken
│   ├── Overdrawn           this would take more than was ever granted
│   ├── PasswordRefused     a password is too easily guessed, or cannot be kept
│   ├── BackupUnusable      what was named is no backup, or none that can be restored
│   └── MissingUser         a call names no user
├── IdempotencyConflict     a key was used again with other content
├── NotFound                no such account, call, hold or price
│   └── NoAccount           nobody opened an account for the user
├── NotPermitted            the key or the account may not do this
│   ├── LastOwner           nobody would be left who may give roles
│   └── Unauthenticated     no key was given, or one that opens nothing
│       └── TokenExpired    what was given did open something, until its time was over
├── StillRunning            work has not ended, and what it will cost is not known yet
├── TooMuchKept             a user has the provider keep as much as one may
├── NotOffered              what was asked for is not offered, and was not passed on
├── LimitReached            a limit of the key or of the gateway is reached for now
├── NotConfigured           the gateway was given nothing to call the provider with
├── UpstreamUnreachable     the provider could not be reached
├── UncountedInput          nothing tells how many tokens a call's input has
├── InsufficientBalance     the call cannot be paid for
├── AlertUndelivered        a channel did not take an alert
├── IntegrityMismatch       the book does not add up
├── BackupFailed            a backup or a restore could not be completed; nothing was changed
├── RecordingFailed         a record could not be made durable
│   └── RecordRefused       the ledger cannot hold it, and never will
├── SpoolFull               there is no room to keep a record while the database is away
├── SpoolUnusable           the local spool cannot be written
│   └── SpoolInUse          another process owns it
└── DatabaseUnreachable     PostgreSQL does not answer
    ├── HoldInDoubt         it did not say whether it took a hold; the call was not made
    ├── BalanceLocked       another transaction keeps the user's balance locked
    ├── LedgerUnreachable   the server whose API is asked does not answer
    ├── DataDirectoryInUse  another server owns the data directory
    └── DataDirectoryUnusable  the directory is of another major version, or damaged
"""


class JangbuError(Exception):
    """What Jangbu raises on purpose: a stable, public ``code``, a line on what happened, a ``hint`` on what to do."""

    code = "failure"
    progress: tuple[int, int] | None = None  # How many were done when it broke off, and of how many.

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:  # Out of another process it comes without being made anew.
        return BaseException.__new__, (type(self), *self.args), self.__dict__


class InvalidInput(JangbuError):
    """The caller gave something that cannot be used; nothing was changed."""

    code = "invalid_input"


class InvalidAnswer(InvalidInput):
    """The bytes or the object are no answer of a provider, so no usage can be read."""

    code = "invalid_answer"


class InvalidMetadata(InvalidInput):
    """Metadata, tags or a name break a bound (size, depth, characters)."""

    code = "invalid_metadata"


class InvalidSettings(InvalidInput):
    """A setting is missing, malformed or contradicts another."""

    code = "invalid_settings"


class TooLarge(InvalidInput):
    """A request is larger than is taken."""

    code = "too_large"


class PasswordRefused(InvalidInput):
    """A password is too easily guessed, or cannot be kept; ``weakness`` says which, in one word."""

    code = "password_refused"

    def __init__(self, message: str, *, weakness: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.weakness = weakness


class Overdrawn(InvalidInput):
    """This would take more from a balance than was ever granted to it."""


class BackupUnusable(InvalidInput):
    """What was named is no backup, or one that cannot be restored: unfinished, damaged, of another major version."""

    code = "backup_unusable"


class MissingUser(InvalidInput):
    """A metered call was made without saying which user pays for it."""

    code = "missing_user"


class IdempotencyConflict(JangbuError):
    """The idempotency key was used before with other content; the first result stands."""

    code = "idempotency_conflict"


class NotFound(JangbuError):
    """What was named does not exist."""

    code = "not_found"


class NoAccount(NotFound):
    """Nobody opened an account for a user, or nobody is told any more whose it was."""

    def __init__(self, user: str, *, hint: str = "") -> None:
        super().__init__(f"user {user!r} has no account", hint=hint or f"run `jangbu accounts create {user}`")
        self.user = user


class NotPermitted(JangbuError):
    """The key or the account may not do this."""

    code = "not_permitted"


class LastOwner(NotPermitted):
    """Nobody would be left who has a way in and may give roles."""

    code = "last_owner"


class Unauthenticated(NotPermitted):
    """No key was given, or one that opens nothing, or a wrong password: which of them a guesser is not told."""

    code = "unauthenticated"


class TokenExpired(Unauthenticated):
    """What was given did open something, and its time is over: another one will do."""

    code = "token_expired"


class TooMuchKept(JangbuError):
    """A user has the provider keep as many files or caches, or as large ones, as one user may at once."""

    code = "too_much_kept"


class NotOffered(JangbuError):
    """What was asked for is not offered: it is refused and never passed on unmetered."""

    code = "not_offered"


class StillRunning(JangbuError):
    """Work has not ended, and to do what was asked for would leave nothing that tells what it cost."""

    code = "still_running"


class LimitReached(JangbuError):
    """A limit is reached for now; ``seconds`` says after how long to try again."""

    code = "limit_reached"

    def __init__(self, message: str, *, seconds: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds


class NotConfigured(JangbuError):
    """The gateway was given nothing to call the provider with, so it makes no calls."""

    code = "not_configured"


class UpstreamUnreachable(JangbuError):
    """The provider could not be reached, or broke off."""

    code = "upstream_unreachable"


class UncountedInput(JangbuError):
    """Nothing tells how many tokens the input of a call has, so nothing can be held for it; the call was not made."""

    code = "uncounted_input"


class InsufficientBalance(JangbuError):
    """The call cannot be paid for and was not made; ``needed`` and ``available`` are tokens."""

    code = "insufficient_balance"

    def __init__(self, *, user: str, needed: int, available: int) -> None:
        told = f"user {user!r} needs {needed:,} tokens and has {available:,} available"
        super().__init__(told, hint="grant tokens, or ask for less")
        self.user, self.needed, self.available = user, needed, available


class AlertUndelivered(JangbuError):
    """A channel did not take an alert; nothing tells of its address. ``is_gone``: its receiver answered 410, never."""

    code = "alert_undelivered"

    def __init__(self, message: str, *, hint: str = "", is_gone: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_gone = is_gone


class IntegrityMismatch(JangbuError):
    """The book does not add up: `jangbu verify` lists the rows that differ."""

    code = "integrity_mismatch"


class BackupFailed(JangbuError):
    """A backup or a restore could not be completed; the ledger is as it was, and nothing half-made is left."""

    code = "backup_failed"


class RecordingFailed(JangbuError):
    """A usage record could not be made durable; it is kept by the caller and must be retried."""

    code = "recording_failed"


class RecordRefused(RecordingFailed):
    """A usage record holds what the ledger cannot, or would make a sum larger than it can: to retry it is of no use."""

    code = "record_refused"


class SpoolFull(JangbuError):
    """The local spool has no room for another record, so a call is refused before it is made."""

    code = "spool_full"


class SpoolUnusable(JangbuError):
    """The local spool cannot be read or written."""

    code = "spool_unusable"


class SpoolInUse(SpoolUnusable):
    """Another process owns this spool."""

    code = "spool_in_use"


class DatabaseUnreachable(JangbuError):
    """PostgreSQL does not answer, or refuses the connection."""

    code = "database_unreachable"


class HoldInDoubt(DatabaseUnreachable):
    """PostgreSQL did not say whether it took a hold. The call was not made, and what is held is given back."""


class BalanceLocked(DatabaseUnreachable):
    """Another transaction of PostgreSQL keeps the user's balance locked for longer than is waited for."""


class LedgerUnreachable(DatabaseUnreachable):
    """The server whose API a connected meter asks does not answer, or answers as no server of Jangbu's does."""

    code = "ledger_unreachable"


class DataDirectoryInUse(DatabaseUnreachable):
    """A server that is not ours runs on the data directory."""

    code = "data_directory_in_use"


class DataDirectoryUnusable(DatabaseUnreachable):
    """The data directory belongs to another major version, or is damaged."""

    code = "data_directory_unusable"
