"""What belongs to the app is closed to its users, on every surface, until a setting opens it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.genai import errors, types

from jangbu.testing import FakeGemini
from tests.gateway.book import came, holds, require_sound
from tests.gateway.google_accounts import TokenEndpoint
from tests.gateway.live import MODEL as LIVE_MODEL
from tests.gateway.live import SETUP, closed, connected, eventually
from tests.gateway.stage import FLASH, Stage, asked, stage
from tests.gateway.test_vertex import LIVE_PATH, VEO, client_of
from tests.gateway.vertex import CALL, PLACE, PROJECT, vertex_stage

THEIRS = "gs://users/lee/a.png"
OURS = "gs://users/kim/a.png"
CORPUS = f"{PLACE}/ragCorpora/1"
FULL_MODEL = f"{PLACE}/publishers/google/models/{FLASH}"
OPENED = {
    "allowed_storage": "gs://users/{user}/,gs://shared/public/",
    "allowed_resources": f"{CORPUS}, fileSearchStores/handbook",
}


def reading(uri: str) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "see"}, {"fileData": {"fileUri": uri}}]}]}


def searching(**tool: Any) -> dict[str, Any]:
    return {**asked(), "tools": [tool]}


def message_of(answer: Mapping[str, Any]) -> str:
    error = answer["error"]
    assert (error["code"], error["status"], error["details"][0]["reason"]) == (
        403,
        "PERMISSION_DENIED",
        "NOT_PERMITTED",
    )
    return str(error["message"])


@pytest.fixture
async def opened(database_url: str, google: TokenEndpoint, anyone: FakeGemini, tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a gateway that offers Vertex AI and opens some of what the app has."""
    async with vertex_stage(database_url, anyone, vertex_credentials=google.key_file(tmp_path), **OPENED) as served:
        yield served
        await require_sound(served)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(CALL, reading(THEIRS), id="generateContent"),
        pytest.param(CALL.replace("generate", "streamGenerate"), reading(THEIRS), id="streamGenerateContent"),
        pytest.param(CALL.replace("generateContent", "countTokens"), reading(THEIRS), id="countTokens"),
        pytest.param(CALL.replace("generateContent", "computeTokens"), reading(THEIRS), id="computeTokens"),
        pytest.param(
            f"/v1/{PLACE}/publishers/google/models/gemini-embedding-2:embedContent",
            {"content": {"parts": [{"fileData": {"fileUri": THEIRS}}]}},
            id="embedContent",
        ),
        pytest.param(
            f"/v1/{PLACE}/publishers/google/models/multimodalembedding:predict",
            {"instances": [{"image": {"gcsUri": THEIRS}}]},
            id="predict",
        ),
        pytest.param(
            f"/v1/{PLACE}/publishers/google/models/imagen-4.0-generate-001:predict",
            {"instances": [{"prompt": "a cat"}], "parameters": {"storageUri": THEIRS}},
            id="where pictures are written",
        ),
        pytest.param(
            f"/v1/{PLACE}/publishers/google/models/{VEO}:predictLongRunning",
            {"instances": [{"prompt": "a cat"}], "parameters": {"storageUri": THEIRS}},
            id="where a video is written",
        ),
        pytest.param(f"/v1/{PLACE}/cachedContents", {"model": FULL_MODEL, **reading(THEIRS)}, id="cachedContents"),
    ],
)
@pytest.mark.parametrize("is_open", [False, True])
async def test_anothers_objects_are_closed_on_every_surface(
    vertex: Stage, opened: Stage, path: str, body: dict[str, Any], is_open: bool
) -> None:
    served = opened if is_open else vertex
    status, answer, _ = await served.post(path, body)
    assert status == 403
    assert "JANGBU_ALLOWED_STORAGE" in message_of(answer)
    assert (came(served), await served.used(), await holds(served)) == ([], (0, 0), [])
    if is_open:
        ours = json.dumps(body).replace("/lee/", "/kim/").encode()
        assert (await served.post(path, ours))[0] != 403


async def test_what_all_may_read_nobody_writes(opened: Stage) -> None:
    assert (await opened.post(CALL, reading("gs://shared/public/a.png")))[0] == 200
    body = {"instances": [{"prompt": "a cat"}], "parameters": {"storageUri": "gs://shared/public/"}}
    status, answer, _ = await opened.post(f"/v1/{PLACE}/publishers/google/models/{VEO}:predictLongRunning", body)
    assert status == 403
    assert "may not be written" in message_of(answer)


