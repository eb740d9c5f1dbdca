"""What a body names of the app's own: on every surface, in every spelling, and never where people write freely."""

import json
from typing import Any

import pytest

from jangbu.domain.usage import Platform
from jangbu.providers.gemini.app_resources import AppResource, Use, app_resources
from jangbu.providers.gemini.fields import fields

BUCKET = "gs://bucket/a.png"
CORPUS = "projects/p/locations/l/ragCorpora/1"
STORE = "projects/p/locations/global/collections/default_collection/dataStores/s"
MODEL = "projects/p/locations/l/publishers/google/models/gemini-2.5-flash"


def part(uri: str) -> dict[str, Any]:
    return {"contents": [{"parts": [{"text": "what is this?"}, {"fileData": {"fileUri": uri}}]}]}


def tool(**given: Any) -> dict[str, Any]:
    return {"tools": [given]}


def found(body: dict[str, Any], platform: Platform = Platform.VERTEX) -> list[tuple[Use, str]]:
    return [(each.use, each.name) for each in app_resources(fields(body), platform)]


@pytest.mark.parametrize("platform", [Platform.VERTEX, Platform.GEMINI_API])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(part(BUCKET), id="generateContent"),
        pytest.param({"generateContentRequest": part(BUCKET)}, id="countTokens"),
        pytest.param({"setup": {"systemInstruction": part(BUCKET)["contents"][0]}}, id="Live"),
        pytest.param({"clientContent": {"turns": part(BUCKET)["contents"]}}, id="a turn of Live"),
        pytest.param({"content": {"parts": [{"file_data": {"file_uri": BUCKET}}]}}, id="an embedding"),
        pytest.param({"instances": [{"image": {"gcsUri": BUCKET}}]}, id="a picture to embed or to animate"),
        pytest.param({"instances": [{"video": {"uri": BUCKET}, "prompt": "go on"}]}, id="a video to go on from"),
        pytest.param({"instances": [{"referenceImages": [{"image": {"gcsUri": BUCKET}}]}]}, id="a picture to refer to"),
        pytest.param({"messages": [{"content": [{"image_url": {"url": BUCKET}}]}]}, id="OpenAI"),
        pytest.param({"messages": [{"content": [{"image_url": BUCKET}]}]}, id="OpenAI, in short"),
        pytest.param({"input": [{"type": "video", "uri": BUCKET}]}, id="an interaction"),
        pytest.param({"environment": {"sources": [{"type": "gcs", "source": BUCKET}]}}, id="an environment"),
        pytest.param(
            {"contents": [{"parts": [{"functionResponse": {"parts": [{"fileData": {"fileUri": BUCKET}}]}}]}]},
            id="what a function gives back",
        ),
    ],
)
def test_an_object_that_is_read_is_found_on_every_surface(body: dict[str, Any], platform: Platform) -> None:
    assert found(body, platform) == [(Use.READ, BUCKET)]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"parameters": {"storageUri": BUCKET}}, id="pictures and videos"),
        pytest.param({"parameters": {"outputGcsUri": BUCKET}}, id="the client's word for it"),
        pytest.param({"generationConfig": {"responseFormat": [{"video": {"gcsUri": BUCKET}}]}}, id="a response"),
        pytest.param({"response_format": {"type": "video", "gcs_uri": BUCKET}}, id="an interaction's response"),
        pytest.param({"generationOutputConfig": {"outputUriPrefix": BUCKET}}, id="a response in the background"),
        pytest.param({"outputConfig": {"gcsDestination": {"uri": BUCKET}}}, id="a destination"),
        pytest.param({"parameters": {"somethingNew": BUCKET}}, id="a field that nobody knows"),
    ],
)
def test_an_object_that_is_written_is_found(body: dict[str, Any]) -> None:
    assert found(body) == [(Use.WRITE, BUCKET)]


@pytest.mark.parametrize(
    "uri",
    ["GS://bucket/a", f"{' ' * 1000}gs://bucket/a", " gs://bucket/a", "gs:\\\\bucket\\a", "gs%3A//bucket/a", "gs:/b/a"],
)
def test_an_object_is_found_however_it_is_written(uri: str) -> None:
    assert found(part(uri)) == [(Use.READ, uri)]


@pytest.mark.parametrize("field", ["storageUri", "storage_uri", "StorageUri", "gcsUri", "gcs_uri"])
def test_a_field_for_objects_names_one_whatever_it_holds(field: str) -> None:
    assert [name for _, name in found({"parameters": {field: "bucket/a"}})] == ["bucket/a"]


