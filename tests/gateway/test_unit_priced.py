"""Models that are paid for by the image, second or song: no tokens are deducted, so they are closed at first."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from jangbu.testing import FakeGemini
from tests.gateway.book import records
from tests.gateway.google_accounts import TokenEndpoint
from tests.gateway.stage import Stage, inline, stage
from tests.gateway.vertex import PLACE, vertex_stage

IMAGEN = "/v1beta/models/imagen-4.0-generate-001:predict"
VEO = "/v1beta/models/veo-3.0-generate-001:predictLongRunning"
IMAGES = "/v1beta/openai/images/generations"
PROMPT = {"instances": [{"prompt": "a cat"}]}
CALLS: list[tuple[str, dict[str, Any]]] = [
    (IMAGEN, PROMPT),
    (VEO, PROMPT),
    (IMAGES, {"model": "imagen-4.0-generate-001", "prompt": "a cat"}),
    (IMAGES, {"prompt": "a cat"}),
]
SONG = {"contents": [{"parts": [{"text": "a song"}]}]}
SONGS: list[tuple[str, dict[str, Any]]] = [
    ("/v1beta/models/lyria-3-pro-preview:generateContent", SONG),
    ("/v1beta/models/lyria-3-pro-preview:streamGenerateContent?alt=sse", SONG),
    ("/v1beta/models/lyria-3-pro-preview:batchGenerateContent", inline(SONG)),
    ("/v1beta/interactions", {"model": "lyria-3.5", "input": "a song"}),
    ("/v1beta/interactions", {"model": "models/lyria-3.5", "input": "a song"}),
    ("/v1beta/openai/chat/completions", {"model": "lyria-3.5", "messages": [{"role": "user", "content": "a song"}]}),
]


@pytest.fixture
async def closed(database_url: str, gemini: FakeGemini) -> AsyncIterator[Stage]:
    """Give a gateway whose operator opened nothing."""
    async with stage(database_url, gemini, unit_priced_models=None) as served:
        await served.open("kim")
        yield served


@pytest.mark.parametrize(("path", "body"), CALLS + SONGS)
async def test_who_has_tokens_makes_nothing_for_none_of_them(closed: Stage, path: str, body: dict[str, Any]) -> None:
    status, answer, _ = await closed.post(path, body)
    assert (status, answer["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert "JANGBU_UNIT_PRICED_MODELS" in answer["error"]["message"]
    assert closed.gemini.requests() == []
    assert await closed.used() == (0, 0)


@pytest.mark.parametrize(("path", "body"), CALLS[:3])
async def test_the_operator_may_open_them(served: Stage, path: str, body: dict[str, Any]) -> None:
    assert (await served.post(path, body))[0] == 200


async def test_embeddings_that_are_predicted_are_no_such_thing(
    database_url: str, google: TokenEndpoint, anyone: FakeGemini, tmp_path_factory: pytest.TempPathFactory
) -> None:
    credentials = google.key_file(tmp_path_factory.mktemp("account"))
    settings = {"vertex_credentials": credentials, "unit_priced_models": None}
    async with vertex_stage(database_url, anyone, **settings) as served:
        models = f"/v1/{PLACE}/publishers/google/models"
        for model in ("gemini-embedding-001", "text-embedding-005"):
            assert (await served.post(f"{models}/{model}:predict", {"instances": [{"content": "hello"}]}))[0] == 200
        assert (await served.used())[0] == sum(record.tokens for record in await records(served)) > 0
        assert (await served.post(f"{models}/imagen-4.0-generate-001:predict", PROMPT))[0] == 403
        for instance in ({"text": "hello"}, {"image": {"bytesBase64Encoded": "AAAA"}}):
            assert (await served.post(f"{models}/multimodalembedding:predict", {"instances": [instance]}))[0] == 403
