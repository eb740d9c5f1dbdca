"""Every error that Jangbu raises, as one tree.

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
    ├── InsufficientBalance     the call cannot be paid for
    ├── NotConfigured           the gateway was given nothing to call the provider with
    ├── UpstreamUnreachable     the provider could not be reached
    ├── UncountedInput          nothing tells how many tokens a call's input has
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

An error has a stable ``code`` (part of the public surface), a message of one line that says what happened, and a
``hint`` that says what to do. Those that whoever calls can mend are in ``callers``, those that whoever runs Jangbu can
mend in ``operators``. Exit codes are given in ``jangbu.cli.exits``, HTTP statuses where HTTP is spoken.
"""

from jangbu.errors.callers import (
    BackupUnusable,
    IdempotencyConflict,
    InsufficientBalance,
    InvalidAnswer,
    InvalidInput,
    InvalidMetadata,
    InvalidSettings,
    LastOwner,
    LimitReached,
    MissingUser,
    NoAccount,
    NotFound,
    NotOffered,
    NotPermitted,
    Overdrawn,
    PasswordRefused,
    StillRunning,
    TokenExpired,
    TooLarge,
    TooMuchKept,
    Unauthenticated,
)
from jangbu.errors.operators import (
    AlertUndelivered,
    BackupFailed,
    BalanceLocked,
    DatabaseUnreachable,
    DataDirectoryInUse,
    DataDirectoryUnusable,
    HoldInDoubt,
    IntegrityMismatch,
    LedgerUnreachable,
    NotConfigured,
    RecordingFailed,
    RecordRefused,
    SpoolFull,
    SpoolInUse,
    SpoolUnusable,
    UncountedInput,
    UpstreamUnreachable,
)
from jangbu.errors.root import JangbuError

__all__ = [
    "AlertUndelivered",
    "BackupFailed",
    "BackupUnusable",
    "BalanceLocked",
    "DataDirectoryInUse",
    "DataDirectoryUnusable",
    "DatabaseUnreachable",
    "HoldInDoubt",
    "IdempotencyConflict",
    "InsufficientBalance",
    "IntegrityMismatch",
    "InvalidAnswer",
    "InvalidInput",
    "InvalidMetadata",
    "InvalidSettings",
    "JangbuError",
    "LastOwner",
    "LedgerUnreachable",
    "LimitReached",
    "MissingUser",
    "NoAccount",
    "NotConfigured",
    "NotFound",
    "NotOffered",
    "NotPermitted",
    "Overdrawn",
    "PasswordRefused",
    "RecordRefused",
    "RecordingFailed",
    "SpoolFull",
    "SpoolInUse",
    "SpoolUnusable",
    "StillRunning",
    "TokenExpired",
    "TooLarge",
    "TooMuchKept",
    "Unauthenticated",
    "UncountedInput",
    "UpstreamUnreachable",
]
