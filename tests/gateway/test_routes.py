"""Every path that clients use leads where it should, at every version; what is not declared leads nowhere."""

import pytest

from jangbu.domain.keys import Scope
from jangbu.domain.usage import Platform, Surface
from jangbu.gateway.paths import segments
from jangbu.gateway.routes import DECLARED, Action, Billing, Route, find

MODEL = "models/gemini-2.5-flash"
VERTEX = "projects/my-project/locations/us-central1"
GOOGLE_AI = "google.ai.generativelanguage"


def lead(method: str, path: str, prefix: str = "") -> Route | None:
    found = segments(path.encode(), prefix)
    return None if found is None else find(method, found)


def led(method: str, path: str, prefix: str = "") -> Route:
    route = lead(method, path, prefix)
    assert route is not None, f"{method} {path} leads nowhere"
    return route


GEMINI = [
    ("POST", f"{MODEL}:generateContent", Action.CALL, Billing.METERED, Surface.GENERATE_CONTENT, Scope.GENERATE),
    (
        "POST",
        f"{MODEL}:streamGenerateContent",
        *(Action.CALL, Billing.METERED, Surface.STREAM_GENERATE_CONTENT),
        "generate",
    ),
    ("POST", f"{MODEL}:countTokens", Action.CALL, Billing.FREE, Surface.COUNT_TOKENS, Scope.GENERATE),
    ("POST", "models/gemini-embedding-001:embedContent", Action.CALL, Billing.METERED, Surface.EMBED_CONTENT, "embed"),
    (
        "POST",
        "models/gemini-embedding-001:batchEmbedContents",
        Action.CALL,
        Billing.METERED,
        Surface.EMBED_CONTENT,
        "embed",
    ),
    ("POST", "models/imagen-4.0-generate-001:predict", Action.CALL, Billing.METERED, Surface.PREDICT, "generate"),
    ("POST", "models/veo-3:predictLongRunning", Action.CALL, Billing.STARTED, Surface.PREDICT_LONG_RUNNING, "generate"),
    ("POST", f"{MODEL}:batchGenerateContent", Action.CREATE, Billing.STARTED, Surface.BATCH, "batches"),
    ("POST", f"{MODEL}:asyncBatchEmbedContent", Action.CREATE, Billing.STARTED, Surface.BATCH, "batches"),
    ("GET", "models", Action.LIST, Billing.FREE, None, "models"),
    ("GET", MODEL, Action.GET, Billing.FREE, None, "models"),
    ("GET", "models/veo-3/operations/abc", Action.GET, Billing.RESULT, Surface.PREDICT_LONG_RUNNING, "generate"),
    ("GET", "operations/abc", Action.GET, Billing.RESULT, Surface.PREDICT_LONG_RUNNING, "generate"),
    ("POST", "cachedContents", Action.CREATE, Billing.RECORDED, Surface.CACHED_CONTENTS, "caches"),
    ("GET", "cachedContents", Action.LIST, Billing.FREE, Surface.CACHED_CONTENTS, "caches"),
    ("GET", "cachedContents/x1", Action.GET, Billing.FREE, Surface.CACHED_CONTENTS, "caches"),
    ("PATCH", "cachedContents/x1", Action.UPDATE, Billing.FREE, Surface.CACHED_CONTENTS, "caches"),
    ("DELETE", "cachedContents/x1", Action.DELETE, Billing.FREE, Surface.CACHED_CONTENTS, "caches"),
    ("GET", "files", Action.LIST, Billing.FREE, None, "files"),
    ("GET", "files/abc-123", Action.GET, Billing.FREE, None, "files"),
    ("DELETE", "files/abc-123", Action.DELETE, Billing.FREE, None, "files"),
    ("GET", "batches", Action.LIST, Billing.FREE, Surface.BATCH, "batches"),
    ("GET", "batches/x1", Action.GET, Billing.RESULT, Surface.BATCH, "batches"),
    ("POST", "batches/x1:cancel", Action.CANCEL, Billing.FREE, Surface.BATCH, "batches"),
    ("POST", "batches/x1:delete", Action.DELETE, Billing.FREE, Surface.BATCH, "batches"),
    ("DELETE", "batches/x1", Action.DELETE, Billing.FREE, Surface.BATCH, "batches"),
    ("POST", "interactions", Action.CREATE, Billing.METERED, Surface.INTERACTIONS, "interactions"),
    ("GET", "interactions/v1_Chd-_x", Action.GET, Billing.RESULT, Surface.INTERACTIONS, "interactions"),
    ("DELETE", "interactions/v1_Chd-_x", Action.DELETE, Billing.FREE, Surface.INTERACTIONS, "interactions"),
    ("POST", "interactions/v1_Chd-_x/cancel", Action.CANCEL, Billing.RESULT, Surface.INTERACTIONS, "interactions"),
    ("POST", "openai/chat/completions", Action.CALL, Billing.METERED, Surface.OPENAI, "openai"),
    ("POST", "openai/embeddings", Action.CALL, Billing.METERED, Surface.OPENAI, "openai"),
    ("POST", "openai/images/generations", Action.CALL, Billing.METERED, Surface.OPENAI, "openai"),
    ("GET", "openai/models", Action.LIST, Billing.FREE, None, "openai"),
    ("GET", "openai/models/gemini-2.5-flash", Action.GET, Billing.FREE, None, "openai"),
]
PUBLISHED = [
    ("POST", f"{MODEL}:generateContent", Action.CALL, Billing.METERED, Surface.GENERATE_CONTENT, "generate"),
    (
        "POST",
        f"{MODEL}:streamGenerateContent",
        *(Action.CALL, Billing.METERED, Surface.STREAM_GENERATE_CONTENT),
        "generate",
    ),
    ("POST", f"{MODEL}:countTokens", Action.CALL, Billing.FREE, Surface.COUNT_TOKENS, "generate"),
    ("POST", f"{MODEL}:computeTokens", Action.CALL, Billing.FREE, None, "generate"),
    ("POST", f"{MODEL}:embedContent", Action.CALL, Billing.METERED, Surface.EMBED_CONTENT, "embed"),
    ("POST", "models/text-embedding-005:predict", Action.CALL, Billing.METERED, Surface.PREDICT, "generate"),
    ("POST", "models/veo-3:predictLongRunning", Action.CALL, Billing.STARTED, Surface.PREDICT_LONG_RUNNING, "generate"),
    (
        "POST",
        "models/veo-3:fetchPredictOperation",
        Action.GET,
        Billing.RESULT,
        Surface.PREDICT_LONG_RUNNING,
        "generate",
    ),
    ("GET", "models/veo-3/operations/abc", Action.GET, Billing.RESULT, Surface.PREDICT_LONG_RUNNING, "generate"),
]
IN_PROJECT = [
    ("POST", "cachedContents", Action.CREATE, Billing.RECORDED, Surface.CACHED_CONTENTS, "caches"),
    ("GET", "cachedContents/852", Action.GET, Billing.FREE, Surface.CACHED_CONTENTS, "caches"),
    ("PATCH", "cachedContents/852", Action.UPDATE, Billing.FREE, Surface.CACHED_CONTENTS, "caches"),
]
Case = tuple[str, str, Action, Billing, Surface | None, str]


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha", ""])
@pytest.mark.parametrize("case", GEMINI, ids=lambda case: f"{case[0]} {case[1]}")
def test_the_gemini_api_at_every_version_and_none(case: Case, version: str) -> None:
    method, path, *said = case
    route = led(method, f"/{version}/{path}")
    assert [route.action, route.billing, route.surface, route.scope] == said
    assert route.platform is Platform.GEMINI_API
    assert route.target == f"/{version or 'v1beta'}/{path}"
    assert route.version == (version or "v1beta")


