"""What a batch of requests can cost at most, and how its output is limited: each request has a share of one hold."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from jangbu.domain.flow import Bounds
from jangbu.domain.usage import COUNT_MAX
from jangbu.providers.gemini import request
from jangbu.providers.gemini.counts import read_count
from jangbu.providers.gemini.fields import fields
from jangbu.providers.gemini.input_bound import input_scan
from jangbu.providers.gemini.limits import largest_input
from jangbu.providers.gemini.media import IMAGE_TOKENS_MOST, media_tokens_most
from jangbu.providers.gemini.references import references

__all__ = ["batch_bounds", "cache_tokens", "file_bytes", "file_tokens", "with_output_limits"]

_STEPS = (("batch",), ("inputConfig", "input_config"), ("requests",), ("requests",))
_VERB = "generateContent"

Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def batch_bounds(
    body: Mapping[str, Any], model: str | None, known: Mapping[str, int], verb: str = _VERB
) -> Bounds | None:
    """Bound the requests of a batch together, each as one of ``verb``; None where they stand in a file.

    What their tools feed back is held for in full: many requests that overrun at once would be too much to let happen.

    ``known`` has the most tokens of files and caches, by name. A request that names anything else counts with all that
    the model takes.
    """
    found: list[Bounds] = []

    def read(single: Mapping[str, Any]) -> Mapping[str, Any]:
        own = request.bounds(verb, single, model)
        found.append(own if own.input_most is not None else replace(own, input_most=_input_most(single, model, known)))
        return single

    _changed(body, _STEPS, read)
    if not found:
        return None
    return Bounds(
        min(sum((each.input_most or 0) + each.fed_back_most for each in found), COUNT_MAX),
        min(sum(each.output_most for each in found), COUNT_MAX),
        output_chosen=all(each.output_chosen for each in found),
        candidates=sum(each.candidates for each in found),
        output_ends=all(each.output_ends for each in found),
    )


def with_output_limits(body: Mapping[str, Any], limit: int) -> Mapping[str, Any]:
    """Copy a batch with each candidate of each request limited to ``limit`` tokens; a lower limit of its own stays."""

    def limited(single: Mapping[str, Any]) -> Mapping[str, Any]:
        own = request.bounds(_VERB, single, None)
        if own.output_chosen and own.output_most // own.candidates <= limit:
            return single
        return request.with_output_limit(_VERB, single, limit)

    changed: Mapping[str, Any] = _changed(body, _STEPS, limited)
    return changed


def _input_most(single: Mapping[str, Any], model: str | None, known: Mapping[str, int]) -> int:
    """Bound the input of a request that names what is kept elsewhere."""
    limit, local = largest_input(model), input_scan(single)
    total: int | None = local.most
    for elsewhere in local.elsewhere:
        found = fields(elsewhere)
        names = references(found)
        # What a request calls a film is counted by its length, whatever its upload called it.
        kinds = [str(value) for path, value in found if path[-1] == "mimetype" and value]
        is_known = bool(names) and all(name in known for name in names)
        is_known = is_known and all(media_tokens_most(kind, 0) is not None for kind in kinds)
        total = None if total is None or not is_known else total + sum(known[name] for name in names)
    return limit if total is None else min(total, limit)


def file_tokens(shown: Mapping[str, Any]) -> int | None:
    """Bound what a file is as input, by its type and size; None where they do not tell, or the provider does not."""
    size = file_bytes(shown)
    if size is None or media_tokens_most(str(shown.get("mimeType")), size) is None:
        return None
    # The request may call a text an image, and an image a text.
    return max(size, IMAGE_TOKENS_MOST)


def cache_tokens(shown: Mapping[str, Any]) -> int | None:
    """Read how many tokens a cache holds; None where the provider does not say."""
    usage = shown.get("usageMetadata")
    count = read_count(usage.get("totalTokenCount")) if isinstance(usage, Mapping) else None
    return None if count is None or count < 0 else count


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
