"""Files and caches belong to a user: to anybody else they do not exist, and nothing of them is asked for."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from google import genai
from google.genai.types import HttpOptions

from jangbu.gateway.lists import PAGES_MOST
from jangbu.testing import Behaviour, Recorded
from tests.gateway.book import asked as asked_database
from tests.gateway.book import came, records, require_sound
from tests.gateway.stage import FLASH, Stage, asked

CALL = f"/v1beta/models/{FLASH}:generateContent"
COUNT = f"/v1beta/models/{FLASH}:countTokens"
BATCH = f"/v1beta/models/{FLASH}:batchGenerateContent"
CHAT = "/v1beta/openai/chat/completions"
INTERACTIONS = "/v1beta/interactions"


@pytest.fixture(autouse=True)
async def clean_book(served: Stage) -> AsyncIterator[None]:
    """Let there be lee beside kim; whatever they did, the book adds up afterwards."""
    await served.open("lee")
    yield
    await require_sound(served)


async def uploaded(served: Stage, data: bytes = b"some text", user: str = "kim") -> str:
    """Upload a small file in one request; give its name."""
    about = json.dumps({"file": {"displayName": "note", "mimeType": "text/plain"}}).encode()
    body = b"--x\r\ncontent-type: application/json\r\n\r\n" + about
    body += b"\r\n--x\r\ncontent-type: text/plain\r\n\r\n" + data + b"\r\n--x--\r\n"
    headers = {"x-goog-upload-protocol": "multipart", "content-type": "multipart/related; boundary=x"}
    status, answer, _ = await served.post("/upload/v1beta/files", body, user=user, **headers)
    assert status == 200
    return str(answer["file"]["name"])


async def cached(served: Stage, user: str = "kim", **given: Any) -> dict[str, Any]:
    """Have content kept; give what the provider answered."""
    body = {"model": f"models/{FLASH}", "contents": asked("x" * 4000)["contents"], "ttl": "600s", **given}
    status, answer, _ = await served.post("/v1beta/cachedContents", body, user=user)
    assert status == 200
    return dict(answer)


async def started(served: Stage, user: str = "kim") -> str:
    """Start a batch; give its name."""
    body = {"batch": {"inputConfig": {"requests": {"requests": [{"request": asked("one", maxOutputTokens=50)}]}}}}
    status, answer, _ = await served.post(BATCH, body, user=user)
    assert status == 200
    return str(answer["name"])


async def interacted(served: Stage, user: str = "kim") -> str:
    """Make an interaction; give its id."""
    status, answer, _ = await served.post(INTERACTIONS, {"model": FLASH, "input": "hi"}, user=user)
    assert status == 200
    return str(answer["id"])


async def filmed(served: Stage) -> str:
    """Start a video; give the name of its operation."""
    body = {"instances": [{"prompt": "a cat"}]}
    status, answer, _ = await served.post("/v1beta/models/veo-3.0-generate-001:predictLongRunning", body)
    assert status == 200
    return str(answer["name"])


async def test_what_is_kims_does_not_exist_for_lee(served: Stage) -> None:
    file, cache, batch = await uploaded(served), (await cached(served))["name"], await started(served)
    interaction, operation = f"interactions/{await interacted(served)}", await filmed(served)
    tries = [
        *(("GET", name) for name in (file, cache, batch, interaction, operation)),
        *(("DELETE", name) for name in (file, cache, batch, interaction)),
        ("GET", f"{file}:download?alt=media"),
        ("PATCH", f"{cache}?updateMask=ttl"),
        ("POST", f"{batch}:cancel"),
        ("POST", f"{batch}:delete"),
        ("POST", f"{interaction}/cancel"),
    ]
    before = len(served.gemini.requests())
    for version in ("v1", "v1beta", "v1alpha"):
        for method, path in tries:
            status, answer = await served.get(f"/{version}/{path}", user="lee", method=method)
            assert (status, answer["error"]["status"]) == (404, "NOT_FOUND"), path
    assert came(served, since=before) == []
    for method, path in tries[:5]:
        assert (await served.get(f"/v1beta/{path}", method=method))[0] == 200


async def test_lists_show_ones_own_and_nothing_else(served: Stage) -> None:
    ours = [await uploaded(served) for _ in range(2)]
    theirs = await uploaded(served, user="lee")
    cache, other_cache = (await cached(served))["name"], (await cached(served, user="lee"))["name"]
    batch, other_batch = await started(served), await started(served, user="lee")
    for user, files, caches, batches in (
        ("kim", ours, [cache], [batch]),
        ("lee", [theirs], [other_cache], [other_batch]),
    ):
        for path, field, expected in (
            ("files", "files", files),
            ("cachedContents", "cachedContents", caches),
            ("batches", "operations", batches),
        ):
            status, page = await served.get(f"/v1beta/{path}?pageSize=50", user=user)
            assert status == 200
            assert [member["name"] for member in page[field]] == expected
    await served.open("park")
    assert (await served.get("/v1beta/files", user="park"))[1] == {"files": []}


async def test_a_page_keeps_its_token_and_a_strange_page_shows_nothing(served: Stage) -> None:
    await cached(served)
    page = {"files": [{"name": "files/nobodys"}, "odd", {}], "nextPageToken": "more"}
    for body, expected in ((json.dumps(page).encode(), {"files": [], "nextPageToken": "more"}), (b"<html>", {})):
        served.gemini.when(Behaviour(recorded=Recorded(body)), path="cachedContents")
        assert (await served.get("/v1beta/cachedContents"))[1] == expected


def listed_by_google(served: Stage, user: str) -> list[str | None]:
    """Have Google's own client list a user's files, one a page."""
    reached = HttpOptions(base_url=served.url, headers={"x-jangbu-user": user})
    with genai.Client(api_key=served.key, http_options=reached) as client:
        return [file.name for file in client.files.list(config={"page_size": 1})]


async def test_no_page_is_empty_however_many_things_of_others_lie_between_and_behind(served: Stage) -> None:
    await served.open("park")
    for user in ("kim", "lee", "lee", "lee", "lee", "kim", "lee", "park"):
        await uploaded(served, user=user)
    for user, number in (("kim", 2), ("lee", 5), ("park", 1)):
        listed = await asyncio.to_thread(listed_by_google, served, user)
        assert len(set(listed)) == len(listed) == number
        token: str | None = ""
        sizes = []
        while token is not None:
            _, page = await served.get(f"/v1beta/files?pageSize=2&pageToken={token}", user=user)
            token = page.get("nextPageToken")
            sizes.append(len(page["files"]))
        assert sum(sizes) == number
        assert 0 not in sizes


async def test_who_has_nothing_more_is_shown_no_next_page(served: Stage) -> None:
    for user in ("kim", "lee", "lee", "lee"):
        await uploaded(served, user=user)
    await served.open("park")
    for user, files in (("kim", 1), ("park", 0)):
        before = len(served.gemini.requests())
        _, page = await served.get("/v1beta/files?pageSize=2", user=user)
        assert (len(page["files"]), page.get("nextPageToken")) == (files, None)
        assert len(came(served, since=before)) == 1


async def test_no_list_is_looked_through_without_end(served: Stage) -> None:
    await uploaded(served)
    for _ in range(PAGES_MOST + 2):
        await uploaded(served, user="lee")
    await uploaded(served)
    before = len(served.gemini.requests())
    _, page = await served.get("/v1beta/files?pageSize=1")
    assert (len(page["files"]), page["nextPageToken"]) == (1, str(PAGES_MOST))
    assert len(came(served, since=before)) == PAGES_MOST
    _, page = await served.get(f"/v1beta/files?pageSize=1&pageToken={PAGES_MOST}")
    assert (len(page["files"]), page.get("nextPageToken")) == (1, None)


async def test_an_error_behind_a_page_is_met_where_that_page_is_asked_for(served: Stage) -> None:
    for user in ("kim", "lee", "kim"):
        await cached(served, user=user)
    served.gemini.when("503", path="cachedContents")
    for token, expected in (("", (200, 1, "1")), ("1", (503, 0, None))):
        served.gemini.next(Behaviour())
        status, page = await served.get(f"/v1beta/cachedContents?pageSize=1&pageToken={token}")
        assert (status, len(page.get("cachedContents", ())), page.get("nextPageToken")) == expected


USES = [
    pytest.param(CALL, {"contents": [{"parts": [{"fileData": {"fileUri": "FILE_URI"}}]}]}, id="a file"),
    pytest.param(CALL, {"contents": [{"parts": [{"file_data": {"file_uri": "FILE"}}]}]}, id="a file by its name"),
    pytest.param(COUNT, {"contents": [{"parts": [{"fileData": {"fileUri": "FILE_URI"}}]}]}, id="counting a file"),
    pytest.param(CALL, {**asked(), "cachedContent": "CACHE"}, id="a cache"),
    pytest.param(COUNT, {"generateContentRequest": {**asked(), "cachedContent": "CACHE"}}, id="counting a cache"),
    pytest.param(BATCH, {"batch": {"inputConfig": {"fileName": "FILE"}}}, id="the input of a batch"),
    pytest.param(
        BATCH,
        {"batch": {"inputConfig": {"requests": {"requests": [{"request": {**asked(), "cachedContent": "CACHE"}}]}}}},
        id="a request of a batch",
    ),
    pytest.param(
        "/v1beta/cachedContents",
        {"model": f"models/{FLASH}", "contents": [{"parts": [{"fileData": {"fileUri": "FILE_URI"}}]}]},
        id="what is to be kept",
    ),
    pytest.param(
        INTERACTIONS, {"model": FLASH, "input": "go on", "previous_interaction_id": "INTERACTION"}, id="earlier"
    ),
    pytest.param(
        INTERACTIONS,
        {"model": FLASH, "input": [{"type": "image", "uri": "FILE_URI", "mime_type": "image/png"}]},
        id="an interaction's file",
    ),
    pytest.param(
        INTERACTIONS,
        {
            "model": FLASH,
            "input": [{"type": "function_result", "result": {"items": [{"type": "image", "uri": "FILE_URI"}]}}],
        },
        id="a file in what a function gives back",
    ),
    pytest.param(
        CHAT,
        {"model": FLASH, "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "FILE"}}]}]},
        id="OpenAI's file",
    ),
    pytest.param(
        CHAT,
        {"model": FLASH, "messages": [], "extra_body": {"google": {"cached_content": "CACHE"}}},
        id="OpenAI's cache",
    ),
]


@pytest.mark.parametrize(("path", "body"), USES)
async def test_what_is_kims_cannot_be_used_by_lee(served: Stage, path: str, body: dict[str, Any]) -> None:
    file = await uploaded(served, json.dumps({"key": "1", "request": asked()}).encode())
    cache, interaction = (await cached(served))["name"], await interacted(served)
    uri = f"https://generativelanguage.googleapis.com/v1beta/{file}"
    text = json.dumps(body).replace("FILE_URI", uri).replace("FILE", file).replace("CACHE", cache)
    text = text.replace("INTERACTION", interaction)
    before = len(served.gemini.requests())
    for sent in (text.encode(), text.replace("files/", "\\u0066iles\\u002f").encode()):
        status, answer, _ = await served.post(path, sent, user="lee")
        assert (status, answer["error"]["status"]) == (404, "NOT_FOUND")
    assert came(served, since=before) == []
    assert await served.used("lee") == (0, 0)
    status, answer, _ = await served.post(path, text.encode())
    assert status != 404, answer
    assert len(came(served, since=before)) > 0


@pytest.mark.parametrize(
    "uri",
    [
        "https://www.youtube.com/watch?v=9hE5-98ZeCg",
        "https://storage.googleapis.com/bucket/files/picture.png",
        "https://example.com/files/report.pdf",
    ],
)
async def test_what_lies_elsewhere_may_be_named_by_everybody(served: Stage, uri: str) -> None:
    body = {"contents": [{"parts": [{"fileData": {"fileUri": uri}}]}]}
    assert (await served.post(CALL, body, user="lee"))[0] == 200


async def test_who_deleted_a_file_has_it_no_more(served: Stage) -> None:
    file = await uploaded(served)
    assert (await served.get(f"/v1beta/{file}", method="DELETE"))[0] == 200
    before = len(served.gemini.requests())
    body = {"contents": [{"parts": [{"fileData": {"fileUri": file}}]}]}
    assert (await served.post(CALL, body))[0] == 404
    assert (await served.get(f"/v1beta/{file}"))[0] == 404
    assert came(served, since=before) == []


async def test_what_the_provider_lost_is_forgotten_when_it_is_deleted(served: Stage) -> None:
    cache = (await cached(served))["name"]
    served.gemini.next("404")
    assert (await served.get(f"/v1beta/{cache}", method="DELETE"))[0] == 404
    before = len(served.gemini.requests())
    assert (await served.get(f"/v1beta/{cache}", method="DELETE"))[0] == 404
    assert came(served, since=before) == []


async def test_a_file_comes_back_as_it_was(served: Stage) -> None:
    data = bytes(range(256)) * 2048
    file = await uploaded(served, data)
    status, content = await served.get(f"/v1beta/{file}:download?alt=media")
    assert (status, content) == (200, data)
    assert await served.used() == (0, 0)


async def test_a_cache_is_recorded_once_by_what_it_stores_and_costs_no_tokens(served: Stage) -> None:
    cache = await cached(served)
    [record] = await records(served)
    assert (record.tokens, record.surface, record.model, record.service) == (
        0,
        "cached_contents",
        FLASH,
        "text_generation",
    )
    stored = await asked_database(served, "SELECT raw FROM jangbu.usage")
    assert str(cache["usageMetadata"]["totalTokenCount"]) in str(stored[0]["raw"])
    for _ in range(2):
        assert (await served.get(f"/v1beta/{cache['name']}"))[0] == 200
    await cached(served)
    assert len(await records(served)) == 2
    assert await served.used() == (0, 0)


async def test_a_cache_is_its_makers_as_long_as_it_lives(served: Stage) -> None:
    cache = await cached(served, ttl="600s")
    assert await lifetime(served, cache["name"]) == timedelta(seconds=600)
    body = json.dumps({"ttl": "7200s"}).encode()
    headers = {"x-goog-api-key": served.key, "x-jangbu-user": "kim"}
    url = f"{served.url}/v1beta/{cache['name']}?updateMask=ttl"
    async with served.http.patch(url, data=body, headers=headers) as answer:
        assert answer.status == 200
    assert await lifetime(served, cache["name"]) == timedelta(seconds=7200)
    await asked_database(served, "UPDATE jangbu.resources SET expires_at = now() - interval '1 second'")
    assert (await served.post(CALL, {**asked(), "cachedContent": cache["name"]}))[0] == 404


async def lifetime(served: Stage, name: str) -> timedelta:
    [row] = await asked_database(
        served, "SELECT expires_at - clock_timestamp() AS left FROM jangbu.resources WHERE name = $1", name
    )
    left: timedelta = row["left"]
    return timedelta(seconds=round(left.total_seconds()))


async def test_a_cache_of_a_model_that_the_key_may_not_call_is_refused(served: Stage) -> None:
    _, key = await served.ledger.keys.create_for_app("narrow", models=("gemini-2.5-pro",))
    body = {"model": f"models/{FLASH}", **asked()}
    assert (await served.post("/v1beta/cachedContents", body, key=key))[0] == 403
    assert came(served) == []


async def test_an_answer_that_is_none_is_passed_on_and_nobodys(served: Stage) -> None:
    served.gemini.next("html")
    body = {"model": f"models/{FLASH}", **asked()}
    status, answer, _ = await served.post("/v1beta/cachedContents", body)
    assert (status, answer[:5]) == (200, b"<!DOC")
    assert await records(served) == []


async def test_who_is_blocked_may_look_at_what_is_theirs_and_let_it_go(served: Stage) -> None:
    file, cache, batch = await uploaded(served), (await cached(served))["name"], await started(served)
    await served.ledger.accounts.block("kim")
    before = len(served.gemini.requests())
    start = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    for path, body, headers in (
        (CALL, asked(), {}),
        (COUNT, asked(), {}),
        (BATCH, {"batch": {"inputConfig": {"requests": {"requests": [{"request": asked()}]}}}}, {}),
        ("/v1beta/cachedContents", {"model": f"models/{FLASH}", **asked()}, {}),
        ("/upload/v1beta/files", {"file": {}}, start),
        (INTERACTIONS, {"model": FLASH, "input": "hi"}, {}),
    ):
        status, answer, _ = await served.post(path, body, **headers)
        assert (status, answer["error"]["status"]) == (403, "PERMISSION_DENIED"), path
    assert (await served.get(f"/v1beta/{cache}?updateMask=ttl", method="PATCH"))[0] == 403
    assert came(served, since=before) == []
    assert (await served.get("/v1beta/files"))[1]["files"][0]["name"] == file
    assert (await served.get(f"/v1beta/{cache}"))[0] == 200
    assert (await served.get("/v1beta/models"))[0] == 200
    assert (await served.get(f"/v1beta/{file}", method="DELETE"))[0] == 200
    assert (await served.get(f"/v1beta/{batch}:cancel", method="POST"))[0] == 200


async def test_who_has_no_account_uploads_and_counts_nothing(served: Stage) -> None:
    start = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    assert (await served.post("/upload/v1beta/files", {}, user="nobody", **start))[0] == 404
    assert (await served.post(COUNT, asked(), user="nobody"))[0] == 404
    assert came(served) == []
