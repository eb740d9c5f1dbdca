"""countTokens, asked through the client's own transport: it is free and is not recorded."""

import copy
import json
from collections.abc import Mapping
from typing import Any

from jangbu.domain.flow import Answered, Outcome
from jangbu.domain.usage import Platform, Source, Surface, Usage
from jangbu.providers.gemini import counted
from jangbu.sdk.routes import Route
from jangbu.telemetry import warn

__all__ = ["TokenCount", "needs_count", "read_count", "tokens_counted", "with_count"]


class TokenCount:
    """The countTokens request that goes with a request, or None in ``request`` where there is none."""

    def __init__(self, route: Route, http_request: Any) -> None:
        self.request: Any = None
        body = count_body(route, http_request.data if isinstance(http_request.data, dict) else {})
        if body is not None:
            self.request = copy.copy(http_request)
            self.request.url = http_request.url.rpartition(":")[0] + ":countTokens"
            self.request.data = body

    def warn(self, error: Exception) -> None:
        """Say that the provider did not count; what depends on the count is then decided without it."""
        warn("sdk.count_failed", f"countTokens did not answer: {error!r}", error=error)


def read_count(answer: str) -> Mapping[str, Any]:
    """Read the answer of countTokens."""
    found: Mapping[str, Any] = json.loads(answer)
    return found


def needs_count(outcome: Outcome) -> bool:
    """Tell whether an answer reports nothing on a surface where countTokens stands in (gemini-embedding-001)."""
    match outcome:
        case Answered(usage):
            return usage.surface is Surface.EMBED_CONTENT and usage.source is Source.NONE
    return False


def with_count(outcome: Outcome, count: Mapping[str, Any] | None) -> Outcome:
    """Put the provider's count into an answer that reports none."""
    if count is None or not isinstance(outcome, Answered):
        return outcome
    return Answered(counted(outcome.usage, count))


def tokens_counted(count: Mapping[str, Any] | None) -> int | None:
    """Give the tokens that an answer of countTokens names, or None."""
    if count is None:
        return None
    usage = counted(Usage(Surface.EMBED_CONTENT), count)
    return usage.total_tokens if usage.source is Source.COUNT_TOKENS else None


def count_body(route: Route, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the body of the countTokens request for the input of a request, or None where it cannot be asked."""
    match route.surface:
        case Surface.GENERATE_CONTENT | Surface.STREAM_GENERATE_CONTENT if route.platform is Platform.VERTEX:
            asked = ("contents", "systemInstruction", "tools", "generationConfig")
            return {name: body[name] for name in asked if name in body}
        case Surface.GENERATE_CONTENT | Surface.STREAM_GENERATE_CONTENT:
            return {"generateContentRequest": {**body, "model": f"models/{route.model}"}}
        case Surface.EMBED_CONTENT:
            parts = (body, *body.get("requests", ()))
            contents = [part["content"] for part in parts if "content" in part]
            return {"contents": contents} if contents else None
    return None
