"""The Interactions API: whole, or as server-sent events of which the last usage wins.

Unlike generateContent it writes explicit zeros and lower-case modalities. A background run answers ``in_progress``
without usage; its usage comes when it is fetched again.
"""

from collections.abc import Mapping
from typing import Any

from jangbu.domain.usage import ANSWER_UNITS_MAX, Anomaly, Source, Surface, Units, Usage
from jangbu.providers.gemini.continuation import Continuations
from jangbu.providers.gemini.counts import (
    INTERACTIONS,
    INVALID,
    Reading,
    has_counts,
    once,
    plausible,
    read_count,
    read_usage,
    total_mismatch,
)
from jangbu.providers.gemini.grounding import mappings
from jangbu.providers.gemini.names import text
from jangbu.providers.gemini.reader import Context, Ending, kept, model_of, platform_of, source_of, tier_of

RUNNING = frozenset({"idle", "in_progress", "queued"})
"""The statuses of an interaction that has not ended yet. An idle one waits for its next input (google-genai 3.6.1)."""

_CONTINUATION = "continuation_token"


def read_interaction_usage(usage: Mapping[str, Any]) -> Reading:
    """Read one usage object and check its total (29 of 29 recorded ones hold)."""
    reading = read_usage(usage, INTERACTIONS)
    return Reading(
        reading.counts, reading.by_modality, once((*reading.anomalies, *total_mismatch(reading.counts))), reading.valid
    )


class InteractionsReader:
    """Reads one interaction."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._usage: Mapping[str, Any] | None = None
        self._answer: dict[str, Any] = {}
        self.status: str | None = None
        """The last status that was shown."""
        self._failed = False
        self._searched: set[str] = set()
        self._searches = 0
        self._continuations = Continuations()

    @property
    def usage_seen(self) -> bool:
        """Whether any counts were seen so far."""
        return self._usage is not None

    @property
    def continuations(self) -> tuple[str, ...]:
        """The tokens with which the decode can be gone on with, as they were shown."""
        return self._continuations.tokens

    def read(self, event: Mapping[str, Any]) -> None:
        """Take the whole interaction, or its next event."""
        if event.get("error") is not None and event.get("usage") is None:
            self._failed = True
        inner = event.get("interaction")
        interaction = inner if isinstance(inner, Mapping) else event
        metadata = event.get("metadata")
        for holder in (metadata, event, interaction):
            usage = holder.get("usage") if isinstance(holder, Mapping) else None
            if isinstance(usage, Mapping) and has_counts(usage, INTERACTIONS):
                self._usage = usage
            if isinstance(holder, Mapping):
                self._continuations.read(holder.get(_CONTINUATION))
        if interaction.get("status") is not None:
            self.status = str(interaction["status"])
        if "event_type" not in event or interaction is not event:
            for name in ("id", "model", "service_tier"):
                if interaction.get(name) is not None:
                    self._answer[name] = interaction[name]
        for step in (*mappings(interaction.get("steps")), *mappings([event.get("delta")])):
            self._read_step(step)

    def finish(self, ending: Ending) -> Usage:
        """Say what the interaction used."""
        reading = Reading() if self._usage is None else plausible(read_interaction_usage(self._usage))
        units = self._units()
        if max(units.grounding_queries, units.maps_queries) > ANSWER_UNITS_MAX:
            reading, units = INVALID, Units()
        whole = ending.whole and not self._failed and self.status not in RUNNING
        source = Source.NONE if self._usage is None else source_of(reading, whole=whole)
        missing = (Anomaly.USAGE_MISSING,) if self._usage is None and whole and self.status == "completed" else ()
        tier = tier_of(self._answer, {}, self._context)
        return Usage(
            surface=Surface.INTERACTIONS,
            counts=reading.counts,
            source=source,
            model=model_of(self._answer, self._context),
            response_id=text(self._answer.get("id")),
            platform=platform_of(self._answer, {}, self._context),
            tier=tier.tier,
            by_modality=reading.by_modality,
            units=units,
            anomalies=once((*reading.anomalies, *missing, *tier.anomalies)),
            raw=() if self._usage is None else kept(self._usage),
        )

    def _read_step(self, step: Mapping[str, Any]) -> None:
        """Note a search that the model made, for answers without ``grounding_tool_count``."""
        if step.get("type") != "google_search_call":
            return
        self._searches += 1
        arguments = step.get("arguments")
        queries = arguments.get("queries") if isinstance(arguments, Mapping) else None
        if isinstance(queries, list):
            self._searched.update(query for query in queries if isinstance(query, str) and query.strip())

    def _units(self) -> Units:
        counted = list(mappings((self._usage or {}).get("grounding_tool_count")))
        if not counted:
            queries = max(len(self._searched), int(self._searches > 0))
            return Units(grounding_requests=int(queries > 0), grounding_queries=queries)
        queries, maps = (
            sum(max(read_count(tool.get("count")) or 0, 0) for tool in counted if tool.get("type") == kind)
            for kind in ("google_search", "google_maps")
        )
        return Units(grounding_requests=int(queries > 0), grounding_queries=queries, maps_queries=maps)
