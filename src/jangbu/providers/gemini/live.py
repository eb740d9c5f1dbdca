"""The Live API: a usage message for each turn of the model, and the session is the sum of them.

Each turn's prompt holds the whole context again. On the Gemini API the total leaves the thoughts out (recorded: 1,197 +
37 = 1,234 beside 28 thoughts); whether they are billed is unanswered, so they are kept apart and the total is charged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from jangbu.domain.usage import COUNT_MAX, SUM_COUNT_MAX, Anomaly, Breakdown, ByModality, Counts, Source, Surface, Usage
from jangbu.providers.gemini.counts import INVALID, USAGE_METADATA, Reading, has_counts, once, plausible, read_usage
from jangbu.providers.gemini.grounding import Searches
from jangbu.providers.gemini.names import verbatim
from jangbu.providers.gemini.reader import Context, Ending, model_of, platform_of, tier_of


class LiveReader:
    """Reads the messages of one Live session."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._usages: list[Mapping[str, Any]] = []
        self._searches: list[Searches] = []
        self._turn_open = False
        self._turns_end = False
        self._answered = False
        self._failed = False

    @property
    def usage_seen(self) -> bool:
        """Whether any counts were seen so far."""
        return bool(self._usages)

    def read(self, event: Mapping[str, Any]) -> None:
        """Take the next message."""
        content = event.get("serverContent")
        if isinstance(content, Mapping):
            self._read_content(content)
        if event.get("error") is not None:
            self._failed = True
        usage = event.get("usageMetadata")
        if isinstance(usage, Mapping) and has_counts(usage, USAGE_METADATA):
            self._usages.append(usage)
            self._turn_open = False

    def finish(self, ending: Ending) -> Usage:
        """Sum the turns.

        A turn that began and was never counted makes the sum partial. Sessions that never end a turn (translation
        streams on and on) cannot be judged so, and are taken as whole.
        """
        reading = plausible(sum_turns(self._usages), SUM_COUNT_MAX)
        spoken = self._usages[-1] if self._usages else {}
        tier = tier_of({}, spoken, self._context)
        broke_off = self._failed or not ending.whole or (self._turn_open and self._turns_end)
        source = Source.NONE
        if self._usages and reading.valid:
            source = Source.PARTIAL if broke_off else Source.REPORTED
        missing = (Anomaly.USAGE_MISSING,) if self._answered and not self._usages else ()
        searches = Searches(
            {query for turn in self._searches for query in turn.queries},
            any(turn.web for turn in self._searches),
            any(turn.maps for turn in self._searches),
        )
        return Usage(
            surface=Surface.LIVE,
            counts=reading.counts,
            source=source,
            model=model_of({}, self._context),
            platform=platform_of({}, spoken, self._context),
            tier=tier.tier,
            by_modality=reading.by_modality,
            units=searches.units(),
            anomalies=once((*reading.anomalies, *missing, *tier.anomalies)),
            raw=tuple(verbatim(usage) for usage in self._usages),
        )

    def _read_content(self, content: Mapping[str, Any]) -> None:
        if content.get("modelTurn") or content.get("outputTranscription"):
            self._turn_open = self._answered = True
        if content.get("turnComplete") or content.get("generationComplete"):
            self._turns_end = True
        if content.get("groundingMetadata"):
            searches = Searches()
            searches.read(content["groundingMetadata"])
            self._searches.append(searches)


def sum_turns(usages: Sequence[Mapping[str, Any]]) -> Reading:
    """Add up the usage messages of a session. A turn whose counts cannot be believed adds nothing and is flagged."""
    readings = [read_usage(usage, USAGE_METADATA) for usage in usages]
    believed = [reading for reading in readings if reading.valid]
    anomalies = [anomaly for reading in readings for anomaly in reading.anomalies]
    anomalies += [Anomaly.TOTAL_MISMATCH for reading in believed if _is_mismatch(reading.counts)]
    if not believed:
        return Reading(anomalies=once(anomalies), valid=not readings)
    parts = [reading.counts for reading in believed]
    counts = Counts(
        prompt=sum(part.prompt for part in parts),
        candidates=sum(part.candidates for part in parts),
        thoughts=sum(part.thoughts for part in parts),
        tool=sum(part.tool for part in parts),
        cached=sum(part.cached for part in parts),
        total=_sum_totals(parts),
    )
    if max(counts.summed, counts.total or 0) > COUNT_MAX:
        return INVALID
    by_modality = believed[0].by_modality
    for reading in believed[1:]:
        by_modality = add_modalities(by_modality, reading.by_modality)
    return Reading(counts, by_modality, once(anomalies))


def add_modalities(left: ByModality, right: ByModality) -> ByModality:
    """Add two splits, modality by modality."""
    return ByModality(
        **{field.name: _add(getattr(left, field.name), getattr(right, field.name)) for field in fields(ByModality)}
    )


def _add(left: Breakdown, right: Breakdown) -> Breakdown:
    return Breakdown(
        **{field.name: getattr(left, field.name) + getattr(right, field.name) for field in fields(Breakdown)}
    )


def _sum_totals(parts: Sequence[Counts]) -> int | None:
    if all(part.total is None for part in parts):
        return None
    return sum(part.summed if part.total is None else part.total for part in parts)


def _is_mismatch(counts: Counts) -> bool:
    return counts.total not in (None, counts.summed, counts.summed - counts.thoughts)
