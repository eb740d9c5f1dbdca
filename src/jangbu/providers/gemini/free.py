"""Answers that use no tokens of a balance: countTokens, cachedContents, Imagen's predict and Veo's operations.

countTokens is free. A cache is stored by the token and hour. Images are paid for by the piece and filtered ones are not
charged, as Google's messages say; videos are paid for by the second, which the answer seldom names.
"""

from collections.abc import Mapping
from typing import Any

from jangbu.domain.usage import ANSWER_UNITS_MAX, Anomaly, Counts, Source, Surface, Units, Usage
from jangbu.providers.gemini.counts import USAGE_METADATA, has_counts, once, read_count
from jangbu.providers.gemini.grounding import mappings
from jangbu.providers.gemini.reader import Context, Ending, kept, model_of, platform_of, tier_of

_SAMPLES = ("generatedSamples", "generatedVideos", "videos")


class FreeReader:
    """Reads an answer that is charged no tokens: what it is paid for by, if anything, is in its units."""

    def __init__(self, surface: Surface, context: Context) -> None:
        self._surface = surface
        self._context = context
        self._answer: Mapping[str, Any] = {}

    @property
    def usage_seen(self) -> bool:
        """Whether there is anything to pay for."""
        return self._units() != Units()

    def read(self, event: Mapping[str, Any]) -> None:
        """Take the answer."""
        self._answer = event

    def finish(self, ending: Ending) -> Usage:
        """Say what the answer is paid for by, beside tokens; one that broke off was not understood at all."""
        if not ending.whole:
            self._answer = {}
        units = self._units()
        usage = self._answer.get("usageMetadata")
        spoken = usage if isinstance(usage, Mapping) else {}
        invalid = self._surface is Surface.CACHED_CONTENTS and (read_count(spoken.get("totalTokenCount")) or 0) < 0
        tier = tier_of(self._answer, spoken, self._context)
        counts, source = (Counts(), Source.NONE)
        if units != Units():
            counts, source = Counts(total=0), Source.REPORTED
        return Usage(
            surface=self._surface,
            counts=counts,
            source=source,
            model=model_of(self._answer, self._context) or _operation_model(self._answer),
            platform=platform_of(self._answer, spoken, self._context),
            tier=tier.tier,
            units=units,
            anomalies=once(((Anomaly.INVALID_USAGE,) if invalid else ()) + tier.anomalies),
            raw=kept(spoken) if has_counts(spoken, USAGE_METADATA) else (),
        )

    def _units(self) -> Units:
        match self._surface:
            case Surface.CACHED_CONTENTS:
                usage = self._answer.get("usageMetadata")
                return storage(usage) if isinstance(usage, Mapping) else Units()
            case Surface.PREDICT:
                return Units(images=sum(map(_is_image, _images(self._answer))))
            case Surface.PREDICT_LONG_RUNNING:
                return _videos(self._answer)
        return Units()


def storage(usage: Mapping[str, Any]) -> Units:
    """Read the size of a cache, in tokens; it is paid for by the token and hour until it expires."""
    return Units(cache_storage_tokens=max(read_count(usage.get("totalTokenCount")) or 0, 0))


def _images(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the images of an answer, or of the object that google-genai makes of it."""
    return [*mappings(answer.get("predictions")), *mappings(answer.get("generatedImages"))]


def _is_image(prediction: Mapping[str, Any]) -> bool:
    if prediction.get("raiFilteredReason"):
        return False
    return any(prediction.get(name) for name in ("bytesBase64Encoded", "gcsUri", "mimeType", "image"))


def _videos(answer: Mapping[str, Any]) -> Units:
    response = answer.get("response")
    if not isinstance(response, Mapping):
        return Units()
    inner = response.get("generateVideoResponse")
    holder = inner if isinstance(inner, Mapping) else response
    samples = next((holder[name] for name in _SAMPLES if name in holder), ())
    videos = [sample.get("video", sample) for sample in mappings(samples)]
    seconds = sum(max(_seconds(video), 0) for video in mappings(videos))
    return Units(videos=len(videos), video_seconds=seconds)


def _seconds(video: Mapping[str, Any]) -> int:
    said = video.get("durationSeconds", video.get("duration"))
    seconds = read_count(said.removesuffix("s") if isinstance(said, str) else said) or 0
    return seconds if seconds <= ANSWER_UNITS_MAX else 0


def _operation_model(answer: Mapping[str, Any]) -> str | None:
    name = answer.get("name")
    parts = name.split("/") if isinstance(name, str) else []
    return parts[parts.index("models") + 1] if "models" in parts[:-1] else None
