"""countTokens, embeddings and the list of models: what reads a text and writes none."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jangbu.testing.composing.counting import Tokens, count_content, count_prompt, count_text, field, text_of
from jangbu.testing.composing.limits import (
    DIMENSIONS_MOST,
    EMBEDDINGS_MOST,
    INSTANCES_MOST,
    number_asked,
    require_at_most,
)
from jangbu.testing.composing.tally import distort
from jangbu.testing.surfaces.exchange import Exchange, Reply, json_reply
from jangbu.testing.surfaces.resources import Resources, found

__all__ = ["batch_embed", "count", "embed", "list_models", "show_model"]

MODELS = (
    "gemini-2.0-flash",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-2.5-pro",
    "gemini-2.5-flash-image",
    "gemini-2.5-flash-preview-tts",
    "gemini-3-flash-preview",
    "gemini-3-pro-image",
    "gemini-embedding-001",
    "gemini-embedding-2",
    "imagen-4.0-generate-001",
    "veo-3.1-generate-preview",
)
"""What the list shows; models that are not on it answer as well."""


def count(exchange: Exchange, resources: Resources) -> Reply:
    """Answer countTokens: the tokens that generateContent would report as its prompt."""
    body = field(exchange.body, "generateContentRequest") or exchange.body
    cache = field(body, "cachedContent")
    cached: Tokens | None = found(resources.cache_tokens, cache) if cache else None
    told = exchange.behaviour.prompt
    prompt = count_prompt(body) + (cached or Tokens()) if told is None else Tokens(TEXT=told)
    shown: dict[str, Any] = {"totalTokens": prompt.total(), "promptTokensDetails": _details(prompt)}
    if cached:
        shown["cachedContentTokenCount"] = cached.total()
    if exchange.route.vertex:
        shown["totalBillableCharacters"] = len(text_of(field(body, "contents")))
    return json_reply(shown, model=exchange.model_version)


def embed(exchange: Exchange, _resources: Resources) -> Reply:
    """Answer embedContent: only the newer models, and Vertex, report usage."""
    tokens = count_content(field(exchange.body, "content"))
    config = field(exchange.body, "embedContentConfig") or exchange.body
    return _embedded(exchange, {"embedding": _embedding(config)}, tokens)


def batch_embed(exchange: Exchange, _resources: Resources) -> Reply:
    """Answer batchEmbedContents: one embedding for each request, one usage for all."""
    tokens: Tokens = Tokens()
    embeddings = []
    requests = exchange.body.get("requests") or ()
    require_at_most("BatchEmbedContentsRequest.requests", len(requests), EMBEDDINGS_MOST)
    for request in requests:
        tokens += count_content(field(request, "content"))
        embeddings.append(_embedding(request))
    return _embedded(exchange, {"embeddings": embeddings}, tokens)


def predict_embeddings(exchange: Exchange) -> Reply:
    """Answer Vertex's predict for an embedding model: statistics for each instance, billable characters for all."""
    texts = [str(instance.get("content", "")) for instance in exchange.body.get("instances") or ()]
    require_at_most("instances", len(texts), INSTANCES_MOST)
    config = field(exchange.body, "parameters") or {}
    predictions = [
        {"embeddings": {**_embedding(config), "statistics": {"token_count": count_text(text), "truncated": False}}}
        for text in texts
    ]
    counted = {"token_count": sum(count_text(text) for text in texts)}
    shown = {"predictions": predictions, "metadata": {"billableCharacterCount": sum(map(len, texts))}}
    return json_reply(shown, usage=counted, model=exchange.model_version)


def list_models(_exchange: Exchange, _resources: Resources) -> Reply:
    """Answer the list of models."""
    return json_reply({"models": [_model(name) for name in MODELS]})


def show_model(exchange: Exchange, _resources: Resources) -> Reply:
    """Answer one model."""
    return json_reply(_model(exchange.route.model), model=exchange.route.model)


def _embedded(exchange: Exchange, shown: dict[str, Any], tokens: Tokens) -> Reply:
    counted: dict[str, Any] | None = None
    if exchange.route.vertex:
        counted = {"promptTokenCount": tokens.total(), "promptTokensDetails": _details(tokens)}
        counted["totalTokenCount"] = tokens.total()
    elif "embedding-2" in exchange.model_version:
        counted = {"promptTokenCount": tokens.total(), "promptTokenDetails": _details(tokens)}
    usage = distort(counted, exchange.behaviour.usage)
    if usage is not None:
        shown["usageMetadata"] = usage
    return json_reply(shown, usage=usage, counted=counted or {}, model=exchange.model_version)


def _embedding(config: Mapping[str, Any]) -> dict[str, Any]:
    given = field(config, "outputDimensionality")
    dimensions = number_asked("outputDimensionality", given, most=DIMENSIONS_MOST, usual=DIMENSIONS_MOST)
    return {"values": _values(dimensions)}


@lru_cache(maxsize=8)
def _values(dimensions: int) -> list[float]:
    return [round((index % 7 - 3) / 64, 4) for index in range(dimensions)]


def _details(tokens: Tokens) -> list[dict[str, Any]]:
    return [{"modality": modality, "tokenCount": number} for modality, number in sorted(tokens.items())]


def _model(name: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
