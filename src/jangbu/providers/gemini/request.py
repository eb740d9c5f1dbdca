"""What a call can cost at most, read from its request before it is made.

A text never has more tokens than UTF-8 bytes, and the JSON around it has more bytes than the few tokens that each turn
adds. What built-in tools feed back (a search, a fetched page) is in no request: it is bounded apart, and where the
balance does not go so far, the ledger may record an overrun of that one call.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jangbu.domain.flow import Bounds
from jangbu.providers.gemini.fields import listed
from jangbu.providers.gemini.input_bound import input_most, input_scan
from jangbu.providers.gemini.limits import ends_by_itself, input_limit, output_limit
from jangbu.providers.gemini.output_bound import output_bound, with_output_limit
from jangbu.providers.gemini.tool_bound import fed_back_most

__all__ = ["bounds", "verb_of", "with_output_limit"]

_GENERATES = {"generateContent", "streamGenerateContent", "interactions", "chat/completions"}
_EMBEDS = {"embedContent", "batchEmbedContents", "asyncBatchEmbedContent", "embeddings"}
_PREDICTS = {"predict", "predictLongRunning"}
_IMAGES = {"images/generations"}
_FREE = {"countTokens", "computeTokens"}
_STORES = {"cachedContents"}
_VERBS = sorted(
    _GENERATES | _EMBEDS | _PREDICTS | _IMAGES | _FREE | _STORES | {"batchGenerateContent"}, key=len, reverse=True
)
_VERB_END = re.compile("(?:^|[:/])(" + "|".join(map(re.escape, _VERBS)) + r")(?=$|[/?])")

_OTHER_UNITS = Bounds(1, 0, output_chosen=True)
"""What is paid for by the piece or the second holds a token, so that who has nothing left cannot ask for it."""


def bounds(path_or_verb: str, body: Mapping[str, Any], model: str | None) -> Bounds:
    """Bound a request by its path (or its verb alone), its body and the model it asks for.

    ``input_most`` is None where only the provider can tell: a file or page named by URI, a film, a recording or a
    document that comes along, cached content, an earlier interaction. What is free is bounded by 0, what is paid for by
    other units by 1, and what is stored by its content.
    """
    verb = verb_of(path_or_verb)
    if verb in _FREE:
        return Bounds(0, 0, output_chosen=True)
    if verb in _IMAGES or (verb in _PREDICTS and not _has_texts(body)):
        return _OTHER_UNITS
    if verb in _EMBEDS or verb in _PREDICTS or verb in _STORES:
        return Bounds(_within(input_most(body), model), 0, output_chosen=True)
    if verb == "batchGenerateContent":
        return _batch_bounds(body, model)
    return _generate_bounds(verb, body, model)


def verb_of(path_or_verb: str) -> str | None:
    """Give the verb that a path ends in, such as generateContent or interactions; None for one that is unknown."""
    found = _VERB_END.search(path_or_verb)
    return found.group(1) if found else None


def _generate_bounds(verb: str | None, body: Mapping[str, Any], model: str | None) -> Bounds:
    output = output_bound(verb, body, model)
    scan = input_scan(body)
    return Bounds(
        _within(scan.bound, model),
        output.most,
        output.is_chosen,
        output.candidates,
        fed_back_most(body, model, is_gone_through=scan.is_gone_through),
        output.takes_limit,
        output.least,
        output.ends,
    )


def _has_texts(body: Mapping[str, Any]) -> bool:
    """Tell whether a predict request is for embeddings; images and videos are not paid for by the token."""
    return any(isinstance(each, Mapping) and "content" in each for each in listed(body.get("instances")))


def _batch_bounds(body: Mapping[str, Any], model: str | None) -> Bounds:
    """Add up the requests of a batch, what their tools feed back included; one in a file cannot be bounded here."""
    found = [_generate_bounds(None, request, model) for request in _inline_requests(body)]
    inputs = [bound.input_most for bound in found]
    if not found:
        return Bounds(None, output_limit(model), output_chosen=False, output_ends=ends_by_itself(model))
    total = None if None in inputs else sum((bound.input_most or 0) + bound.fed_back_most for bound in found)
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


def _within(most: int | None, model: str | None) -> int | None:
    """No input exceeds what the model takes: the provider refuses it, and an error costs nothing."""
    limit = input_limit(model)
    return most if most is None or limit is None else min(most, limit)
