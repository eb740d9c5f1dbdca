"""What a call can cost at most, read from its request before it is made.

A text never has more tokens than UTF-8 bytes, and the JSON around it has more bytes than the few tokens that each turn
adds. Tokens that built-in tools feed back (a search, a fetched page) are in no request and bounded by nobody: a call
that uses them may cost more than its bound, and the ledger then records an overrun.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jangbu.domain.flow import Bounds
from jangbu.domain.usage import COUNT_MAX
from jangbu.providers.gemini.counts import read_count
from jangbu.providers.gemini.input_bound import input_most
from jangbu.providers.gemini.limits import input_limit, output_limit

_GENERATES = {"generateContent", "streamGenerateContent", "interactions", "chat/completions"}
_EMBEDS = {"embedContent", "batchEmbedContents", "asyncBatchEmbedContent", "embeddings"}
_PREDICTS = {"predict", "predictLongRunning"}
_FREE = {"countTokens", "computeTokens", "cachedContents", "images/generations"}
_VERBS = sorted(_GENERATES | _EMBEDS | _PREDICTS | _FREE | {"batchGenerateContent"}, key=len, reverse=True)
_VERB_END = re.compile("(?:^|[:/])(" + "|".join(map(re.escape, _VERBS)) + r")(?=$|[/?])")

# Where each surface keeps the limit of its output: the object that holds it, and its name there.
_LIMIT_NAMES = {
    "generationConfig": "maxOutputTokens",
    "generation_config": "max_output_tokens",
}
_OPENAI_LIMITS = ("max_completion_tokens", "max_tokens")


def bounds(path_or_verb: str, body: Mapping[str, Any], model: str | None) -> Bounds:
    """Bound a request by its path (or its verb alone), its body and the model it asks for.

    ``input_most`` is None where only the provider can tell: a file or page named by URI, cached content, an earlier
    interaction. A path that charges no tokens (countTokens, caches, images) is bounded by 0.
    """
    verb = verb_of(path_or_verb)
    if verb in _FREE:
        return Bounds(0, 0, output_chosen=True)
    if verb in _PREDICTS and not _has_texts(body):
        return Bounds(0, 0, output_chosen=True)
    if verb in _EMBEDS or verb in _PREDICTS:
        return Bounds(_within(input_most(body), model), 0, output_chosen=True)
    if verb == "batchGenerateContent":
        return _batch_bounds(body, model)
    return _generate_bounds(body, model)


def verb_of(path_or_verb: str) -> str | None:
    """Give the verb that a path ends in, such as generateContent or interactions; None for one that is unknown."""
    found = _VERB_END.search(path_or_verb)
    return found.group(1) if found else None


def with_output_limit(body: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Copy a request with each candidate's output limited to ``limit`` tokens, in the request's own spelling."""
    copy = dict(body)
    if "messages" in body:
        name = next((name for name in _OPENAI_LIMITS if name in body), _OPENAI_LIMITS[0])
        return {**{key: value for key, value in copy.items() if key not in _OPENAI_LIMITS}, name: limit}
    interacts = "input" in body and "contents" not in body
    holder = "generation_config" if interacts or "generation_config" in body else "generationConfig"
    if "generationConfig" in body and not interacts:
        holder = "generationConfig"
    given = body.get(holder)
    config = dict(given) if isinstance(given, Mapping) else {}
    for name in _LIMIT_NAMES.values():
        config.pop(name, None)
    config["max_output_tokens" if holder == "generation_config" else "maxOutputTokens"] = limit
    copy[holder] = config
    return copy


def _generate_bounds(body: Mapping[str, Any], model: str | None) -> Bounds:
    candidates = max(_first_count(body, ("candidateCount", "candidate_count", "n")) or 1, 1)
    chosen = _first_count(body, (*_LIMIT_NAMES.values(), *_OPENAI_LIMITS))
    each = output_limit(model) if not chosen else min(chosen, output_limit(model, unknown=chosen))
    return Bounds(
        _within(input_most(body), model),
        min(each * candidates, COUNT_MAX),
        output_chosen=bool(chosen),
        candidates=candidates,
    )


def _has_texts(body: Mapping[str, Any]) -> bool:
    """Tell whether a predict request is for embeddings; images and videos are not paid for by the token."""
    instances = body.get("instances")
    return isinstance(instances, list) and any(isinstance(each, Mapping) and "content" in each for each in instances)


def _batch_bounds(body: Mapping[str, Any], model: str | None) -> Bounds:
    """Add up the requests of a batch; one in a file cannot be bounded here."""
    found = [_generate_bounds(request, model) for request in _inline_requests(body)]
    inputs = [bound.input_most for bound in found]
    if not found:
        return Bounds(None, output_limit(model), output_chosen=False)
    total = None if None in inputs else sum(bound.input_most or 0 for bound in found)
    return Bounds(total, sum(bound.output_most for bound in found), output_chosen=True)


def _inline_requests(body: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    holder: Any = body
    for names in (("batch",), ("inputConfig", "input_config"), ("requests",), ("requests",)):
        name = next((name for name in names if isinstance(holder, Mapping) and name in holder), None)
        holder = holder if name is None else holder[name]
    for item in holder if isinstance(holder, list) else ():
        request = item.get("request", item) if isinstance(item, Mapping) else None
        if isinstance(request, Mapping):
            yield request


def _first_count(body: Mapping[str, Any], names: Iterable[str]) -> int | None:
    holders = [holder for name in _LIMIT_NAMES if isinstance(holder := body.get(name), Mapping)]
    for holder in (*holders, body):
        for name in names:
            count = read_count(holder.get(name))
            if count is not None and count >= 0:
                return count
    return None


def _within(most: int | None, model: str | None) -> int | None:
    """No input exceeds what the model takes: the provider refuses it, and an error costs nothing."""
    limit = input_limit(model)
    return most if most is None or limit is None else min(most, limit)