@pytest.mark.parametrize("version", ["v1", "v1beta1", ""])
@pytest.mark.parametrize(
    ("base", "case"),
    [
        *((f"{VERTEX}/publishers/google", case) for case in PUBLISHED),
        *(("publishers/google", case) for case in PUBLISHED),
        *((VERTEX, case) for case in IN_PROJECT),
    ],
    ids=str,
)
def test_vertex_in_a_project_and_in_express_mode(base: str, case: Case, version: str) -> None:
    method, path, *said = case
    route = led(method, f"/{version}/{base}/{path}")
    assert [route.action, route.billing, route.surface, route.scope] == said
    assert route.platform is Platform.VERTEX
    assert route.target == f"/{version or 'v1beta1'}/{base}/{path}"
    in_project = base.startswith("projects")
    assert (route.project, route.location) == (("my-project", "us-central1") if in_project else (None, None))


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/upload/v1/files", "/upload/v1/files"),
        ("/upload/v1beta/files", "/upload/v1beta/files"),
        ("/upload/v1alpha/files", "/upload/v1alpha/files"),
        ("/upload/files", "/upload/v1beta/files"),
        ("//upload//v1beta//files", "/upload/v1beta/files"),
    ],
)
def test_uploads(method: str, path: str, target: str) -> None:
    for prefix in ("", "/prefix/gw"):
        route = led(method, prefix + path, prefix)
        assert (route.verb, route.action, route.billing, route.target) == ("upload", "create", Billing.FREE, target)
        assert route.scope is Scope.FILES


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha", ""])
@pytest.mark.parametrize("before", ["", "/download"])
def test_downloads_are_asked_for_where_google_gives_them(before: str, version: str) -> None:
    route = led("GET", f"{before}/{version}/files/batch-abc:download")
    assert (route.action, route.billing, route.surface) == (Action.DOWNLOAD, Billing.RESULT, Surface.BATCH)
    assert (route.scope, route.resource) == (Scope.FILES, "files/batch-abc")
    assert route.target == f"/download/{version or 'v1beta'}/files/batch-abc:download"


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
@pytest.mark.parametrize(
    ("path", "platform"),
    [
        (f"/ws/{GOOGLE_AI}.{{}}.GenerativeService.BidiGenerateContent", Platform.GEMINI_API),
        (f"//ws/{GOOGLE_AI}.{{}}.GenerativeService.BidiGenerateContent", Platform.GEMINI_API),
        ("/ws/google.cloud.aiplatform.{}.LlmBidiService/BidiGenerateContent", Platform.VERTEX),
    ],
)
def test_live_sessions(path: str, platform: Platform, version: str) -> None:
    route = led("GET", path.format(version))
    assert (route.verb, route.billing, route.surface, route.scope) == ("live", "metered", Surface.LIVE, Scope.LIVE)
    assert (route.platform, route.version, route.model) == (platform, version, None)
    assert route.target == path.format(version).replace("//", "/")


