"""Where a path leads: every version and none, doubled slashes, any prefix, the Gemini API's paths and Vertex's."""

import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote

from jangbu.testing.surfaces import counting, generate, interactions, long_running, openai, stored
from jangbu.testing.surfaces.exchange import Exchange, Reply, Route
from jangbu.testing.surfaces.resources import Resources

__all__ = ["LIVE", "SURFACES", "find_route"]

LIVE = "live"

Surface = Callable[[Exchange, Resources], Reply]

SURFACES: dict[str, Surface] = {
    "generate_content": generate.generate,
    "stream_generate_content": generate.stream_generate,
    "count_tokens": counting.count,
    "embed_content": counting.embed,
    "batch_embed_contents": counting.batch_embed,
    "batch_generate_content": long_running.create_batch,
    "predict": long_running.predict,
    "predict_long_running": long_running.predict_long_running,
    "models": counting.list_models,
    "model": counting.show_model,
    "openai_chat": openai.chat,
    "openai_embeddings": openai.embeddings,
    "openai_images": openai.images,
    "openai_models": openai.models,
    "interaction_create": interactions.create_interaction,
    "interaction": interactions.show_interaction,
    "interaction_cancel": interactions.cancel_interaction,
    "interaction_delete": interactions.delete_interaction,
    "cache_create": stored.create_cache,
    "caches": stored.list_caches,
    "cache": stored.show_cache,
    "cache_update": stored.update_cache,
    "cache_delete": stored.delete_cache,
    "upload": stored.upload_file,
    "files": stored.list_files,
    "file": stored.show_file,
    "file_download": stored.download_file,
    "file_delete": stored.delete_file,
    "batches": long_running.list_batches,
    "batch": long_running.show_batch,
    "batch_cancel": long_running.cancel_batch,
    "batch_delete": long_running.delete_batch,
    "operation": long_running.show_operation,
    "operation_fetch": long_running.fetch_operation,
}
"""What answers on each surface; the names are those of the log."""

_VERBS = {
    "generateContent": "generate_content",
    "streamGenerateContent": "stream_generate_content",
    "countTokens": "count_tokens",
    "embedContent": "embed_content",
    "batchEmbedContents": "batch_embed_contents",
    "batchGenerateContent": "batch_generate_content",
    "predict": "predict",
    "predictLongRunning": "predict_long_running",
    "fetchPredictOperation": "operation_fetch",
}
_MODEL = r"(?:models|tunedModels)/(?P<model>[^/:]+)"
_PATHS = [
    (method, re.compile(pattern + "$"), surface)
    for method, pattern, surface in (
        ("GET", r"/ws/google\..*BidiGenerateContent", LIVE),
        ("POST", r"/upload/(?:v\w+/)?files", "upload"),
        ("PUT", r"/upload/(?:v\w+/)?files", "upload"),
        ("POST", r"/openai/chat/completions", "openai_chat"),
        ("POST", r"/openai/embeddings", "openai_embeddings"),
        ("POST", r"/openai/images/generations", "openai_images"),
        ("GET", r"/openai/models", "openai_models"),
        ("GET", rf"(?P<name>{_MODEL}/operations/[^/:]+)", "operation"),
        ("POST", rf"{_MODEL}:(?P<verb>\w+)", ""),
        ("GET", rf"/{_MODEL}", "model"),
        ("GET", r"/models", "models"),
        ("POST", r"/(?P<name>(?:projects/[^/]+/locations/[^/]+/)?cachedContents)", "cache_create"),
        ("GET", r"/(?:projects/[^/]+/locations/[^/]+/)?cachedContents", "caches"),
        ("GET", r"/(?P<name>(?:projects/[^/]+/locations/[^/]+/)?cachedContents/[^/:]+)", "cache"),
        ("PATCH", r"/(?P<name>(?:projects/[^/]+/locations/[^/]+/)?cachedContents/[^/:]+)", "cache_update"),
        ("DELETE", r"/(?P<name>(?:projects/[^/]+/locations/[^/]+/)?cachedContents/[^/:]+)", "cache_delete"),
        ("GET", r"/files", "files"),
        ("GET", r"/(?P<name>files/[^/:]+)", "file"),
        ("GET", r"/(?P<name>files/[^/:]+):download", "file_download"),
        ("DELETE", r"/(?P<name>files/[^/:]+)", "file_delete"),
        ("GET", r"/batches", "batches"),
        ("GET", r"/(?P<name>batches/[^/:]+)", "batch"),
        ("POST", r"/(?P<name>batches/[^/:]+):cancel", "batch_cancel"),
        ("POST", r"/(?P<name>batches/[^/:]+):delete", "batch_delete"),
        ("DELETE", r"/(?P<name>batches/[^/:]+)", "batch_delete"),
        ("POST", r"/interactions", "interaction_create"),
        ("GET", r"/(?P<name>interactions/[^/:]+)", "interaction"),
        ("POST", r"/(?P<name>interactions/[^/:]+)/cancel", "interaction_cancel"),
        ("DELETE", r"/(?P<name>interactions/[^/:]+)", "interaction_delete"),
    )
]
_VERSION = re.compile(r"/(v\d\w*)/")


@lru_cache(maxsize=1024)
def find_route(method: str, path: str) -> Route | None:
    """Give where the path leads, or None where it leads nowhere."""
    path = re.sub(r"/{2,}", "/", unquote(path))
    version = _VERSION.search(path)
    for wanted, pattern, surface in _PATHS:
        found = pattern.search(path) if wanted == method else None
        if found is None:
            continue
        named = found.groupdict()
        verb = named.get("verb")
        if verb is not None and verb not in _VERBS:
            return None
        return Route(
            surface=surface if verb is None else _VERBS[verb],
            version=version[1] if version else "",
            model=named.get("model") or "",
            name=named.get("name") or "",
            vertex="/publishers/" in path or "/projects/" in path or "aiplatform" in path,
        )
    return None
