"""Batches: the operation that holds its answers inline, and the result file with one answer a line.

An operation repeats each answer under ``metadata.output`` and ``response``; it is counted once. Recorded answers say
serviceTier "standard" even here, so the tier comes from the surface. Polling a running batch uses nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from jangbu.domain.usage import (
    SUM_COUNT_MAX,
    Anomaly,
    ByModality,
    Counts,
    Platform,
    Source,
    Surface,
    Tier,
    Units,
    Usage,
)
from jangbu.providers.gemini.counts import USAGE_METADATA, has_counts, once
from jangbu.providers.gemini.embeddings import EmbeddingsReader
from jangbu.providers.gemini.generate_content import GenerateContentReader
from jangbu.providers.gemini.grounding import mappings
from jangbu.providers.gemini.live import add_modalities
from jangbu.providers.gemini.names import model_name, text
from jangbu.providers.gemini.reader import Context, Ending

_INLINE = ("inlinedResponses", "inlinedEmbedContentResponses")


class BatchReader:
    """Reads one batch. Answers are read as they come and only their usage is kept."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._members: list[Usage] = []
        self._model: str | None = None
        self._name: str | None = None
        self._lines = 0

    @property
    def usage_seen(self) -> bool:
        """Whether any counts were seen so far."""
        return any(member.source is not Source.NONE for member in self._members)

    def read(self, event: Mapping[str, Any]) -> None:
        """Take the operation, or the next line of a result file."""
        operation = event.get("batch")
        holder = operation if isinstance(operation, Mapping) else event
        metadata = holder.get("metadata")
        if isinstance(metadata, Mapping):
            self._model = model_name(metadata.get("model")) or self._model
        self._name = text(holder.get("name")) or self._name
        for answer in _answers(event):
            self._members.append(self._member(answer))

    def finish(self, ending: Ending) -> Usage:
        """Sum the single answers, one that stands in the file twice only once."""
        members = _each_once(self._members)
        total = sum_members(members)
        source = total.source
        if source is Source.REPORTED and not ending.whole:
            source = Source.PARTIAL
        platform = self._context.platform or (members[0].platform if members else Platform.GEMINI_API)
        models = {member.model for member in members}
        model = models.pop() if len(models) == 1 else self._model or model_name(self._context.model)
        return replace(total, source=source, platform=platform, model=model, response_id=self._name)

    def _member(self, answer: Mapping[str, Any]) -> Usage:
        context = replace(self._context, model=self._model or self._context.model)
        reader: GenerateContentReader | EmbeddingsReader
        if "embedding" in answer or "embeddings" in answer:
            reader = EmbeddingsReader(context)
        else:
            reader = GenerateContentReader(Surface.GENERATE_CONTENT, context)
        reader.read(answer)
        return as_member(reader.finish(Ending()))


def _each_once(members: Iterable[Usage]) -> tuple[Usage, ...]:
    """Name an answer once that comes again, as in a file that was joined to itself: one with the same id and the same
    counts. An id that stands for other counts proves nothing, and without an id two answers may well be alike.
    """
    known: dict[object, Usage] = {}
    for place, member in enumerate(members):
        known.setdefault((member.response_id, member.tally) if member.response_id else place, member)
    return tuple(known.values())


def as_member(usage: Usage) -> Usage:
    """Make one answer a member of a batch: priced as batch, whatever tier it names, and restated by its own surface."""
    return replace(
        usage,
        tier=Tier.BATCH,
        anomalies=tuple(anomaly for anomaly in usage.anomalies if anomaly is not Anomaly.UNKNOWN_TIER),
    )


def sum_members(members: Iterable[Usage]) -> Usage:
    """Add the answers of a batch up; those that say nothing (errors) add nothing and stay listed."""
    listed = tuple(members)
    counting = [member for member in listed if member.source is not Source.NONE]
    anomalies = once([anomaly for member in listed for anomaly in member.anomalies])
    raw = tuple(usage for member in listed for usage in member.raw)
    result = Usage(Surface.BATCH, tier=Tier.BATCH, anomalies=anomalies, raw=raw, members=listed)
    if not counting:
        return result
    counts = [member.counts for member in counting]
    by_modality = ByModality() if not counting else counting[0].by_modality
    for member in counting[1:]:
        by_modality = add_modalities(by_modality, member.by_modality)
    total = sum(member.total_tokens for member in counting)
    summed = Counts(
        prompt=sum(part.prompt for part in counts),
        candidates=sum(part.candidates for part in counts),
        thoughts=sum(part.thoughts for part in counts),
        tool=sum(part.tool for part in counts),
        cached=sum(part.cached for part in counts),
        total=total if any(part.total is not None for part in counts) else None,
    )
    if max(summed.summed, total) > SUM_COUNT_MAX:
        return replace(
            result,
            anomalies=once((*anomalies, Anomaly.INVALID_USAGE)),
            members=tuple(_disbelieved(member) for member in listed),
        )
    return replace(result, counts=summed, source=Source.REPORTED, by_modality=by_modality, units=sum_units(listed))


def _disbelieved(member: Usage) -> Usage:
    """Take nothing of an answer for true, so that the answers of a batch are the sum that is charged for them."""
    flags = once((*member.anomalies, Anomaly.INVALID_USAGE))
    return replace(
        member, counts=Counts(), source=Source.NONE, by_modality=ByModality(), units=Units(), anomalies=flags
    )


def sum_units(members: Iterable[Usage]) -> Units:
    """Add the units of several answers."""
    units = [member.units for member in members]
    return Units(
        images=sum(unit.images for unit in units),
        grounding_requests=sum(unit.grounding_requests for unit in units),
        grounding_queries=sum(unit.grounding_queries for unit in units),
        maps_queries=sum(unit.maps_queries for unit in units),
    )


def _answers(event: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Find the answers of an operation, of a result list, or of one line of a result file."""
    results = event.get("results")
    if isinstance(results, list):
        for result in mappings(results):
            yield from _single(result)
        return
    response = event.get("response")
    metadata = event.get("metadata")
    output = metadata.get("output") if isinstance(metadata, Mapping) else None
    for holder in (response, output, event.get("dest"), event):
        inlined = _inlined(holder)
        if inlined is not None:
            for item in inlined:
                yield from _single(item)
            return
    yield from _single(event)


def _inlined(holder: object) -> list[Mapping[str, Any]] | None:
    if not isinstance(holder, Mapping):
        return None
    for name in _INLINE:
        inner = holder.get(name)
        if isinstance(inner, Mapping):
            inner = inner.get(name)
        if isinstance(inner, list):
            return list(mappings(inner))
    return None


def _single(result: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Unwrap one answer; an error, or an operation without answers, holds none."""
    answer = result.get("response", result.get("body", result))
    if not isinstance(answer, Mapping):
        return
    inner = answer.get("body", answer)
    if isinstance(inner, Mapping) and inner.keys() & {"candidates", "usageMetadata", "promptFeedback", "tokenCount"}:
        usage = inner.get("usageMetadata")
        if not has_counts(usage, USAGE_METADATA) and inner.get("tokenCount") is not None:
            # google-genai 3.4.0 types.py SingleEmbedContentResponse counts beside the embedding, without metadata.
            inner = {**inner, "usageMetadata": {"promptTokenCount": inner["tokenCount"]}}
        yield inner
