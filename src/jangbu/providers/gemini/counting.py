"""countTokens: what to ask it for the input of a request, and how to read what it says. It is free."""

from collections.abc import Mapping
from typing import Any

from jangbu.domain.usage import Platform, Source, Surface, Usage
from jangbu.providers.gemini.counted_parts import count_request
from jangbu.providers.gemini.embeddings import counted

__all__ = ["count_body", "counted", "needs_count", "tokens_counted"]


def count_body(surface: Surface | None, platform: Platform, model: str | None, body: Mapping[str, Any]) -> Any:
    """Give the body of the countTokens request for the input of a request, or None where it cannot be asked."""
    match surface:
        case Surface.GENERATE_CONTENT | Surface.STREAM_GENERATE_CONTENT if platform is Platform.VERTEX:
            asked = ("contents", "systemInstruction", "tools", "generationConfig")
            return {name: body[name] for name in asked if name in body}
        case Surface.GENERATE_CONTENT | Surface.STREAM_GENERATE_CONTENT:
            return {"generateContentRequest": {**body, "model": f"models/{model}"}}
        case Surface.EMBED_CONTENT:
            parts = (body, *body.get("requests", ()))
            contents = [part["content"] for part in parts if "content" in part]
            return {"contents": contents} if contents else None
        case Surface.OPENAI | Surface.INTERACTIONS if model is not None:
            return {"generateContentRequest": count_request(model, body)}
    return None


def needs_count(usage: Usage) -> bool:
    """Tell whether an answer reports nothing on a surface where countTokens stands in (gemini-embedding-001)."""
    return usage.surface is Surface.EMBED_CONTENT and usage.source is Source.NONE


def tokens_counted(count: Mapping[str, Any] | None) -> int | None:
    """Give the tokens that an answer of countTokens names, or None."""
    if count is None:
        return None
    usage = counted(Usage(Surface.EMBED_CONTENT), count)
    return usage.total_tokens if usage.source is Source.COUNT_TOKENS else None
