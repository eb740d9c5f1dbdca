"""Embeddings: embedContent and batchEmbedContents, and Vertex's predict for the older models.

gemini-embedding-001 reports nothing (the caller may count with countTokens, ``counted``); gemini-embedding-2 reports
the prompt and no total. Vertex's predict gives ``statistics.token_count`` for each text (docs.cloud.google.com/
vertex-ai/generative-ai/docs/model-reference/text-embeddings-api), and is charged by it whatever money Google takes:
by the token or, for the older models, by the character. A prediction of which nobody knows the model is not charged.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jangbu.domain.usage import Anomaly, Breakdown, ByModality, Counts, Platform, Source, Surface, Usage
from jangbu.providers.gemini.counts import (
    EMBEDDING_STATISTICS,
    INVALID,
    USAGE_METADATA,
    Reading,
    has_counts,
    once,
    read_count,
    read_usage,
    total_mismatch,
)
from jangbu.providers.gemini.grounding import mappings
from jangbu.providers.gemini.names import verbatim
from jangbu.providers.gemini.reader import Context, Ending, model_of, platform_of, source_of, tier_of


class EmbeddingsReader:
    """Reads one answer with embeddings."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._answer: Mapping[str, Any] = {}
        self._usages: list[Mapping[str, Any]] = []

    @property
    def usage_seen(self) -> bool:
        """Whether any counts were seen so far."""
        return bool(self._usages)

    def read(self, event: Mapping[str, Any]) -> None:
        """Take the answer."""
        self._answer = event
        usage = event.get("usageMetadata")
        if isinstance(usage, Mapping) and has_counts(usage, USAGE_METADATA):
            self._usages = [usage]
            return
        items = (*mappings(event.get("predictions")), *mappings(event.get("embeddings")))
        self._usages = [statistics for item in items for statistics in _statistics(item)]

    def finish(self, ending: Ending) -> Usage:
        """Say what the embedding used."""
        predicted = "predictions" in self._answer or "promptTokenCount" not in (self._usages or [{}])[0]
        model = model_of(self._answer, self._context)
        reading = read_embedding_usages(self._usages)
        source = Source.NONE
        if self._usages and (model or not predicted):
            source = source_of(reading, whole=ending.whole)
        spoken = self._usages[0] if self._usages else {}
        tier = tier_of(self._answer, spoken, self._context)
        charged = reading if source is not Source.NONE else Reading()
        return Usage(
            surface=Surface.EMBED_CONTENT,
            counts=charged.counts,
            source=source,
            model=model,
            platform=Platform.VERTEX
            if "predictions" in self._answer
            else platform_of(self._answer, spoken, self._context),
            tier=tier.tier,
            by_modality=charged.by_modality,
            anomalies=once((*reading.anomalies, *tier.anomalies)),
            raw=tuple(verbatim(usage) for usage in self._usages),
        )


def read_embedding_usages(usages: list[Mapping[str, Any]]) -> Reading:
    """Read the usage object, or the statistics of each text; an absent total is how this surface is."""
    if len(usages) == 1 and has_counts(usages[0], USAGE_METADATA):
        reading = read_usage(usages[0], USAGE_METADATA, total_expected=False)
        anomalies = once((*reading.anomalies, *total_mismatch(reading.counts)))
        return Reading(reading.counts, reading.by_modality, anomalies, reading.valid)
    prompt = 0
    for statistics in usages:
        reading = read_usage(statistics, EMBEDDING_STATISTICS, total_expected=False)
        if not reading.valid:
            return INVALID
        prompt += reading.counts.prompt
    return Reading(Counts(prompt=prompt), ByModality(prompt=Breakdown(text=prompt)))


def counted(usage: Usage, count_tokens_answer: Mapping[str, Any]) -> Usage:
    """Fill in an embedding that reported nothing with what the provider's countTokens (free) says of the same input."""
    tokens = read_count(count_tokens_answer.get("totalTokens"))
    if usage.source is not Source.NONE or tokens is None or Anomaly.INVALID_USAGE in usage.anomalies:
        return usage
    if tokens < 0:
        return replace(usage, anomalies=once((*usage.anomalies, Anomaly.INVALID_USAGE)))
    return replace(
        usage,
        counts=Counts(prompt=tokens),
        by_modality=ByModality(prompt=Breakdown(text=tokens)),
        source=Source.COUNT_TOKENS,
        raw=(verbatim(count_tokens_answer),),
    )


def _statistics(prediction: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    # google-genai lays the statistics beside the values, Vertex itself one level deeper.
    embeddings = prediction.get("embeddings", prediction)
    statistics = embeddings.get("statistics") if isinstance(embeddings, Mapping) else None
    if not isinstance(statistics, Mapping) or not has_counts(statistics, EMBEDDING_STATISTICS):
        return []
    return [{name: _unwrapped(value) for name, value in statistics.items()}]


def _unwrapped(value: object) -> object:
    """Undo what protobuf's Value does to an integer: predictions have no type but double, and libraries show it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
