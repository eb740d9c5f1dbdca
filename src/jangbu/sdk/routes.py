"""What a request of the client is: which surface, which model, and whether its answer is metered now or later."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from jangbu.domain.usage import Platform, Surface

__all__ = ["Metered", "Route", "route_of"]


class Metered(StrEnum):
    """When the usage of a request becomes known."""

    NOW = "now"
    """Its own answer reports it: hold, call, settle."""
    RECORDED = "recorded"
    """Its own answer reports it, but no tokens are spent: recorded without a hold."""
    LATER = "later"
    """It starts work whose usage another answer reports: the attribution is remembered under the name it gives."""
    RESULT = "result"
    """It asks for work that was started earlier: recorded once, when the results first show."""
    FREE = "free"
    REFUSED = "refused"
    """It has models called whose usage nobody could record: it is not sent."""


@dataclass(frozen=True, slots=True)
class Route:
    """A request, understood. ``model`` is as the path names it, without ``models/``; None where it names none.

    ``verb`` is how the path ends: ``generateContent``, ``interactions``.
    """

    surface: Surface | None
    metered: Metered
    model: str | None = None
    platform: Platform = Platform.GEMINI_API
    verb: str = ""


_METHODS = {
    "generateContent": (Surface.GENERATE_CONTENT, Metered.NOW),
    "streamGenerateContent": (Surface.STREAM_GENERATE_CONTENT, Metered.NOW),
    "embedContent": (Surface.EMBED_CONTENT, Metered.NOW),
    "batchEmbedContents": (Surface.EMBED_CONTENT, Metered.NOW),
    "predict": (Surface.PREDICT, Metered.NOW),
    "predictLongRunning": (Surface.PREDICT_LONG_RUNNING, Metered.LATER),
    "batchGenerateContent": (Surface.BATCH, Metered.LATER),
    "asyncBatchEmbedContent": (Surface.BATCH, Metered.LATER),
    "fetchPredictOperation": (Surface.PREDICT_LONG_RUNNING, Metered.RESULT),
}

# No answer to a decision was recorded; a trigger and its executions make calls that nobody waits for, also one that is
# changed.
_REFUSED = frozenset({"decisions", "triggers", "executions"})


def route_of(method: str, url: str) -> Route:
    """Understand a request from its HTTP method and its URL, whatever version or prefix the path begins with."""
    path = urlsplit(url).path
    platform = Platform.VERTEX if "/projects/" in path or "/publishers/" in path else Platform.GEMINI_API
    segments = [segment for segment in path.split("/") if segment]
    last = segments[-1] if segments else ""
    name, _, action = last.partition(":")
    if method.lower() == "post" and action in _METHODS:
        surface, metered = _METHODS[action]
        return Route(surface, metered, name, platform, action)
    return Route(*_resource(method.lower(), segments), None, platform, last)


def _resource(method: str, segments: list[str]) -> tuple[Surface | None, Metered]:
    collection = "".join(segments[-1:] if method == "post" else segments[-2:-1])
    match method, collection:
        case "post", "cachedContents":
            return Surface.CACHED_CONTENTS, Metered.RECORDED
        case "post", "interactions":
            return Surface.INTERACTIONS, Metered.NOW
        case "get", "interactions":
            return Surface.INTERACTIONS, Metered.RESULT
        case "post" | "get", "batches" | "batchPredictionJobs":
            return Surface.BATCH, Metered.LATER if method == "post" else Metered.RESULT
        case "get", "operations" if "models" in segments:
            return Surface.PREDICT_LONG_RUNNING, Metered.RESULT
    is_refused = (method == "post" and collection in _REFUSED) or (method == "patch" and collection == "triggers")
    return None, Metered.REFUSED if is_refused else Metered.FREE