@pytest.mark.parametrize(
    "address",
    [
        "https://storage.googleapis.com/bucket/a.png",
        "HTTPS://Storage.GoogleAPIs.com./bucket/a.png",
        "https://bucket.storage.googleapis.com/a.png",
        "https://user@storage.googleapis.com:443/bucket/a.png",
        "https:\\\\storage.googleapis.com\\bucket\\a.png",
        "https://storage%2Egoogleapis.com/bucket/a.png",
        "https://ｓtorage.googleapis.com/bucket/a.png",
        "//storage.googleapis.com/bucket/a.png",
        "https:storage.googleapis.com/bucket/a.png",
        f"https://{'user' * 1000}@storage.googleapis.com/bucket/a.png",
        f"{' ' * 1000}https://storage.googleapis.com/bucket/a.png",
        "https://storage.cloud.google.com/bucket/a.png",
    ],
)
def test_an_address_of_google_clouds_is_the_apps_where_a_service_account_calls(address: str) -> None:
    assert found(part(address)) == [(Use.READ, address)]
    assert found(part(address), Platform.GEMINI_API) == []


@pytest.mark.parametrize(
    ("body", "name"),
    [
        pytest.param(tool(retrieval={"vertexRagStore": {"ragCorpora": [CORPUS]}}), CORPUS, id="corpora"),
        pytest.param(
            tool(retrieval={"vertex_rag_store": {"rag_resources": [{"rag_corpus": CORPUS}]}}), CORPUS, id="a corpus"
        ),
        pytest.param(tool(retrieval={"vertexAiSearch": {"datastore": STORE}}), STORE, id="a data store"),
        pytest.param(tool(retrieval={"vertexAiSearch": {"datastore": "s"}}), "s", id="a data store, in short"),
        pytest.param(
            tool(retrieval={"vertexAiSearch": {"dataStoreSpecs": [{"dataStore": STORE}]}}), STORE, id="its spec"
        ),
        pytest.param(tool(retrieval={"vertexAiSearch": {"engine": "e"}}), "e", id="an engine"),
        pytest.param(
            tool(type="retrieval", vertex_ai_search_config={"datastores": [STORE]}), STORE, id="an interaction's"
        ),
        pytest.param(
            tool(type="retrieval", rag_store_config={"rag_resources": [{"rag_corpus": "c"}]}), "c", id="its corpora"
        ),
        pytest.param(
            tool(fileSearch={"fileSearchStoreNames": ["fileSearchStores/s"]}), "fileSearchStores/s", id="file search"
        ),
        pytest.param(tool(type="file_search", file_search_store_names=["s"]), "s", id="an interaction's file search"),
        pytest.param({"modelArmorConfig": {"promptTemplateName": "projects/p/x/t"}}, "projects/p/x/t", id="a template"),
        pytest.param({"encryptionSpec": {"kmsKeyName": "projects/p/k"}}, "projects/p/k", id="a key"),
        pytest.param({"parameters": {"pubsubTopic": "topic"}}, "topic", id="a topic"),
        pytest.param({"inputConfig": {"bigquerySource": {"inputUri": "bq://p.d.t"}}}, "bq://p.d.t", id="a table"),
        pytest.param({"source": {"semanticRetriever": "corpora/c"}}, "corpora/c", id="a corpus of the Gemini API"),
        pytest.param({"model": "projects/p/locations/l/endpoints/7"}, "projects/p/locations/l/endpoints/7", id="tuned"),
        pytest.param({"model": "tunedModels/t"}, "tunedModels/t", id="a tuned model of the Gemini API"),
        pytest.param({"speechConfig": {"voiceConfig": {"voice": "voices/v"}}}, "voices/v", id="a voice"),
        pytest.param(
            {"environment": {"sources": [{"type": "skill_registry", "source": "skills/s"}]}}, "skills/s", id="a skill"
        ),
        pytest.param({"somethingNew": "/Projects/p/things/t"}, "/Projects/p/things/t", id="a field that nobody knows"),
    ],
)
def test_what_is_searched_or_named_otherwise_is_found(body: dict[str, Any], name: str) -> None:
    for platform in Platform:
        assert found(body, platform) == [(Use.SEARCH, name)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"batch": {"webhookConfig": {"uris": ["https://me.example"]}}}, "webhookConfig", id="a batch"),
        pytest.param({"webhook_config": {"user_metadata": {"a": 1}}}, "webhookConfig", id="an interaction"),
        pytest.param(
            tool(retrieval={"externalApi": {"endpoint": "https://me.example"}}), "externalApi", id="an API to search"
        ),
        pytest.param(
            tool(googleMaps={"authConfig": {"authType": "GOOGLE_SERVICE_ACCOUNT_AUTH"}}), "authConfig", id="an identity"
        ),
        pytest.param({"api_auth": {"api_key_config": {"api_key_secret_version": "s"}}}, "apiAuth", id="a secret"),
        pytest.param(
            {"environment": {"env": {"TOKEN": {"credential": "c"}}}}, "credential", id="a credential of the app"
        ),
        pytest.param({"agent_config": {"enable_bigquery_tool": True}}, "enableBigqueryTool", id="the app's tables"),
        pytest.param({"agent_config": {"session_id": "s"}}, "sessionId", id="an agent's session"),
        pytest.param({"agentConfig": {"sessionId": "s"}}, "sessionId", id="an agent's session in camelCase"),
        pytest.param({"agent_config": {"fix_request": {"finding_id": "f"}}}, "findingId", id="a finding to be fixed"),
        pytest.param({"agent_config": {"find_request": {"finding_id": "f"}}}, "findingId", id="a finding to verify"),
    ],
)
def test_what_is_open_to_nobody_is_found_with_the_reason(body: dict[str, Any], field: str) -> None:
    named = app_resources(fields(body), Platform.GEMINI_API)[0]
    assert (named.use, named.name, bool(named.reason)) == (Use.NEVER, field, True)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"environment": {"env": {"SESSION_ID": "s"}}}, id="a variable of an environment"),
        pytest.param({"agent_config": {"session_config": {"max_rounds": 3}, "session_id": ""}}, id="no session"),
    ],
)
def test_what_only_sounds_like_an_agents_session_is_open(body: dict[str, Any]) -> None:
    assert found(body, Platform.GEMINI_API) == []


