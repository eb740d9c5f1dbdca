"""A request is understood from its path, whichever version, prefix or platform it is sent to."""

import pytest

from jangbu.domain.usage import Platform, Surface
from jangbu.sdk.routes import Metered, route_of

HOST = "https://generativelanguage.googleapis.com"


@pytest.mark.parametrize("prefix", ["/v1", "/v1beta", "/v1alpha", "", "/behind/a/proxy/v1"])
@pytest.mark.parametrize(
    ("action", "surface", "metered"),
    [
        ("generateContent", Surface.GENERATE_CONTENT, Metered.NOW),
        ("streamGenerateContent?alt=sse", Surface.STREAM_GENERATE_CONTENT, Metered.NOW),
        ("batchEmbedContents", Surface.EMBED_CONTENT, Metered.NOW),
        ("predict", Surface.PREDICT, Metered.NOW),
        ("batchGenerateContent", Surface.BATCH, Metered.STARTED),
        ("predictLongRunning", Surface.PREDICT_LONG_RUNNING, Metered.STARTED),
    ],
)
def test_a_method_of_a_model(prefix: str, action: str, surface: Surface, metered: Metered) -> None:
    route = route_of("post", f"{HOST}{prefix}/models/gemini-2.5-flash:{action}")
    assert (route.surface, route.metered, route.model) == (surface, metered, "gemini-2.5-flash")


@pytest.mark.parametrize(
    ("method", "path", "surface", "metered"),
    [
        ("post", "/v1/cachedContents", Surface.CACHED_CONTENTS, Metered.RECORDED),
        ("POST", "/v1/interactions", Surface.INTERACTIONS, Metered.NOW),
        ("patch", "/v1/cachedContents/abc", None, Metered.KEPT),
        ("DELETE", "/v1beta1/projects/p/locations/us-central1/cachedContents/1", None, Metered.KEPT),
        ("GET", "/v1/interactions/abc", Surface.INTERACTIONS, Metered.RESULT),
        ("get", "/v1/batches/abc", Surface.BATCH, Metered.RESULT),
        ("get", "/v1/models/veo-3/operations/abc", Surface.PREDICT_LONG_RUNNING, Metered.RESULT),
    ],
)
def test_a_resource(method: str, path: str, surface: Surface | None, metered: Metered) -> None:
    route = route_of(method, HOST + path)
    assert (route.surface, route.metered) == (surface, metered)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/v1/models/gemini-2.5-flash:countTokens"),
        ("get", "/v1/models/gemini-2.5-flash"),
        ("get", "/v1/cachedContents/abc"),
        ("delete", "/v1/batches/abc"),
        ("post", "/v1/batches/abc:cancel"),
        ("get", "/v1/interactions"),
        ("post", "/upload/v1/files"),
        ("get", ""),
    ],
)
def test_what_spends_nothing_is_free(method: str, path: str) -> None:
    assert route_of(method, HOST + path).metered is Metered.FREE


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/triggers", "/v1/triggers/abc/executions"])
def test_what_has_models_called_past_the_meter_is_refused(path: str) -> None:
    assert route_of("POST", HOST + path).metered is Metered.REFUSED
    assert route_of("GET", HOST + path).metered is Metered.FREE


def test_a_trigger_is_not_changed_either() -> None:
    path = f"{HOST}/v1/triggers/abc"
    assert route_of("PATCH", path).metered is Metered.REFUSED
    assert route_of("GET", path).metered is route_of("DELETE", path).metered is Metered.FREE


def test_vertex_is_told_by_its_path() -> None:
    path = "/v1beta1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:generateContent"
    route = route_of("post", "https://aiplatform.googleapis.com" + path)
    assert (route.platform, route.model) == (Platform.VERTEX, "gemini-2.5-flash")
