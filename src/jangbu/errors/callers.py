"""What whoever calls can mend: ask otherwise, bring another key, pay, or come again later."""

from jangbu.errors.root import JangbuError

__all__ = [
    "BackupUnusable",
    "IdempotencyConflict",
    "InsufficientBalance",
    "InvalidAnswer",
    "InvalidInput",
    "InvalidMetadata",
    "InvalidSettings",
    "LastOwner",
    "LimitReached",
    "MissingUser",
    "NoAccount",
    "NotFound",
    "NotOffered",
    "NotPermitted",
    "Overdrawn",
    "PasswordRefused",
    "StillRunning",
    "TokenExpired",
    "TooLarge",
    "TooMuchKept",
    "Unauthenticated",
]


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


class Overdrawn(InvalidInput):
    """This would take more from a balance than was ever granted to it."""


class PasswordRefused(InvalidInput):
    """A password is too easily guessed, or cannot be kept; ``weakness`` says which, in one word."""

    code = "password_refused"

    def __init__(self, message: str, *, weakness: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.weakness = weakness


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


class StillRunning(JangbuError):
    """Work has not ended, and to do what was asked for would leave nothing that tells what it cost."""

    code = "still_running"


class TooMuchKept(JangbuError):
    """A user has the provider keep as many files or caches, or as large ones, as one user may at once."""

    code = "too_much_kept"


class NotOffered(JangbuError):
    """What was asked for is not offered: it is refused and never passed on unmetered."""

    code = "not_offered"


class LimitReached(JangbuError):
    """A limit is reached for now; ``seconds`` says after how long to try again."""

    code = "limit_reached"

    def __init__(self, message: str, *, seconds: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds


class InsufficientBalance(JangbuError):
    """The call cannot be paid for and was not made; ``needed`` and ``available`` are tokens."""

    code = "insufficient_balance"

    def __init__(self, *, user: str, needed: int, available: int) -> None:
        told = f"user {user!r} needs {needed:,} tokens and has {available:,} available"
        super().__init__(told, hint="grant tokens, or ask for less")
        self.user, self.needed, self.available = user, needed, available
