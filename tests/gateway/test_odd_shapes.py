"""Requests whose objects and lists are something else: they are refused or passed on, and never break the gateway."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from jangbu.testing import Behaviour, Recorded
from tests.gateway.book import holds
from tests.gateway.stage import FLASH, Stage, inline

WORDS = "word " * 400
"""More than who has three tokens can pay for, so that it is counted."""
PICTURE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "videoMetadata": {"fps": 1}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CONTENT = {"role": "user", "parts": [{"text": WORDS}, PICTURE]}
GENERATES: dict[str, Any] = {
    "contents": [CONTENT],
    "systemInstruction": {"parts": [{"text": "hi"}]},
    "generationConfig": {"maxOutputTokens": 5, "responseModalities": ["TEXT"]},
    "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
}
EMBEDS = {"content": {"parts": [{"text": WORDS}]}}
MODELS = "/v1beta/models"
EMBEDDING = f"{MODELS}/gemini-embedding-001"
CALLS: dict[str, dict[str, Any]] = {
    f"{MODELS}/{FLASH}:generateContent": GENERATES,
    f"{MODELS}/{FLASH}:streamGenerateContent": GENERATES,
    f"{MODELS}/{FLASH}:countTokens": {"generateContentRequest": GENERATES},
    f"{MODELS}/{FLASH}:batchGenerateContent": inline(GENERATES),
    f"{EMBEDDING}:embedContent": EMBEDS,
    f"{EMBEDDING}:batchEmbedContents": {"requests": [EMBEDS]},
    f"{EMBEDDING}:asyncBatchEmbedContent": inline(EMBEDS),
    f"{EMBEDDING}:predict": {"instances": [{"content": WORDS}], "parameters": {"autoTruncate": True}},
    f"{MODELS}/veo-3.0-generate-001:predictLongRunning": {"instances": [{"prompt": WORDS}], "parameters": {}},
    "/v1beta/cachedContents": {"model": f"models/{FLASH}", **GENERATES, "ttl": "60s"},
    "/v1beta/interactions": {
        "model": FLASH,
        "input": [{"type": "user_input", "content": [{"type": "text", "text": WORDS}, {"type": "image", "data": "A"}]}],
        "generation_config": {"max_output_tokens": 5},
        "tools": [{"type": "google_search"}],
        "environment": {"type": "remote", "sources": [{"type": "inline", "content": "a"}]},
    },
    "/v1beta/openai/chat/completions": {
        "model": FLASH,
        "messages": [{"role": "user", "content": [{"type": "text", "text": WORDS}, IMAGE, SOUND]}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "extra_body": {"google": {"tools": [{"googleSearch": {}}]}},
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "/v1beta/openai/embeddings": {"model": "gemini-embedding-001", "input": [WORDS]},
    "/v1beta/openai/images/generations": {"model": "imagen-4.0-generate-001", "prompt": WORDS},
}
ODD: tuple[Any, ...] = (None, True, 5, "x", [], ["x"], [[1]], {"x": 1})
AT_ONCE = 32


def bent(body: Any) -> Iterator[Any]:
    """Give a body with each value of it, at any depth, in turn replaced by each odd one."""
    for name, member in body.items() if isinstance(body, dict) else enumerate(body):
        for other in (*ODD, *(bent(member) if isinstance(member, dict | list) else ())):
            copy: Any = {**body} if isinstance(body, dict) else [*body]
            copy[name] = other
            yield copy


@pytest.mark.parametrize("user", ["who has enough", "who has next to nothing"])
@pytest.mark.parametrize("path", CALLS)
async def test_no_shape_of_a_request_breaks_the_gateway(served: Stage, path: str, user: str) -> None:
    await served.open("lee", tokens=3)
    served.gemini.when("400")
    served.gemini.when(Behaviour(recorded=Recorded(b'{"totalTokens": 500}')), path="countTokens")
    payer, bodies = "kim" if user == "who has enough" else "lee", list(bent(CALLS[path]))
    for first in range(0, len(bodies), AT_ONCE):
        some = bodies[first : first + AT_ONCE]
        for body, (status, answer, _) in zip(
            some, await asyncio.gather(*(served.post(path, body, user=payer) for body in some)), strict=True
        ):
            assert status in (200, 400, 402, 404), (body, answer)
    assert set(await holds(served)) <= {"released"}
    assert (await served.used(), await served.used("lee")) == ((0, 0), (0, 0))


@pytest.mark.parametrize("user", ["kim", "lee"])
@pytest.mark.parametrize("odd", ["x", 5, True, ["x"], [5]])
async def test_what_is_no_content_is_refused_before_it_is_embedded(served: Stage, odd: Any, user: str) -> None:
    await served.open("lee", tokens=3)
    for verb, body in (
        ("batchEmbedContents", {"requests": [odd]}),
        ("batchEmbedContents", {"requests": [{"content": odd}]}),
        ("embedContent", {"content": odd}),
    ):
        status, answer, _ = await served.post(f"{EMBEDDING}:{verb}", body, user=user)
        assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
        assert '{"parts"' in answer["error"]["message"]
    assert served.gemini.requests() == []
