"""Problems that the API answers with, back into the errors that they were."""

from typing import Any

from jangbu.errors import InsufficientBalance, JangbuError, LimitReached

__all__ = ["error_of"]


def error_of(problem: dict[str, Any], *, seconds: int) -> JangbuError:
    """Give the error that a problem tells of, by its code; ``seconds`` is after how long to try again.

    One of a later release is a plain JangbuError with its code.
    """
    code = str(problem.get("code"))
    message, hint = str(problem.get("detail", "the server refused")), str(problem.get("hint") or "")
    kind = _kinds().get(code, JangbuError)
    if kind is LimitReached:
        return LimitReached(message, seconds=seconds, hint=hint)
    if kind is InsufficientBalance or not _is_plain(kind):
        kind = JangbuError
    error = kind(message, hint=hint)
    error.code = code
    return error


def _kinds() -> dict[str, type[JangbuError]]:
    """Give the kinds of errors by their codes; of two that share one the wider."""
    found: dict[str, type[JangbuError]] = {}
    kinds: list[type[JangbuError]] = [JangbuError]
    for kind in kinds:
        found.setdefault(kind.code, kind)
        kinds.extend(kind.__subclasses__())
    return found


def _is_plain(kind: type[JangbuError]) -> bool:
    """Tell whether an error is made of its message and a hint alone, as nearly all are."""
    return "__init__" not in vars(kind)
