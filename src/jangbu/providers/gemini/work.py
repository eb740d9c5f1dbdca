"""Work that Google does in the background: how far it is, as a batch, an operation or an interaction shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jangbu.providers.gemini.interactions import RUNNING

__all__ = ["Work", "batch_of_file", "operation_asked", "work_of"]

_FAILED = frozenset({"failed", "cancelled", "expired"})
_ENDED = _FAILED | {"succeeded"}


@dataclass(frozen=True, slots=True)
class Work:
    """How work stands. ``results`` is the full name of the file in which a batch's results are, where one is named.

    ``answer`` is what shows the work: a batch may come inside an object that says more of it.
    """

    answer: Mapping[str, Any]
    has_ended: bool
    has_failed: bool
    results: str | None


def work_of(shown: Mapping[str, Any]) -> Work:
    """Read how work stands from the object that shows it; one that shows nothing has not ended."""
    answer = _inner(shown, "batch") or shown
    state = _state(answer)
    is_done = answer.get("done") is True
    status = answer.get("status")
    return Work(
        answer,
        has_ended=is_done or state in _ENDED if status is None else str(status) not in RUNNING,
        has_failed=state in _FAILED or (is_done and "error" in answer),
        results=_results(answer),
    )


def batch_of_file(name: str) -> str | None:
    """Give the batch that a file of results is of, by the names that Google gives (batches/ID, files/batch-ID).

    None for a file of another name.
    """
    made = name.removeprefix("files/batch-")
    return f"batches/{made}" if made not in ("", name) else None


def operation_asked(body: Mapping[str, Any]) -> str | None:
    """Give the full name of the operation that Vertex AI is asked for; None unless it is named, in one spelling."""
    names = [value for name, value in body.items() if name.replace("_", "").lower() == "operationname"]
    return names[0] if len(names) == 1 and isinstance(names[0], str) and "/" in names[0] else None


def _state(answer: Mapping[str, Any]) -> str:
    """Give the last word of a state: BATCH_STATE_FAILED, JOB_STATE_FAILED and failed are one."""
    state = str(answer.get("state") or _inner(answer, "metadata").get("state") or answer.get("status") or "")
    return state.rpartition("_")[2].lower()


def _results(answer: Mapping[str, Any]) -> str | None:
    for holder in (_inner(answer, "response"), _inner(_inner(answer, "metadata"), "output")):
        named = holder.get("responsesFile")
        if isinstance(named, str) and "files/" in named:
            return named
    return None


def _inner(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = answer.get(name)
    return value if isinstance(value, Mapping) else {}
