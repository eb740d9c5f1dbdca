"""Which surface an answer came from, told by the shape of its first object."""

from collections.abc import Callable, Mapping
from typing import Any

from jangbu.domain.usage import Surface
from jangbu.providers.gemini.batch import BatchReader
from jangbu.providers.gemini.embeddings import EmbeddingsReader
from jangbu.providers.gemini.free import FreeReader
from jangbu.providers.gemini.generate_content import GenerateContentReader
from jangbu.providers.gemini.interactions import InteractionsReader
from jangbu.providers.gemini.live import LiveReader
from jangbu.providers.gemini.openai import OpenAIReader
from jangbu.providers.gemini.reader import Context, Reader

_LIVE = {
    "setupComplete",
    "serverContent",
    "toolCall",
    "toolCallCancellation",
    "goAway",
    "sessionResumptionUpdate",
    "voiceActivity",
}
_GENERATE = {"candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId"}
_BATCH = {"inlinedResponses", "inlinedEmbedContentResponses", "responsesFile"}


_READERS: dict[Surface, Callable[[Context], Reader]] = {
    Surface.LIVE: LiveReader,
    Surface.INTERACTIONS: InteractionsReader,
    Surface.BATCH: BatchReader,
    Surface.EMBED_CONTENT: EmbeddingsReader,
    Surface.OPENAI: OpenAIReader,
}


def reader_for(surface: Surface, context: Context) -> Reader:
    """Make the reader of a surface."""
    if surface in (Surface.GENERATE_CONTENT, Surface.STREAM_GENERATE_CONTENT):
        return GenerateContentReader(surface, context)
    own = _READERS.get(surface)
    return FreeReader(surface, context) if own is None else own(context)


def surface_of(answer: Mapping[str, Any]) -> Surface | None:
    """Tell the surface of an object, or None where it shows nothing of any; an error could be of any surface."""
    return _by_own_keys(answer) or _by_name(answer) or _by_usage(answer)


def shows_a_surface(answer: Mapping[str, Any]) -> bool:
    """Tell whether an object is one that a surface writes; nearly all are generateContent's, and tell so at once."""
    return not _GENERATE.isdisjoint(answer) or surface_of(answer) is not None


def _by_own_keys(answer: Mapping[str, Any]) -> Surface | None:
    """Look for what one surface alone writes."""
    keys = answer.keys()
    surface: Surface | None = None
    if keys & {"event_type", "interaction"} or answer.get("object") == "interaction":
        surface = Surface.INTERACTIONS
    elif keys & _LIVE:
        surface = Surface.LIVE
    elif _is_batch(answer):
        surface = Surface.BATCH
    elif keys & {"embedding", "embeddings"}:
        surface = Surface.EMBED_CONTENT
    elif "generatedImages" in keys:
        surface = Surface.PREDICT
    elif "predictions" in keys:
        surface = _predicted(answer["predictions"])
    elif "totalTokens" in keys:
        surface = Surface.COUNT_TOKENS
    return surface


def _by_name(answer: Mapping[str, Any]) -> Surface | None:
    name = answer.get("name")
    if isinstance(name, str):
        if "cachedContents/" in name:
            return Surface.CACHED_CONTENTS
        if "operations/" in name:
            return Surface.PREDICT_LONG_RUNNING
    return Surface.CACHED_CONTENTS if "cachedContents" in answer else None


def _by_usage(answer: Mapping[str, Any]) -> Surface | None:
    usage = answer.get("usageMetadata")
    if isinstance(usage, Mapping) and "responseTokenCount" in usage:
        return Surface.LIVE
    if answer.keys() & _GENERATE:
        return Surface.GENERATE_CONTENT
    usage = answer.get("usage")
    if isinstance(usage, Mapping) and "total_input_tokens" in usage:
        return Surface.INTERACTIONS
    is_list = isinstance(answer.get("data"), list)
    if "choices" in answer or is_list or (isinstance(usage, Mapping) and "prompt_tokens" in usage):
        return Surface.OPENAI
    return None


def _is_batch(answer: Mapping[str, Any]) -> bool:
    if answer.keys() & _BATCH:
        return True
    holder = answer.get("batch", answer)
    holder = holder if isinstance(holder, Mapping) else answer
    name, metadata = holder.get("name"), holder.get("metadata")
    kind = metadata.get("@type") if isinstance(metadata, Mapping) else None
    if isinstance(kind, str) and kind.endswith(("GenerateContentBatch", "EmbedContentBatch")):
        return True
    if isinstance(name, str) and (name.startswith("batches/") or "batchPredictionJobs/" in name):
        return True
    # A line of a result file: the answer is wrapped, beside the key or the request that it answers.
    wrapped = answer.keys() & {"response", "error"}
    return bool(wrapped) and bool(answer.keys() & {"key", "request", "custom_id"})


def _predicted(predictions: object) -> Surface:
    first = predictions[0] if isinstance(predictions, list) and predictions else None
    embeds = isinstance(first, Mapping) and "embeddings" in first
    return Surface.EMBED_CONTENT if embeds else Surface.PREDICT