@pytest.mark.parametrize("user", ["kim/lee", "..", "lee/../kim"])
async def test_a_user_with_a_clever_id_stays_in_a_folder_of_their_own(opened: Stage, user: str) -> None:
    await opened.open(user)
    for name in (f"gs://users/{user}/a.png", OURS, "gs://users/kim/lee/a.png"):
        assert (await opened.post(CALL, reading(name), user=user))[0] == 403
    folder = user.replace("/", "=2F") if user != ".." else "=2E=2E"
    assert (await opened.post(CALL, reading(f"gs://users/{folder}/a.png"), user=user))[0] == 200


async def test_the_hold_for_an_object_is_counted_by_the_provider(opened: Stage) -> None:
    status, answer, _ = await opened.post(CALL, reading(OURS))
    assert status == 200
    assert [line.rpartition(":")[2] for line in came(opened)] == ["countTokens", "generateContent"]
    assert await opened.used() == (answer["usageMetadata"]["totalTokenCount"], 0)


@pytest.mark.parametrize(
    "tool",
    [
        pytest.param({"retrieval": {"vertexRagStore": {"ragCorpora": [CORPUS]}}}, id="corpora"),
        pytest.param(
            {"retrieval": {"vertex_rag_store": {"rag_resources": [{"rag_corpus": CORPUS}]}}}, id="in snake_case"
        ),
    ],
)
async def test_a_corpus_is_closed_until_a_setting_names_it(vertex: Stage, opened: Stage, tool: dict[str, Any]) -> None:
    status, answer, _ = await vertex.post(CALL, searching(**tool))
    assert status == 403
    assert CORPUS in message_of(answer)
    assert "JANGBU_ALLOWED_RESOURCES" in message_of(answer)
    before = len(came(opened))
    assert (await opened.post(CALL, searching(**tool)))[0] == 200
    other = json.loads(json.dumps(tool).replace("ragCorpora/1", "ragCorpora/2"))
    assert (await opened.post(CALL, searching(**other)))[0] == 403
    assert len(came(opened)) == before + 1


@pytest.mark.parametrize(
    "model",
    [
        FULL_MODEL.replace(PROJECT, "another"),
        FULL_MODEL.replace("us-central1", "asia-east1"),
        f"{PLACE}/endpoints/7",
    ],
)
async def test_a_body_names_models_of_googles_in_the_apps_project_only(vertex: Stage, model: str) -> None:
    body = {"model": model, "contents": asked("x" * 4000)["contents"]}
    status, answer, _ = await vertex.post(f"/v1/{PLACE}/cachedContents", body)
    assert status == 403
    message_of(answer)
    assert came(vertex) == []
    assert (await vertex.post(f"/v1/{PLACE}/cachedContents", {**body, "model": FULL_MODEL}))[0] == 200


async def test_googles_client_sees_the_refusal_as_its_own_error(opened: Stage) -> None:
    part = types.Part.from_uri(file_uri=THEIRS, mime_type="image/png")
    with client_of(opened) as client, pytest.raises(errors.ClientError) as refused:
        await asyncio.to_thread(client.models.generate_content, model=FLASH, contents=[part])
    assert (refused.value.code, refused.value.status) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("path", [LIVE_PATH, None])
async def test_a_session_names_nothing_that_is_closed(opened: Stage, path: str | None) -> None:
    options = {"path": path} if path else {}
    model = f"publishers/google/models/{LIVE_MODEL}" if path else f"models/{LIVE_MODEL}"
    async with connected(opened, **options) as client:
        tool = {"retrieval": {"vertexAiSearch": {"datastore": "theirs"}}}
        await client.send_json({"setup": {"model": model, "tools": [tool]}})
        _, reason = await closed(client)
    assert "theirs may not be used" in reason
    assert came(opened) == []
    async with connected(opened, **options) as client:
        await client.send_json({"setup": {"model": model}})
        await client.receive()
        await client.send_json({"clientContent": {"turns": reading(THEIRS)["contents"], "turnComplete": True}})
        _, reason = await closed(client)
    assert THEIRS in reason
    await eventually(lambda: nothing_held(opened))


async def nothing_held(served: Stage) -> bool:
    return await served.used() == (0, 0)


BATCH = f"/v1beta/models/{FLASH}:batchGenerateContent"
INTERACTIONS = "/v1beta/interactions"
HOOK = {"uris": ["https://collector.example/"]}
INLINE = {"inputConfig": {"requests": {"requests": [{"request": asked(maxOutputTokens=50)}]}}}
STORES = [
    pytest.param(
        f"/v1beta/models/{FLASH}:generateContent",
        searching(fileSearch={"fileSearchStoreNames": ["fileSearchStores/handbook"]}),
        id="generateContent",
    ),
    pytest.param(
        BATCH,
        {
            "batch": {
                "input_config": {
                    "requests": {
                        "requests": [
                            {
                                "request": {
                                    **searching(file_search={"file_search_store_names": ["fileSearchStores/handbook"]}),
                                    "generationConfig": {"maxOutputTokens": 50},
                                }
                            }
                        ]
                    }
                }
            }
        },
        id="a batch",
    ),
    pytest.param(
        INTERACTIONS,
        {
            "model": FLASH,
            "input": "hi",
            "tools": [{"type": "file_search", "file_search_store_names": ["fileSearchStores/handbook"]}],
        },
        id="an interaction",
    ),
]


