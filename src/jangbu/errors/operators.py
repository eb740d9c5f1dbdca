"""What whoever runs Jangbu can mend: PostgreSQL, the disk, the provider, a channel, or the book itself fails."""

from jangbu.errors.root import JangbuError

__all__ = [
    "AlertUndelivered",
    "BackupFailed",
    "BalanceLocked",
    "DataDirectoryInUse",
    "DataDirectoryUnusable",
    "DatabaseUnreachable",
    "HoldInDoubt",
    "IntegrityMismatch",
    "LedgerUnreachable",
    "NotConfigured",
    "RecordRefused",
    "RecordingFailed",
    "SpoolFull",
    "SpoolInUse",
    "SpoolUnusable",
    "UncountedInput",
    "UpstreamUnreachable",
]


class NotConfigured(JangbuError):
    """The gateway was given nothing to call the provider with, so it makes no calls."""

    code = "not_configured"


class UpstreamUnreachable(JangbuError):
    """The provider could not be reached, or broke off."""

    code = "upstream_unreachable"


class UncountedInput(JangbuError):
    """Nothing tells how many tokens the input of a call has, so nothing can be held for it; the call was not made."""

    code = "uncounted_input"


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