@pytest.mark.parametrize(
    ("path", "model", "resource"),
    [
        (f"/v1/{MODEL}:generateContent", "gemini-2.5-flash", None),
        ("/models/gemini-2.5-flash:generateContent", "gemini-2.5-flash", None),
        ("/v1/models/veo-3/operations/x", "veo-3", "models/veo-3/operations/x"),
        (f"/v1/{VERTEX}/publishers/google/models/veo-3/operations/x", "veo-3", "models/veo-3/operations/x"),
        ("/v1/files/abc:download", None, "files/abc"),
        ("/v1/interactions/v1_x/cancel", None, "interactions/v1_x"),
        ("/v1/batches/b:cancel", None, "batches/b"),
        (f"/v1/{VERTEX}/cachedContents/852", None, "cachedContents/852"),
        ("/v1/cachedContents", None, None),
    ],
)
def test_a_route_names_its_model_and_what_belongs_to_somebody(
    path: str, model: str | None, resource: str | None
) -> None:
    route = lead("POST", path) or led("GET", path)
    assert (route.model, route.resource) == (model, resource)


@pytest.mark.parametrize("prefix", ["", "/prefix/gw"])
def test_slashes_a_prefix_and_an_encoded_colon_change_no_target(prefix: str) -> None:
    for path in (f"/v1/{MODEL}:generateContent", f"//v1//{MODEL}:generateContent", f"/v1/{MODEL}%3AgenerateContent/"):
        assert led("POST", prefix + path, prefix).target == f"/v1/{MODEL}:generateContent"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1beta/tunedModels/mine:generateContent"),
        ("GET", "/tunedModels"),
        ("POST", "/v1beta/corpora/c/documents"),
        ("POST", "/v1beta/fileSearchStores"),
        ("POST", "/upload/v1beta/fileSearchStores/s:uploadToFileSearchStore"),
        ("POST", "/v1beta/files:register"),
        ("POST", "/v1/agents"),
        ("GET", "/v1/environments/e/files/a/b"),
        ("POST", "/upload/v1/environments/e/files/f"),
        ("POST", "/v1/webhooks/w:ping"),
        ("POST", "/v1/credentials"),
        ("POST", "/v1alpha/auth_tokens"),
        ("POST", "/v1/triggers"),
        ("POST", "/v1/decisions"),
        ("GET", "/v1/voices"),
        ("POST", "/v1beta/openai/batches"),
        ("POST", "/v1beta/openai/files"),
        ("GET", f"/ws/{GOOGLE_AI}.v1beta.GenerativeService.BidiGenerateMusic"),
        ("GET", f"/ws/{GOOGLE_AI}.v1alpha.GenerativeService.BidiGenerateContentConstrained"),
        ("POST", f"/v1/{VERTEX}/endpoints/openapi/chat/completions"),
        ("POST", f"/v1beta1/{VERTEX}/endpoints/openapi/chat/completions"),
        ("POST", f"/v1/{VERTEX}/endpoints/123:generateContent"),
        ("POST", f"/v1/{VERTEX}/tuningJobs"),
    ],
)
def test_what_is_not_offered_says_why(method: str, path: str) -> None:
    route = led(method, path)
    assert route.billing is Billing.REFUSED
    assert len(route.reason) > 20
    assert route.reason.isprintable()
    assert (route.target, route.scope, route.resource, route.surface) == ("", None, None, None)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("GET", "/v1"),
        ("POST", "/v2/models/gemini-2.5-flash:generateContent"),
        ("POST", "/V1/models/gemini-2.5-flash:generateContent"),
        ("POST", "/v1beta1/models/gemini-2.5-flash:generateContent"),
        ("POST", "/v1/Models/gemini-2.5-flash:generateContent"),
        ("POST", "/v1/models/gemini-2.5-flash:GenerateContent"),
        ("POST", "/v1/models/gemini-2.5-flash:generatecontent"),
        ("POST", "/v1/models/gemini-2.5-flash:generateAnswer"),
        ("POST", "/v1/models/gemini-2.5-flash:"),
        ("POST", "/v1/models/:generateContent"),
        ("POST", "/v1/models/a:b:generateContent"),
        ("POST", "/v1/models/gemini-2.5-flash:generateContent:countTokens"),
        ("POST", "/v1/models/gemini-2.5-flash:countTokens/x"),
        ("POST", "/v1/models/gemini:x/operations/y"),
        ("POST", "/v1/models/-x:generateContent"),
        ("POST", "/v1/models/.x:generateContent"),
        ("POST", f"/v1/models/{'x' * 129}:generateContent"),
        ("GET", f"/v1/files/{'x' * 201}"),
        ("GET", f"/v1/models/{'x' * 128}/operations/{'y' * 200}"),
        ("GET", "/v1/models/gemini-2.5-flash:generateContent"),
        ("PUT", "/v1/models/gemini-2.5-flash:generateContent"),
        ("post", "/v1/models/gemini-2.5-flash:generateContent"),
        ("HEAD", "/v1/models"),
        ("DELETE", "/v1/models/gemini-2.5-flash"),
        ("PATCH", "/v1/models/gemini-2.5-flash"),
        ("POST", "/v1/files"),
        ("GET", "/upload/v1/files"),
        ("POST", "/upload/v1/files/x"),
        ("POST", "/v1/upload/v1/files"),
        ("GET", "/v1/interactions"),
        ("POST", "/v1/openai/completions"),
        ("POST", "/v1/openai/responses"),
        ("POST", f"/v1/{VERTEX}/publishers/anthropic/models/claude:rawPredict"),
        ("POST", f"/v1/{VERTEX}/publishers/google/models/gemini:rawPredict"),
        ("POST", "/v1/projects/p/publishers/google/models/gemini:generateContent"),
        ("GET", "/v1/projects/p"),
        ("GET", f"/v1/{VERTEX}/publishers/google/models"),
        ("POST", f"/ws/{GOOGLE_AI}.v1beta.GenerativeService.BidiGenerateContent"),
        ("GET", f"/ws/{GOOGLE_AI}.v9.GenerativeService.BidiGenerateContent"),
        ("GET", f"/ws/{GOOGLE_AI}.v1beta.PredictionService.BidiGenerateContent"),
        ("GET", "/ws/google.cloud.aiplatform.v1.LlmBidiService"),
        ("GET", "/$discovery/rest"),
        ("GET", "/v1/tunedmodels"),
        ("GET", "/healthz"),
    ],
)
def test_what_is_not_declared_leads_nowhere(method: str, path: str) -> None:
    assert lead(method, path) is None


@pytest.mark.parametrize("line", DECLARED, ids=lambda line: f"{line.method} {line.template}")
def test_every_line_says_how_it_is_paid_for(line: object) -> None:
    declared = next(each for each in DECLARED if each is line)
    is_paid = declared.billing in (Billing.METERED, Billing.RECORDED, Billing.STARTED, Billing.RESULT)
    assert not is_paid or declared.surface is not None
    assert (declared.billing is Billing.REFUSED) == bool(declared.reason) == (declared.scope is None)
    assert (declared.resource is not None) == ("{id}" in declared.template)


# What may be asked of the provider, written down a second time and without a look at the table.
