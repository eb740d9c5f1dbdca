"""How a Live session ends: the code and the reason of its close frame, in which a client finds what is the matter."""

from collections.abc import Iterable
from dataclasses import dataclass

from jangbu.errors import (
    DatabaseUnreachable,
    InsufficientBalance,
    InvalidInput,
    JangbuError,
    LimitReached,
    NotConfigured,
    NotFound,
    NotOffered,
    NotPermitted,
    RecordingFailed,
    RecordRefused,
    SpoolFull,
    SpoolUnusable,
    TooLarge,
)
from jangbu.gateway.refusals import words_for

__all__ = ["Closing", "closing", "hidden", "passed_on"]

NORMAL = 1000
GOING_AWAY = 1001
INVALID_DATA = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013

HIDDEN = "***"
REASON_BYTES_MAX = 123
"""What fits into a close frame beside its code."""

_CODES: tuple[tuple[type[JangbuError], int], ...] = (
    (InsufficientBalance, POLICY_VIOLATION),
    (NotPermitted, POLICY_VIOLATION),
    (NotFound, POLICY_VIOLATION),
    (NotOffered, POLICY_VIOLATION),
    (TooLarge, TOO_BIG),
    (InvalidInput, INVALID_DATA),
    (LimitReached, TRY_AGAIN_LATER),
    (NotConfigured, TRY_AGAIN_LATER),
    (DatabaseUnreachable, TRY_AGAIN_LATER),
    (SpoolFull, TRY_AGAIN_LATER),
    (SpoolUnusable, TRY_AGAIN_LATER),
    (RecordRefused, POLICY_VIOLATION),
    (RecordingFailed, TRY_AGAIN_LATER),
)
# Codes that only tell what happened to a connection, and are never sent.
_UNSENT = frozenset({1004, 1005, 1006, 1015})


@dataclass(frozen=True, slots=True)
class Closing:
    """A close frame."""

    code: int
    reason: str

    def __post_init__(self) -> None:
        """Cut the reason to what fits, between two characters."""
        cut = self.reason.encode("utf-8", "replace")[:REASON_BYTES_MAX].decode("utf-8", "ignore")
        object.__setattr__(self, "reason", cut)


def closing(error: JangbuError) -> Closing:
    """Word an error. Nothing in a session tells a client to try again what cannot be paid for."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), INTERNAL_ERROR)
    if isinstance(error, InsufficientBalance):
        words = f"{error.needed} tokens needed, {error.available} available"
    else:
        words = words_for(error)
    return Closing(code, f"{error.code.upper()}: {words}")


def passed_on(code: int | None, reason: str, secrets: Iterable[str]) -> Closing:
    """Give the client the provider's close frame; one without a code is an ordinary end.

    The provider's reasons name the key that was used (``api_key:…``), perhaps cut short: it stays here.
    """
    reason = hidden(reason, secrets)
    if code in (None, 0, 1005):
        return Closing(NORMAL, reason)
    assert code is not None, "no code was just ruled out"
    if code in _UNSENT or not 1000 <= code < 5000 or 1016 <= code < 3000:
        return Closing(INTERNAL_ERROR, reason)
    return Closing(code, reason)


def hidden(text: str, secrets: Iterable[str]) -> str:
    """Hide secrets in a text, and what may be the beginning of one at its end."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
        begun = next((size for size in range(len(secret), 3, -1) if text.endswith(secret[:size])), 0)
        text = text[: len(text) - begun] + HIDDEN if begun else text
    return text
