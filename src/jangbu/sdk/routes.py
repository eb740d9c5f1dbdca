"""What a request of the client is: which surface, which model, and whether its answer is metered now or later."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from jangbu.domain.usage import Platform, Surface

__all__ = ["Metered", "Route", "route_of", "work_name"]


class Metered(StrEnum):
    """When the usage of a request becomes known."""

    NOW = "now"
    """Its own answer reports it: hold, call, settle."""
    RECORDED = "recorded"
    """Its own answer reports it, but no tokens are spent: recorded without a hold."""
    STARTED = "started"
    """It starts work whose usage another answer reports: hold, call; whoever fetches that answer settles."""
    LATER = "later"
    """It starts work of which nothing is held for: the attribution is remembered under the name that it gives."""
    RESULT = "result"
    """It asks for work that was started earlier: recorded once, when the results first show."""
    LISTED = "listed"
    """It lists work that was started earlier, and may show results of many."""
    KEPT = "kept"
    """It changes how long a cache lives, whose making was recorded."""
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
    "predictLongRunning": (Surface.PREDICT_LONG_RUNNING, Metered.STARTED),
    "batchGenerateContent": (Surface.BATCH, Metered.STARTED),
    "asyncBatchEmbedContent": (Surface.BATCH, Metered.STARTED),
    "fetchPredictOperation": (Surface.PREDICT_LONG_RUNNING, Metered.RESULT),
}

_RESOURCES: Mapping[tuple[str, str], tuple[Surface | None, Metered]] = {
    ("post", "cachedContents"): (Surface.CACHED_CONTENTS, Metered.RECORDED),
    ("patch", "cachedContents"): (None, Metered.KEPT),
    ("delete", "cachedContents"): (None, Metered.KEPT),
    ("post", "interactions"): (Surface.INTERACTIONS, Metered.NOW),
    ("get", "interactions"): (Surface.INTERACTIONS, Metered.RESULT),
    ("post", "batches"): (Surface.BATCH, Metered.LATER),
    ("get", "batches"): (Surface.BATCH, Metered.RESULT),
    ("post", "batchPredictionJobs"): (Surface.BATCH, Metered.LATER),
    ("get", "batchPredictionJobs"): (Surface.BATCH, Metered.RESULT),
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


def work_name(path: str) -> str:
    """Give the name of a resource without project, version and prefix: its kind and its id."""
    return "/".join(path.strip("/").split("/")[-2:])


def _resource(method: str, segments: list[str]) -> tuple[Surface | None, Metered]:
    if method == "get" and segments[-1:] == ["batches"]:
        return Surface.BATCH, Metered.LISTED
    collection = "".join(segments[-1:] if method == "post" else segments[-2:-1])
    if method == "get" and collection == "operations" and "models" in segments:
        return Surface.PREDICT_LONG_RUNNING, Metered.RESULT
    if (method == "post" and collection in _REFUSED) or (method == "patch" and collection == "triggers"):
        return None, Metered.REFUSED
    return _RESOURCES.get((method, collection), (None, Metered.FREE))
