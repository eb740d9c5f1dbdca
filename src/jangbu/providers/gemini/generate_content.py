"""generateContent and streamGenerateContent: one object, or chunks of which the last counts win."""

from collections.abc import Mapping
from typing import Any

from jangbu.domain.usage import Anomaly, Source, Surface, Usage
from jangbu.providers.gemini.continuation import Continuations
from jangbu.providers.gemini.counts import (
    USAGE_METADATA,
    Reading,
    has_counts,
    once,
    plausible,
    read_candidates,
    read_usage,
    total_mismatch,
)
from jangbu.providers.gemini.grounding import Searches, mappings
from jangbu.providers.gemini.names import text
from jangbu.providers.gemini.reader import Context, Ending, kept, model_of, platform_of, source_of, tier_of
from jangbu.providers.gemini.turns import Candidates

_OF_THE_ANSWER = ("modelVersion", "responseId", "serviceTier", "createTime")
_CONTINUATION = "continuationToken"


def read_metadata(usage: Mapping[str, Any]) -> Reading:
    """Read one usageMetadata object and check its total."""
    reading = read_usage(usage, USAGE_METADATA)
    mismatch = total_mismatch(reading.counts)
    if not reading.valid or not mismatch:
        return reading
    return Reading(reading.counts, reading.by_modality, once((*reading.anomalies, *mismatch)))


class GenerateContentReader:
    """Reads a generateContent answer, whole or in chunks.

    The last usage object with any count wins: running counts are per internal turn, fall and rise, and only the last
    covers the whole (recorded: 198 -> 46 -> 783). Vertex writes counts in the last chunk only.
    """

    def __init__(self, surface: Surface, context: Context) -> None:
        self._surface = surface
        self._context = context
        self._candidates = Candidates()
        self._searches = Searches()
        self._continuations = Continuations()
        self._usage: Mapping[str, Any] | None = None
        self._without_counts: Mapping[str, Any] = {}
        self._candidates_most = 0
        self._answer: dict[str, Any] = {}
        self._failed = False
        self._blocked = False

    @property
    def usage_seen(self) -> bool:
        """Whether any counts were seen so far."""
        return self._usage is not None

    @property
    def continuations(self) -> tuple[str, ...]:
        """The tokens with which the decode can be gone on with, as they were shown."""
        return self._continuations.tokens

    def read(self, event: Mapping[str, Any]) -> None:
        """Take the next chunk."""
        if event.get("error") is not None:
            self._failed = True
            return
        usage = event.get("usageMetadata")
        if isinstance(usage, (dict, Mapping)):
            if has_counts(usage, USAGE_METADATA):
                self._remember_most()
                self._usage = usage
            else:
                self._without_counts = usage
        for name in _OF_THE_ANSWER:
            if (value := event.get(name)) is not None:
                self._answer[name] = value
        if (feedback := event.get("promptFeedback")) is not None and isinstance(feedback, (dict, Mapping)):
            self._blocked = self._blocked or bool(feedback.get("blockReason"))
        for candidate in mappings(event.get("candidates")):
            self._candidates.read(candidate)
            self._searches.read(candidate.get("groundingMetadata"))
            self._continuations.read(candidate.get(_CONTINUATION))

    def finish(self, ending: Ending) -> Usage:
        """Say what the answer used."""
        reading = Reading() if self._usage is None else plausible(read_metadata(self._usage))
        source = Source.NONE
        if self._usage is not None and not self._blocked_unanswered:
            source = source_of(reading, whole=self._is_whole(ending))
        spoken = self._usage or self._without_counts
        tier = tier_of(self._answer, spoken, self._context)
        charged = reading if source is not Source.NONE else Reading()
        return Usage(
            surface=self._surface,
            counts=charged.counts,
            source=source,
            model=model_of(self._answer, self._context),
            response_id=text(self._answer.get("responseId")),
            platform=platform_of(self._answer, spoken, self._context),
            tier=tier.tier,
            by_modality=charged.by_modality,
            units=self._searches.units(),
            anomalies=once((*reading.anomalies, *self._found(reading, ending), *tier.anomalies)),
            raw=() if self._usage is None else kept(self._usage),
        )

    @property
    def _blocked_unanswered(self) -> bool:
        """Whether the prompt was blocked before anything was generated: a call that failed, and is not charged."""
        return self._blocked and not self._candidates.seen

    def is_open(self, _ending: Ending) -> bool:
        """Tell whether a stream's content came, and not its end."""
        is_stream = self._surface is Surface.STREAM_GENERATE_CONTENT
        return is_stream and self._candidates.answered and not self._candidates.closed and not self._blocked

    def _is_whole(self, ending: Ending) -> bool:
        if self._failed or not ending.whole:
            return False
        return self._surface is not Surface.STREAM_GENERATE_CONTENT or self._candidates.closed or self._blocked

    def _remember_most(self) -> None:
        """Keep the largest candidates count of the chunks before the last."""
        if self._usage is not None:
            self._candidates_most = max(self._candidates_most, read_candidates(self._usage, USAGE_METADATA))

    def _found(self, reading: Reading, ending: Ending) -> tuple[Anomaly, ...]:
        found: list[Anomaly] = []
        if reading.valid and reading.counts.candidates < self._candidates_most:
            found.append(Anomaly.COUNT_FELL)
        if self._blocked:
            found.append(Anomaly.BLOCKED)
        if self._usage is None and self._candidates.answered and self._is_whole(ending):
            found.append(Anomaly.USAGE_MISSING)
        return tuple(found)
