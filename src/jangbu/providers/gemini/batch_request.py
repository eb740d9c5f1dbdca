"""What a batch of requests can cost at most, and how its output is limited: each request has a share of one hold."""

from collections.abc import Callable, Mapping
from typing import Any

from jangbu.domain.flow import Bounds
from jangbu.domain.usage import COUNT_MAX
from jangbu.providers.gemini import request
from jangbu.providers.gemini.counts import read_count

__all__ = ["batch_bounds", "file_bytes", "with_output_limits"]

_STEPS = (("batch",), ("inputConfig", "input_config"), ("requests",), ("requests",))
_VERB = "generateContent"

Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def batch_bounds(body: Mapping[str, Any], model: str | None) -> Bounds | None:
    """Bound the requests of a batch together; None where they stand in a file.

    A request whose input only the provider can tell counts with its output alone.
    """
    found: list[Bounds] = []

    def read(single: Mapping[str, Any]) -> Mapping[str, Any]:
        found.append(request.bounds(_VERB, single, model))
        return single

    _changed(body, _STEPS, read)
    if not found:
        return None
    return Bounds(
        min(sum(each.input_most or 0 for each in found), COUNT_MAX),
        min(sum(each.output_most for each in found), COUNT_MAX),
        output_chosen=all(each.output_chosen for each in found),
        candidates=sum(each.candidates for each in found),
    )


def with_output_limits(body: Mapping[str, Any], limit: int) -> Mapping[str, Any]:
    """Copy a batch with each candidate of each request limited to ``limit`` tokens; a lower limit of its own stays."""

    def limited(single: Mapping[str, Any]) -> Mapping[str, Any]:
        own = request.bounds(_VERB, single, None)
        if own.output_chosen and own.output_most // own.candidates <= limit:
            return single
        return request.with_output_limit(single, limit)

    changed: Mapping[str, Any] = _changed(body, _STEPS, limited)
    return changed


def file_bytes(shown: Mapping[str, Any]) -> int | None:
    """Read how large a file is; None where the provider does not say."""
    size = read_count(shown.get("sizeBytes"))
    return None if size is None or size < 0 else size


def _changed(value: Any, steps: tuple[tuple[str, ...], ...], change: Change) -> Any:
    """Copy a batch with each of its requests changed. Steps of the way to them that are left out are passed over."""
    if isinstance(value, list):
        return [_changed_item(item, change) for item in value]
    if not steps or not isinstance(value, Mapping):
        return value
    copy = dict(value)
    for name in steps[0]:
        if name in copy:
            copy[name] = _changed(copy[name], steps[1:], change)
            return copy
    return _changed(value, steps[1:], change)


def _changed_item(item: Any, change: Change) -> Any:
    if not isinstance(item, Mapping):
        return item
    single = item.get("request")
    return {**item, "request": change(single)} if isinstance(single, Mapping) else item
