"""A usage from the evidence that was kept of it: for recomputing a cost long after the answer is gone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jangbu.domain.usage import Counts, Platform, Source, Surface, Tier, Units, Usage
from jangbu.providers.gemini.batch import as_member, sum_members
from jangbu.providers.gemini.counts import Reading, once
from jangbu.providers.gemini.embeddings import counted, read_embedding_usages
from jangbu.providers.gemini.free import storage
from jangbu.providers.gemini.generate_content import read_metadata
from jangbu.providers.gemini.interactions import read_interaction_usage
from jangbu.providers.gemini.live import sum_turns
from jangbu.providers.gemini.openai import read_openai_usage

_READ: dict[Surface, Callable[[Sequence[Mapping[str, Any]]], Reading]] = {
    Surface.GENERATE_CONTENT: lambda raw: read_metadata(raw[-1]),
    Surface.STREAM_GENERATE_CONTENT: lambda raw: read_metadata(raw[-1]),
    Surface.LIVE: sum_turns,
    Surface.INTERACTIONS: lambda raw: read_interaction_usage(raw[-1]),
    Surface.OPENAI: lambda raw: read_openai_usage(raw[-1]),
    Surface.EMBED_CONTENT: lambda raw: read_embedding_usages(list(raw)),
}


def restate(
    surface: Surface,
    raw: Sequence[Mapping[str, Any]],
    platform: Platform,
    model: str | None,
    tier: Tier | None,
    units: Units,
    *,
    source: Source = Source.REPORTED,
) -> Usage:
    """Rebuild the usage of a record from its raw usage objects, by the same rules that first read them.

    Counts and modalities come from ``raw``; what usage objects do not hold (model, tier, units) is given by the
    record. Of a source NONE nothing is charged, whatever the objects say.
    """
    if surface is Surface.BATCH:
        return _batch(raw, platform, model, units, source)
    reading = _reading(surface, raw, source)
    counts = reading.counts
    if surface is Surface.CACHED_CONTENTS and raw and source is not Source.NONE:
        seconds = units.cache_storage_seconds
        counts, units = Counts(total=0), replace(storage(raw[-1]), cache_storage_seconds=seconds)
    elif source is not Source.NONE and surface in (Surface.PREDICT, Surface.PREDICT_LONG_RUNNING):
        counts = Counts(total=0)
    return Usage(
        surface=surface,
        counts=counts,
        source=source if reading.valid else Source.NONE,
        model=model,
        platform=platform,
        tier=tier,
        by_modality=reading.by_modality,
        units=units,
        anomalies=reading.anomalies,
        raw=tuple(raw),
    )


def _reading(surface: Surface, raw: Sequence[Mapping[str, Any]], source: Source) -> Reading:
    """Read what is charged: nothing, the answer of countTokens where it stood in, else the usage objects."""
    match source:
        case Source.NONE:
            return Reading()
        case Source.COUNT_TOKENS if raw:
            again = counted(Usage(surface), raw[-1])
            return Reading(again.counts, again.by_modality, valid=again.source is Source.COUNT_TOKENS)
    return _read(surface, raw)


def _read(surface: Surface, raw: Sequence[Mapping[str, Any]]) -> Reading:
    read = _READ.get(surface)
    return Reading() if read is None or not raw else read(raw)


def _batch(
    raw: Sequence[Mapping[str, Any]], platform: Platform, model: str | None, units: Units, source: Source
) -> Usage:
    members = []
    for usage in raw:
        embeds = "promptTokenDetails" in usage or not usage.keys() & {"totalTokenCount", "candidatesTokenCount"}
        reading = read_embedding_usages([usage]) if embeds else read_metadata(usage)
        members.append(
            as_member(
                Usage(
                    Surface.EMBED_CONTENT if embeds else Surface.GENERATE_CONTENT,
                    counts=reading.counts,
                    source=Source.REPORTED if reading.valid else Source.NONE,
                    model=model,
                    platform=platform,
                    by_modality=reading.by_modality,
                    anomalies=once(reading.anomalies),
                    raw=(usage,),
                )
            )
        )
    total = sum_members(members)
    return Usage(
        surface=Surface.BATCH,
        counts=total.counts,
        source=source if total.source is not Source.NONE else Source.NONE,
        model=model,
        platform=platform,
        tier=Tier.BATCH,
        by_modality=total.by_modality,
        units=units,
        anomalies=total.anomalies,
        raw=tuple(raw),
        members=tuple(members),
    )
