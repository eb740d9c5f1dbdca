"""Vertex AI through the gateway: Google's own client, the app's project, and sessions."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from websockets.asyncio.server import ServerConnection

from jangbu.domain.usage import Platform, Tier
from jangbu.testing import Behaviour, FakeGemini, Recorded
from tests.gateway.google_accounts import TokenEndpoint
from tests.gateway.live import MODEL, closed, connected, provider, session, turn
from tests.gateway.stage import FLASH, UPSTREAM_KEY, Stage, asked
from tests.gateway.vertex import CALL, PLACE, PROJECT, records, sent, vertex_stage

IMAGEN = "imagen-4.0-generate-001"
VEO = "veo-3.0-generate-001"
LIVE_PATH = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"


def client_of(served: Stage, *, express: bool = False, project: str = PROJECT) -> genai.Client:
    """Point Google's client at the gateway, with Jangbu's key for its token, or for the key of its express mode."""
    options = types.HttpOptions(base_url=served.url, headers={"x-jangbu-user": "kim"})
    if express:
        return genai.Client(vertexai=True, api_key=served.key, http_options=options)
    credentials = Credentials(token=served.key)  # type: ignore[no-untyped-call]
    return genai.Client(
        vertexai=True, project=project, location="us-central1", credentials=credentials, http_options=options
    )


def everything_asked(client: genai.Client) -> list[int]:
    """Use each surface of the client once; give the total tokens that it saw, where it sees any."""
    answer = client.models.generate_content(model=FLASH, contents="hello")
    *_, last = client.models.generate_content_stream(model=FLASH, contents="tell me a story")
    assert answer.text
    assert answer.usage_metadata is not None
    assert last.usage_metadata is not None
    assert (client.models.count_tokens(model=FLASH, contents="hello").total_tokens or 0) > 0
    assert client.models.embed_content(model="text-embedding-005", contents="a sentence").embeddings
    assert client.models.embed_content(model="gemini-embedding-2", contents="a sentence").embeddings
    images = client.models.generate_images(
        model=IMAGEN, prompt="a cat", config=types.GenerateImagesConfig(number_of_images=2)
    )
    assert len(images.generated_images or []) == 2
    return [answer.usage_metadata.total_token_count or 0, last.usage_metadata.total_token_count or 0]


@pytest.mark.filterwarnings("ignore:The generate_images method is deprecated")
@pytest.mark.parametrize("express", [False, True])
async def test_googles_client_calls_everything_in_the_apps_project(vertex: Stage, express: bool) -> None:
    with client_of(vertex, express=express) as client:
        totals = await asyncio.to_thread(everything_asked, client)
    found = await records(vertex)
    assert [(record.model, record.platform) for record in found] == [
        (FLASH, "vertex"),
        (FLASH, "vertex"),
        ("text-embedding-005", "vertex"),
        ("gemini-embedding-2", "vertex"),
        (IMAGEN, "vertex"),
    ]
    assert [record.total for record in found][:2] == totals
    assert await vertex.used() == (sum(record.total or 0 for record in found), 0)
    for path, bearer, key in sent(vertex):
        assert path.startswith(f"/v1beta1/{PLACE}/publishers/google/models/")
        assert (bearer, key) == ("Bearer token-1", None)


async def test_googles_async_client_is_metered_alike(vertex: Stage) -> None:
    client = client_of(vertex)
    answer = await client.aio.models.generate_content(model=FLASH, contents="hello")
    stream = await client.aio.models.generate_content_stream(model=FLASH, contents="hello")
    last = [chunk async for chunk in stream][-1]
    await client.aio.aclose()
    client.close()
    usages = [answer.usage_metadata, last.usage_metadata]
    assert [record.total for record in await records(vertex)] == [usage and usage.total_token_count for usage in usages]


async def test_a_call_has_the_price_of_vertex(vertex: Stage) -> None:
    model = "gemini-2.0-flash"
    body = asked("hello")
    await vertex.post(f"/v1/{PLACE}/publishers/google/models/{model}:generateContent", body)
    await vertex.post(f"/v1/models/{model}:generateContent", body)
    on_vertex, on_gemini = await records(vertex)
    assert (on_vertex.platform, on_gemini.platform) == (Platform.VERTEX.value, Platform.GEMINI_API.value)
    assert on_vertex.total == on_gemini.total
    assert on_vertex.cost_nano is not None
    assert on_gemini.cost_nano is not None
    assert on_vertex.cost_nano > on_gemini.cost_nano
    (_, bearer, _), (_, none, key) = sent(vertex)
    assert (bearer, none, key) == ("Bearer token-1", None, UPSTREAM_KEY)


async def test_a_tier_is_asked_for_in_headers_and_paid_for_as_the_answer_says(vertex: Stage) -> None:
    usage = {"promptTokenCount": 1_000, "totalTokenCount": 1_000, "trafficType": "ON_DEMAND_FLEX"}
    answer = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage, "modelVersion": FLASH}
    vertex.gemini.next(Behaviour(recorded=Recorded(json.dumps(answer).encode())))
    asked_in = {"x-vertex-ai-llm-request-type": "shared", "x-vertex-ai-llm-shared-request-type": "flex"}
    await vertex.post(CALL, asked("hello"), **asked_in)
    assert asked_in.items() <= vertex.gemini.requests()[-1].headers.items()
    [record] = await records(vertex)
    assert record.tier == Tier.FLEX


async def test_a_cache_belongs_to_its_maker_under_the_name_that_google_gave(vertex: Stage) -> None:
    with client_of(vertex) as client:
        config = types.CreateCachedContentConfig(contents="a long text " * 50)
        cache = await asyncio.to_thread(client.caches.create, model=FLASH, config=config)
        assert cache.name is not None
        answer = await asyncio.to_thread(
            client.models.generate_content,
            model=FLASH,
            contents="hello",
            config=types.GenerateContentConfig(cached_content=cache.name),
        )
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata.cached_content_token_count or 0) > 0
    assert cache.name.startswith(f"{PLACE}/cachedContents/")
    await vertex.open("lee")
    assert (await vertex.get(f"/v1/{cache.name}", user="lee"))[0] == 404
    # Google itself writes the project's number into names.
    by_number = cache.name.replace(PROJECT, "123456789")
    assert (await vertex.get(f"/v1/{by_number}"))[1]["name"] == cache.name
    assert (await vertex.get(f"/v1/{by_number}", method="DELETE"))[0] == 200
    assert (await vertex.get(f"/v1/{cache.name}"))[0] == 404


async def test_a_video_is_recorded_once_when_its_maker_first_sees_it(vertex: Stage) -> None:
    with client_of(vertex) as client:
        source = types.GenerateVideosSource(prompt="a cat")
        operation = await asyncio.to_thread(client.models.generate_videos, model=VEO, source=source)
        assert operation.name is not None
        assert operation.name.startswith(f"{PLACE}/publishers/google/models/{VEO}/operations/")
        assert await records(vertex) == []
        for _ in range(2):
            seen = await asyncio.to_thread(client.operations.get, operation)
            assert seen.done
    assert [(record.model, record.platform) for record in await records(vertex)] == [(VEO, "vertex")]
    assert await vertex.used() == (0, 0)
    await vertex.open("lee")
    path = f"/v1/{PLACE}/publishers/google/models/{VEO}:fetchPredictOperation"
    assert (await vertex.post(path, {"operationName": operation.name}, user="lee"))[0] == 404


@pytest.mark.parametrize(
    ("place", "word"),
    [
        ("projects/another-project/locations/us-central1", PROJECT),
        ("projects/123456789/locations/us-central1", PROJECT),
        (f"projects/{PROJECT}/locations/asia-east1", "us-central1 and europe-west4"),
    ],
)
async def test_another_project_or_location_is_refused_with_the_reason(vertex: Stage, place: str, word: str) -> None:
    status, answer, _ = await vertex.post(CALL.replace(PLACE, place), asked())
    assert (status, answer["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert word in answer["error"]["message"]
    assert sent(vertex) == []
    assert await vertex.used() == (0, 0)


async def test_googles_client_sees_a_wrong_project_as_its_own_error(vertex: Stage) -> None:
    with client_of(vertex, project="another-project") as client, pytest.raises(errors.ClientError) as refused:
        await asyncio.to_thread(client.models.generate_content, model=FLASH, contents="hello")
    assert refused.value.code == 403


async def test_the_catalogue_of_models_lies_outside_of_projects(vertex: Stage) -> None:
    status, _ = await vertex.get("/v1beta1/publishers/google/models")
    assert status == 200
    [(path, bearer, _)] = sent(vertex)
    assert (path, bearer) == ("/v1beta1/publishers/google/models", "Bearer token-1")


@pytest.mark.parametrize("path", [CALL, f"/v1/publishers/google/models/{FLASH}:generateContent"])
async def test_without_a_project_vertex_is_not_offered_and_the_hint_names_the_setting(served: Stage, path: str) -> None:
    status, answer, _ = await served.post(path, asked())
    assert (status, answer["error"]["details"][0]["reason"]) == (404, "NOT_OFFERED")
    assert "JANGBU_VERTEX_PROJECT" in answer["error"]["message"]
    assert sent(served) == []


async def test_a_session_is_opened_by_a_token_and_recorded_as_vertexs(vertex: Stage) -> None:
    async with connected(vertex, path=LIVE_PATH) as client:
        await client.send_json({"setup": {"model": f"{PLACE}/publishers/google/models/{MODEL}"}})
        total = await turn(client)
    [record] = await records(vertex)
    assert (record.model, record.platform, record.total) == (MODEL, "vertex", total)
    [(path, bearer, key)] = sent(vertex)
    assert (path, bearer, key) == (LIVE_PATH, "Bearer token-1", None)


async def test_a_session_that_names_no_project_is_in_the_apps(
    database_url: str, google: TokenEndpoint, anyone: FakeGemini, tmp_path: Path
) -> None:
    heard: list[Any] = []

    async def script(socket: ServerConnection) -> None:
        heard.append(json.loads(await socket.recv()))
        await socket.send('{"setupComplete": {}}')
        await socket.wait_closed()

    setup = {"setup": {"model": f"publishers/google/models/{MODEL}", "generationConfig": {"maxOutputTokens": 9}}}
    async with provider(script) as url:
        settings = {"vertex_credentials": google.key_file(tmp_path), "vertex_url": url}
        async with vertex_stage(database_url, anyone, **settings) as served, session(served, setup, path=LIVE_PATH):
            pass
    assert heard == [{"setup": {**setup["setup"], "model": f"{PLACE}/publishers/google/models/{MODEL}"}}]


async def test_a_session_in_another_project_is_refused(vertex: Stage) -> None:
    async with connected(vertex, path=LIVE_PATH) as client:
        await client.send_json({"setup": {"model": f"projects/x/locations/global/publishers/google/models/{MODEL}"}})
        _, reason = await closed(client)
    assert PROJECT in reason
    assert sent(vertex) == []


async def test_without_a_project_a_session_is_not_offered(served: Stage) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(served, path=LIVE_PATH):
            pass
    assert refused.value.status == 404
    assert sent(served) == []