def test_a_model_is_told_from_what_else_a_project_has() -> None:
    assert found({"model": MODEL}) == [(Use.MODEL, MODEL)]
    assert found({"model": MODEL}, Platform.GEMINI_API) == [(Use.SEARCH, MODEL)]
    for model in ("gemini-2.5-flash", "models/gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash"):
        assert found({"model": model}) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(part("https://www.youtube.com/watch?v=9hE5-98ZeCg"), id="a video on the web"),
        pytest.param(part("https://example.com/googleapis.com/report.pdf"), id="a file on the web"),
        pytest.param(tool(urlContext={}), id="pages"),
        pytest.param(tool(googleSearch={}, codeExecution={}, computerUse={"environment": "x"}), id="built-in tools"),
        pytest.param(tool(mcpServers=[{"streamableHttpTransport": {"url": "https://me.example"}}]), id="MCP"),
        pytest.param(tool(type="mcp_server", url="https://me.example", name="mine"), id="an interaction's MCP"),
        pytest.param({"contents": [{"parts": [{"text": BUCKET}]}]}, id="a text"),
        pytest.param({"instances": [{"prompt": BUCKET}, {"content": CORPUS}]}, id="a prompt"),
        pytest.param({"messages": [{"content": BUCKET}]}, id="a message"),
        pytest.param({"input": BUCKET, "system_instruction": CORPUS}, id="an interaction's words"),
        pytest.param({"cachedContent": "projects/p/locations/l/cachedContents/c"}, id="a cache, which is somebody's"),
        pytest.param({"displayName": "projects/p/x"}, id="a title"),
        pytest.param({"labels": {"engine": "v8", "source": BUCKET}}, id="labels"),
        pytest.param(
            {"contents": [{"parts": [{"functionCall": {"args": {"storageUri": BUCKET, "credential": "c"}}}]}]},
            id="a function's arguments",
        ),
        pytest.param(
            {"contents": [{"parts": [{"functionResponse": {"response": {"uri": BUCKET}}}]}]}, id="a function's answer"
        ),
        pytest.param({"input": [{"type": "function_result", "result": BUCKET}]}, id="a function's answer in words"),
        pytest.param(
            tool(functionDeclarations=[{"parameters": {"properties": {"engine": {"enum": ["v8"]}, "authConfig": {}}}}]),
            id="a schema",
        ),
        pytest.param(
            {"input": [{"content": [{"text": "so", "annotations": [{"document_uri": BUCKET, "source": CORPUS}]}]}]},
            id="what an earlier answer cited",
        ),
        pytest.param({"webhookConfig": {}, "parameters": {"storageUri": ""}, "engine": None}, id="nothing"),
        pytest.param({"environment": {"sources": [{"source": "https://example.com/r.git"}]}}, id="a repository"),
    ],
)
def test_what_is_anybodys_or_only_data_names_nothing(body: dict[str, Any]) -> None:
    for platform in Platform:
        assert found(body, platform) == []


def test_escapes_depth_and_lists_hide_nothing() -> None:
    body: Any = json.loads('{"\\u0073torage_Uri": ["\\u0067s:\\u002f/bucket/a"]}')
    for _ in range(90):
        body = [{"parts": body}]
    assert app_resources(fields({"contents": body}), Platform.VERTEX) == (AppResource(Use.WRITE, "gs://bucket/a"),)
