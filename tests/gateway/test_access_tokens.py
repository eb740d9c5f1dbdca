"""The tokens that open Vertex AI: fetched once, in time, and missed without harm."""

import asyncio
from pathlib import Path

import pytest

from jangbu.testing import FakeGemini
from tests.gateway.google_accounts import TokenEndpoint
from tests.gateway.stage import FLASH, Stage, asked
from tests.gateway.vertex import CALL, records, sent, vertex_stage


async def test_one_token_is_fetched_for_all_calls(vertex: Stage, google: TokenEndpoint) -> None:
    google.delay = 0.1
    answers = await asyncio.gather(*(vertex.post(CALL, asked()) for _ in range(8)))
    assert {status for status, _, _ in answers} == {200}
    assert len(google.asked) == 1
    assert {bearer for _, bearer, _ in sent(vertex)} == {"Bearer token-1"}


async def test_a_token_that_is_about_to_expire_serves_while_the_next_one_is_fetched(
    vertex: Stage, google: TokenEndpoint
) -> None:
    google.seconds = 60
    await vertex.post(CALL, asked())
    google.delay, google.seconds = 0.2, 3600
    await vertex.post(CALL, asked())
    await asyncio.to_thread(google.wait_for, 2)
    await wait_for_token(vertex, "Bearer token-2")
    assert [bearer for _, bearer, _ in sent(vertex)][:2] == ["Bearer token-1", "Bearer token-1"]
    assert len(google.asked) == 2


async def wait_for_token(vertex: Stage, bearer: str) -> None:
    """Call until the token is in force."""
    async with asyncio.timeout(60):
        while sent(vertex)[-1][1] != bearer:
            await vertex.post(CALL, asked())
            await asyncio.sleep(0.02)


async def test_a_present_token_serves_on_when_the_next_one_is_not_to_be_had(
    vertex: Stage, google: TokenEndpoint
) -> None:
    google.seconds = 60
    await vertex.post(CALL, asked())
    google.refusal = (400, '{"error": "invalid_grant"}')
    for _ in range(2):
        assert (await vertex.post(CALL, asked()))[0] == 200
        await asyncio.to_thread(google.wait_for, 2)


async def test_a_token_that_vertex_refuses_is_replaced_and_the_call_made_again(
    vertex: Stage, google: TokenEndpoint
) -> None:
    await vertex.post(CALL, asked())
    vertex.gemini.next("401")
    status, _, _ = await vertex.post(CALL, asked())
    assert (status, len(google.asked)) == (200, 2)
    assert [bearer for _, bearer, _ in sent(vertex)] == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    assert len(await records(vertex)) == 2


@pytest.mark.parametrize(
    "refusal",
    [
        (400, '{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}'),
        (200, '{"id_token": "a-secret-token"}'),
        (200, '"no object"'),
    ],
)
async def test_a_call_without_a_token_costs_nothing_and_says_why(
    vertex: Stage, google: TokenEndpoint, refusal: tuple[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    google.refusal = refusal
    status, answer, _ = await vertex.post(CALL, asked())
    assert (status, answer["error"]["details"][0]["reason"]) == (502, "UPSTREAM_UNREACHABLE")
    assert "no access token for Vertex AI" in answer["error"]["message"]
    assert "no access token for Vertex AI" in caplog.text
    assert "a-secret-token" not in caplog.text + str(answer)
    assert await vertex.used() == (0, 0)
    google.refusal = None
    assert (await vertex.post(CALL, asked()))[0] == 200


async def test_application_default_credentials_open_vertex_where_no_file_is_named(
    database_url: str, google: TokenEndpoint, anyone: FakeGemini, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.key_file(tmp_path)))
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "who-pays")
    async with vertex_stage(database_url, anyone) as served:
        status, _, _ = await served.post(CALL, asked(), **{"x-goog-user-project": "somebody-elses"})
    assert status == 200
    [request] = anyone.requests()
    assert request.headers["authorization"] == "Bearer token-1"
    assert request.headers["x-goog-user-project"] == "who-pays"


async def test_the_project_whose_quota_is_used_is_no_secret_in_the_names_of_what_is_kept_for_it(
    database_url: str, google: TokenEndpoint, anyone: FakeGemini, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = "shop-project-in-production"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.key_file(tmp_path)))
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", project)
    place = f"projects/{project}/locations/us-central1"
    body = {"model": f"{place}/publishers/google/models/{FLASH}", "contents": asked("word " * 800)["contents"]}
    async with vertex_stage(database_url, anyone, vertex_project=project) as served:
        status, answer, _ = await served.post(f"/v1/{place}/cachedContents", {**body, "ttl": "600s"})
    assert status == 200
    assert answer["name"].startswith(f"{place}/cachedContents/")
