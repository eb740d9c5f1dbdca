"""countTokens: what to ask it for the input of a request, and how to read what it says. It is free."""

from collections.abc import Iterable, Mapping
from typing import Any

from jangbu.domain.flow import Answered, Lost, Outcome
from jangbu.domain.usage import Anomaly, Platform, Source, Surface, Usage
from jangbu.errors import InvalidInput
from jangbu.providers.gemini.counted_parts import count_request
from jangbu.providers.gemini.embeddings import counted
from jangbu.providers.gemini.fields import fields, folded, listed
from jangbu.providers.gemini.limits import input_limit

__all__ = [
    "COUNTING_MODEL",
    "caches_uncounted",
    "count_body",
    "counted",
    "input_counted",
    "needs_count",
    "require_contents",
    "tokens_counted",
    "with_count",
]

COUNTING_MODEL = "gemini-2.5-flash"
"""What counts the input of an agent, which itself counts nothing."""
_COUNTED_BY_VERTEX = frozenset({"contents", "systeminstruction", "tools", "generationconfig"})
"""What countTokens of Vertex AI takes; of cached content it knows nothing."""
_CACHE = "cachedcontent"


def count_body(surface: Surface | None, platform: Platform, model: str | None, body: Mapping[str, Any]) -> Any:
    """Give the body of the countTokens request for the input of a request, or None where it cannot be asked."""
    match surface:
        case Surface.GENERATE_CONTENT | Surface.STREAM_GENERATE_CONTENT if platform is Platform.VERTEX:
            return _for_vertex(body)
        case Surface.GENERATE_CONTENT | Surface.STREAM_GENERATE_CONTENT:
            return {"generateContentRequest": {**body, "model": f"models/{model}"}}
        case Surface.EMBED_CONTENT:
            parts = (body, *listed(body.get("requests")))
            return _contents(part.get("content") for part in parts if isinstance(part, Mapping))
        case Surface.OPENAI if "messages" not in body:
            return _contents({"parts": [{"text": text}]} for text in listed(body.get("input")))
        case Surface.OPENAI | Surface.INTERACTIONS if model is not None:
            asked = count_request(model, body)
            return _for_vertex(asked) if platform is Platform.VERTEX else {"generateContentRequest": asked}
    return None


def require_contents(body: Mapping[str, Any]) -> None:
    """Refuse embeddings of what is no content: nobody can count it. Raises InvalidInput."""
    requests = listed(body.get("requests"))
    if not all(isinstance(each, Mapping) for each in requests):
        raise InvalidInput("requests holds what is no request", hint='give each as {"content": {"parts": [...]}}')
    if not all(isinstance(each.get("content"), Mapping | None) for each in (body, *requests)):
        raise InvalidInput("a content is no object", hint='give it as {"parts": [{"text": "..."}]}')


def caches_uncounted(platform: Platform, body: Mapping[str, Any]) -> bool:
    """Tell whether a request goes on from cached content that countTokens does not count."""
    return platform is Platform.VERTEX and any(path[-1] == _CACHE and value for path, value in fields(body))


def input_counted(
    count: Mapping[str, Any] | None, platform: Platform, model: str | None, body: Mapping[str, Any], cached: int | None
) -> int | None:
    """Give the most tokens that the input of a request has, by what countTokens said of it; None where nothing tells.

    ``cached`` is what the cached content has that the request names. Where nobody knows, and countTokens does not say,
    the input has as many as the model takes.
    """
    tokens = tokens_counted(count)
    if tokens is None or not caches_uncounted(platform, body):
        return tokens
    return input_limit(model) if cached is None else tokens + cached


def needs_count(usage: Usage) -> bool:
    """Tell whether an answer reports nothing on a surface where countTokens stands in (gemini-embedding-001)."""
    return usage.surface is Surface.EMBED_CONTENT and usage.source is Source.NONE


def with_count(outcome: Outcome, count: Mapping[str, Any] | None) -> Outcome:
    """Put what countTokens said into an answer that reports nothing. Where that says nothing either, the outcome is
    unknown: nobody knows that the answer was free.
    """
    if not isinstance(outcome, Answered):
        return outcome
    usage = outcome.usage if count is None else counted(outcome.usage, count)
    if usage.source is Source.NONE and Anomaly.INVALID_USAGE not in usage.anomalies:
        return Lost("the answer reports nothing, and its input could not be counted")
    return Answered(usage)


def _for_vertex(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in asked.items() if folded(name) in _COUNTED_BY_VERTEX}


def _contents(given: Iterable[Any]) -> Any:
    """Give the request that counts these contents, without the roles that only a conversation has."""
    found = [{"parts": content["parts"]} for content in given if isinstance(content, Mapping) and "parts" in content]
    return {"contents": found} if found else None


def tokens_counted(count: Mapping[str, Any] | None) -> int | None:
    """Give the tokens that an answer of countTokens names, or None."""
    if count is None:
        return None
    usage = counted(Usage(Surface.EMBED_CONTENT), count)
    return usage.total_tokens if usage.source is Source.COUNT_TOKENS else None
