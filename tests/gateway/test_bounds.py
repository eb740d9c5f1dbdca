"""However a request is written, nobody spends more than they have."""

import asyncio
from typing import Any

import pytest

from tests.gateway.book import came
from tests.gateway.stage import FLASH, Stage, asked
from tests.gateway.test_resources import uploaded

CHAT = "/v1beta/openai/chat/completions"
GENERATE = f"/v1beta/models/{FLASH}:generateContent"
HELLO = {"model": FLASH, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1beta/interactions", {"model": FLASH, "input": "hi", "max_tokens": 1}),
        (CHAT, {**HELLO, "maxOutputTokens": 1}),
        (CHAT, {**HELLO, "generationConfig": {"maxOutputTokens": 1}}),
        (CHAT, {**HELLO, "max_completion_tokens": 1, "max_tokens": 60_000}),
        (GENERATE, {**asked(maxOutputTokens=1), "generation_config": {"max_output_tokens": 60_000}}),
        (GENERATE, asked(maxOutputTokens=10, candidateCount=1, candidate_count=8)),
    ],
)
async def test_no_spelling_of_a_limit_takes_a_balance_below_zero(
    served: Stage, path: str, body: dict[str, Any]
) -> None:
    await served.open("lee", tokens=400)
    await asyncio.gather(*(served.post(path, body, user="lee") for _ in range(8)))
    assert (await served.used("lee"))[0] <= 400


@pytest.mark.parametrize(
    "part",
    [
        pytest.param({"text": "hi"}, id="a little"),
        pytest.param({"text": "word " * 200_000}, id="much"),
        pytest.param({"fileData": {"fileUri": "https://example.com/film.mp4"}}, id="what nobody knows the size of"),
    ],
)
async def test_for_who_has_nothing_left_nothing_is_asked_of_google(served: Stage, part: dict[str, Any]) -> None:
    await served.open("lee", tokens=0)
    body = {"contents": [{"role": "user", "parts": [part]}]}
    assert (await served.post(GENERATE, body, user="lee"))[0] == 402
    assert came(served) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1beta/models/imagen-4.0-generate-001:predict", {"instances": [{"prompt": "a cat"}]}),
        ("/v1beta/models/veo-3.0-generate-001:predictLongRunning", {"instances": [{"prompt": "a cat"}]}),
        ("/v1beta/openai/images/generations", {"model": "imagen-4.0-generate-001", "prompt": "a cat"}),
    ],
)
async def test_who_has_nothing_left_gets_no_pictures(served: Stage, path: str, body: dict[str, Any]) -> None:
    await served.open("lee", tokens=0)
    assert (await served.post(path, body, user="lee"))[0] == 402
    assert came(served) == []


async def test_who_has_nothing_left_has_nothing_kept(served: Stage) -> None:
    await served.open("lee", tokens=0)
    body = {"model": f"models/{FLASH}", "contents": asked()["contents"], "ttl": "31536000s"}
    status, answer, _ = await served.post("/v1beta/cachedContents", body, user="lee")
    assert (status, answer["error"]["details"][0]["reason"]) == (402, "INSUFFICIENT_BALANCE")
    assert came(served) == []


async def test_what_functions_are_called_with_may_have_fields_that_look_alike(served: Stage) -> None:
    call = {"name": "note", "args": {"user_id": 1, "userId": 2}}
    contents = [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"functionCall": call}]}]
    assert (await served.post(GENERATE, {**asked(), "contents": contents}))[0] == 200


async def test_each_request_of_a_batch_is_held_for_with_the_file_that_it_names(served: Stage) -> None:
    await served.open("lee", tokens=3_000)
    file = await uploaded(served, b"x" * 4_000, user="lee")
    part = {"fileData": {"fileUri": file, "mimeType": "text/plain"}}
    request = {"contents": [{"parts": [part]}], "generationConfig": {"maxOutputTokens": 1}}
    body = {"batch": {"inputConfig": {"requests": {"requests": [{"request": request}] * 50}}}}
    assert (await served.post(f"/v1beta/models/{FLASH}:batchGenerateContent", body, user="lee"))[0] == 402


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (GENERATE, {**asked(), "model": "models/gemini-2.5-pro"}),
        ("/v1beta/interactions", {"model": FLASH, "agent": "deep-research-pro-preview-12-2025", "input": "hi"}),
        (
            f"/v1beta/models/{FLASH}:batchGenerateContent",
            {"batch": {"inputConfig": {"requests": {"requests": [{"request": {**asked(), "model": "models/x"}}]}}}},
        ),
    ],
)
async def test_a_request_names_one_model(served: Stage, path: str, body: dict[str, Any]) -> None:
    assert (await served.post(path, body))[0] == 400
    assert came(served) == []
