"""Gemini's OpenAI-compatible surface: chat completions (whole or streamed), embeddings and images.

It hides the thoughts: recorded 66 prompt, 6 completion and 100 total, so thoughts = total - prompt - completion.
"""

from collections.abc import Mapping
from typing import Any

from jangbu.domain.usage import Anomaly, Breakdown, ByModality, Counts, Source, Surface, Units, Usage
from jangbu.providers.gemini.counts import OPENAI, Reading, has_counts, once, plausible, read_count, read_usage
from jangbu.providers.gemini.grounding import mappings
from jangbu.providers.gemini.names import text
from jangbu.providers.gemini.reader import Context, Ending, kept, model_of, platform_of, source_of, tier_of


def read_openai_usage(usage: Mapping[str, Any]) -> Reading:
    """Read one usage object; what the total holds beyond prompt and completion is thoughts, and what no detail calls
    audio is text.
    """
    reading = read_usage(usage, OPENAI)
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    heard = _detail(usage, "prompt_tokens_details", "audio_tokens")
    spoken = _detail(usage, "completion_tokens_details", "audio_tokens")
    if not reading.valid or min(cached, heard, spoken) < 0:
        return Reading(anomalies=(Anomaly.INVALID_USAGE,), valid=False)
    said = reading.counts
    hidden = max((said.total or 0) - said.summed, 0)
    anomalies = list(reading.anomalies)
    if said.total is not None and said.total < said.summed:
        anomalies.append(Anomaly.TOTAL_MISMATCH)
    if cached > said.prompt:
        anomalies.append(Anomaly.CACHED_EXCEEDS_PROMPT)
    if heard > said.prompt or spoken > said.candidates:
        anomalies.append(Anomaly.DETAILS_EXCEED_COUNT)
    by_modality = ByModality(
        prompt=_split(said.prompt, heard), cached=Breakdown(text=cached), candidates=_split(said.candidates, spoken)
    )
    counts = Counts(said.prompt, said.candidates, hidden, 0, cached, said.total)
    return Reading(counts, by_modality, once(anomalies))


class OpenAIReader:
    """Reads one answer of the OpenAI-compatible surface."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._usage: Mapping[str, Any] | None = None
        self._answer: dict[str, Any] = {}
        self._streamed = False
        self._finished = False
        self._answered = False
        self._failed = False
        self._images = 0

    @property
    def usage_seen(self) -> bool:
        """Whether any counts were seen so far."""
        return self._usage is not None

    def read(self, event: Mapping[str, Any]) -> None:
        """Take the whole answer, or its next chunk."""
        if event.get("error") is not None:
            self._failed = True
            return
        self._streamed = self._streamed or event.get("object") == "chat.completion.chunk"
        usage = event.get("usage")
        if isinstance(usage, Mapping) and has_counts(usage, OPENAI):
            self._usage = usage
        for choice in mappings(event.get("choices")):
            self._answered = True
            self._finished = self._finished or bool(choice.get("finish_reason"))
        self._images += sum("b64_json" in item or "url" in item for item in mappings(event.get("data")))
        for name in ("id", "model", "service_tier"):
            if event.get(name) is not None:
                self._answer[name] = event[name]

    def finish(self, ending: Ending) -> Usage:
        """Say what the answer used."""
        reading = Reading() if self._usage is None else plausible(read_openai_usage(self._usage))
        whole = ending.whole and not self._failed and (not self._streamed or self._has_ended(ending))
        source = Source.NONE
        if self._usage is not None:
            source = source_of(reading, whole=whole)
        elif self._images:
            source = Source.REPORTED
        missing = (Anomaly.USAGE_MISSING,) if self._answered and whole and self._usage is None else ()
        tier = tier_of(self._answer, {}, self._context)
        return Usage(
            surface=Surface.OPENAI,
            counts=reading.counts,
            source=source,
            model=model_of(self._answer, self._context),
            response_id=text(self._answer.get("id")),
            platform=platform_of(self._answer, {}, self._context),
            tier=tier.tier,
            by_modality=reading.by_modality,
            units=Units(images=self._images),
            anomalies=once((*reading.anomalies, *missing, *tier.anomalies)),
            raw=() if self._usage is None else kept(self._usage),
        )

    def is_open(self, ending: Ending) -> bool:
        """Tell whether a stream's content came, and not its end."""
        return self._streamed and self._answered and not self._has_ended(ending)

    def _has_ended(self, ending: Ending) -> bool:
        return self._finished or ending.done


def _split(count: int, audio: int) -> Breakdown:
    audio = min(audio, count)
    return Breakdown(text=count - audio, audio=audio)


def _detail(usage: Mapping[str, Any], details: str, name: str) -> int:
    found = usage.get(details)
    return (read_count(found.get(name)) or 0) if isinstance(found, Mapping) else 0
