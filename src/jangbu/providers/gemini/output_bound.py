"""How much a request may write: read from the words of its own surface alone, and put in with them.

A name that a surface does not know limits nothing there. Of two spellings the larger counts: nobody knows which one
the provider reads.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jangbu.domain.usage import COUNT_MAX
from jangbu.providers.gemini.counts import read_count
from jangbu.providers.gemini.fields import folded
from jangbu.providers.gemini.limits import ends_by_itself, output_limit, picture_room
from jangbu.providers.gemini.services import draws

__all__ = ["OutputBound", "output_bound", "with_output_limit"]

CANDIDATES_MOST = 8
"""The most candidates that Google gives: assumed where the number cannot be read."""


@dataclass(frozen=True, slots=True)
class OutputBound:
    """The most tokens that all candidates of a request may write, and whether the request itself limits them.

    ``least`` is the smallest limit of a candidate that is of use: where a picture is asked for it has to fit in.

    ``takes_limit`` tells whether there could be a limit: an agent is given no configuration of a model
    (CreateAgentInteraction of google-genai 3.4.0 has no ``generation_config``), so nothing may be written into its
    request. ``ends`` tells whether the model itself writes no more than that.
    """

    most: int
    is_chosen: bool
    candidates: int
    least: int = 1
    takes_limit: bool = True
    ends: bool = True


@dataclass(frozen=True, slots=True)
class _Words:
    """What a surface calls the object that holds the limits (none: the body), each candidate's limit, their number."""

    holders: tuple[str, ...]
    limits: tuple[str, ...]
    candidates: tuple[str, ...]


_GENERATE = _Words(
    ("generationConfig", "generation_config"),
    ("maxOutputTokens", "max_output_tokens"),
    ("candidateCount", "candidate_count"),
)
_BY_VERB = {
    "interactions": _Words(("generation_config",), ("max_output_tokens",), ()),
    "chat/completions": _Words((), ("max_completion_tokens", "max_tokens"), ("n",)),
}


def output_bound(verb: str | None, body: Mapping[str, Any], model: str | None) -> OutputBound:
    """Bound the output of a request of a verb."""
    words = _BY_VERB.get(verb or "", _GENERATE)
    holders = [body] if not words.holders else [body[name] for name in words.holders if name in body]
    limits, counts = _values(holders, words.limits), _values(holders, words.candidates)
    is_agents = verb == "interactions" and bool(body.get("agent"))
    if is_agents:
        # What an agent does not take limits nothing.
        limits = []
    # A limit that cannot be read limits nothing.
    chosen = max(limits) if limits and min(limits) > 0 else 0
    each = min(chosen, output_limit(model, unknown=chosen)) if chosen else output_limit(model)
    candidates = max([1, *(CANDIDATES_MOST if count < 0 else count for count in counts)]) if counts else 1
    least = min(each, picture_room(model)) if draws(model or "", body) else 1
    return OutputBound(
        min(each * candidates, COUNT_MAX), bool(chosen), candidates, least, not is_agents, ends_by_itself(model)
    )


def with_output_limit(verb: str | None, body: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Copy a request of a verb with each candidate's output limited to ``limit`` tokens, in one spelling."""
    words = _BY_VERB.get(verb or "", _GENERATE)
    if not words.holders:
        return _rewritten(body, words.limits, lambda _: limit)
    return _rewritten(body, words.holders, lambda given: _rewritten(_merged(given), words.limits, lambda _: limit))


def _values(holders: Iterable[Any], names: Iterable[str]) -> list[int]:
    """Read the counts of these names; one that cannot be read is -1."""
    objects = [holder for holder in holders if isinstance(holder, (dict, Mapping))]
    given = [value for holder in objects for name in names if (value := holder.get(name)) is not None]
    # What is given is not None, and so is what is read of it.
    return [read_count(value if type(value) is int else _whole(value)) or 0 for value in given]


def _whole(value: Any) -> Any:
    """Give a whole number that is written with a fraction or an exponent (100.0, "1e2") as what the provider reads."""
    try:
        number = float(value) if isinstance(value, str | float) else None
    except ValueError:
        return value
    return int(number) if number is not None and number.is_integer() else value


def _rewritten(given: Mapping[str, Any], names: tuple[str, ...], value: Callable[[list[Any]], Any]) -> dict[str, Any]:
    """Copy an object with a field in one spelling: its own where the surface knows it, and without any other."""
    spellings = {folded(name) for name in names}
    kept = {name: member for name, member in given.items() if folded(name) not in spellings}
    written = value([member for name, member in given.items() if folded(name) in spellings])
    return {**kept, **dict.fromkeys([next((name for name in names if name in given), names[0])], written)}


def _merged(given: Iterable[Any]) -> dict[str, Any]:
    return {name: member for each in given if isinstance(each, Mapping) for name, member in each.items()}