@pytest.mark.parametrize(("path", "body"), STORES)
async def test_a_store_of_files_is_closed_until_a_setting_names_it(
    database_url: str, served: Stage, gemini: FakeGemini, path: str, body: dict[str, Any]
) -> None:
    status, answer, _ = await served.post(path, body)
    assert status == 403
    assert "fileSearchStores/handbook" in message_of(answer)
    assert "JANGBU_ALLOWED_RESOURCES" in message_of(answer)
    assert (came(served), await served.used()) == ([], (0, 0))
    async with stage(database_url, gemini, **OPENED) as other:
        await other.ledger.accounts.grant("kim", 2_000_000, key="a batch holds for all that it may read")
        assert (await other.post(path, body))[0] == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(BATCH, {"batch": {**INLINE, "webhookConfig": HOOK}}, id="a batch"),
        pytest.param(
            BATCH, {"batch": {**INLINE, "webhook_config": {"userMetadata": {"a": "b"}}}}, id="the app's hooks"
        ),
        pytest.param(
            "/v1beta/models/veo-3.0-generate-001:predictLongRunning",
            {"instances": [{"prompt": "a cat"}], "webhookConfig": HOOK},
            id="a video",
        ),
        pytest.param(INTERACTIONS, {"model": FLASH, "input": "hi", "webhook_config": HOOK}, id="an interaction"),
    ],
)
async def test_no_result_is_sent_past_the_meter(
    database_url: str, gemini: FakeGemini, path: str, body: dict[str, Any]
) -> None:
    async with stage(database_url, gemini, **OPENED) as served:
        await served.open("kim")
        status, answer, _ = await served.post(path, body)
        assert status == 403
        assert message_of(answer).startswith("webhookConfig is not offered: ")
        assert (came(served), await holds(served)) == ([], [])


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ({"session_id": "shared"}, "previous_interaction_id"),
        ({"fix_request": {"finding_id": "finding-1"}}, "source_files"),
        ({"find_request": {"mode": "verify", "finding_id": "finding-1"}}, "source_files"),
    ],
)
async def test_what_an_agent_keeps_for_nobody_is_closed(served: Stage, given: dict[str, Any], instead: str) -> None:
    asked_of = {"agent": "code-mender-preview", "input": "mend it"}
    kept = {"find_request": {"source_files": [{"path": "a.py", "content": "1"}]}}
    status, answer, _ = await served.post(INTERACTIONS, {**asked_of, "agent_config": {"type": "code-mender", **given}})
    assert status == 403
    assert instead in message_of(answer)
    assert (came(served), await holds(served)) == ([], [])
    status, answer, _ = await served.post(INTERACTIONS, {**asked_of, "agent_config": {"type": "code-mender", **kept}})
    assert status != 403, answer


@pytest.mark.parametrize(
    "tool",
    [
        {"googleSearch": {}},
        {"urlContext": {}},
        {"codeExecution": {}},
        {"computerUse": {"environment": "ENVIRONMENT_BROWSER"}},
        {"mcpServers": [{"name": "mine", "streamableHttpTransport": {"url": "https://tools.example/mcp"}}]},
    ],
)
async def test_tools_that_use_nothing_of_the_apps_are_open(served: Stage, tool: dict[str, Any]) -> None:
    assert (await served.post(f"/v1beta/models/{FLASH}:generateContent", searching(**tool)))[0] == 200


async def test_objects_are_closed_on_the_gemini_api_too(served: Stage) -> None:
    status, answer, _ = await served.post(f"/v1beta/models/{FLASH}:generateContent", reading(OURS))
    assert status == 403
    assert OURS in message_of(answer)
    async with connected(served) as client:
        await client.send_json({"setup": {**SETUP["setup"], "systemInstruction": reading(OURS)["contents"][0]}})
        _, reason = await closed(client)
    assert OURS in reason
    assert came(served) == []


async def test_a_change_of_a_cache_is_read_like_its_making(served: Stage) -> None:
    body = {"model": f"models/{FLASH}", "contents": asked("x" * 4000)["contents"]}
    _, cache, _ = await served.post("/v1beta/cachedContents", body)
    headers = {"x-goog-api-key": served.key, "x-jangbu-user": "kim"}
    url = f"{served.url}/v1beta/{cache['name']}?updateMask=contents"
    async with served.http.patch(url, data=json.dumps(reading(THEIRS)), headers=headers) as answer:
        assert answer.status == 403
    assert len(came(served)) == 1
