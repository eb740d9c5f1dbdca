"""What one request may ask for: as much as Google gives, so that no number fills the machine's memory."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from jangbu.testing import FakeGemini
from tests.testing.raw import GENERATE, HELLO, STREAM, ask

EMBED = "/v1beta/models/gemini-embedding-001"
VERTEX = "/v1/projects/p/locations/l/publishers/google/models"
NODE = {"type": "object", "properties": {name: {"$ref": "#/$defs/Node"} for name in map(str, range(60))}}


def configured(**config: Any) -> dict[str, Any]:
    return {**HELLO, "generationConfig": config}


def answering_as(schema: object) -> dict[str, Any]:
    return configured(responseMimeType="application/json", responseJsonSchema=schema)


def calling(schema: object) -> dict[str, Any]:
    return {**HELLO, "tools": [{"functionDeclarations": [{"name": "weather", "parameters": schema}]}]}


def listing(least: int) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "array", "minItems": least}, "minItems": least}


NUMBERS: dict[str, tuple[str, Callable[[int], dict[str, Any]], int]] = {
    "candidates": (GENERATE, lambda number: configured(candidateCount=number), 8),
    "candidates in snake case": (
        GENERATE,
        lambda number: {**HELLO, "generation_config": {"candidate_count": number}},
        8,
    ),
    "candidates of a stream": (STREAM, lambda number: configured(candidateCount=number), 8),
    "candidates of Vertex AI": (
        f"{VERTEX}/gemini-2.5-flash:generateContent",
        lambda n: configured(candidateCount=n),
        8,
    ),
    "candidates of a batch": (
        "/v1beta/models/gemini-2.5-flash:batchGenerateContent",
        lambda n: {"batch": {"inputConfig": {"requests": {"requests": [{"request": configured(candidateCount=n)}]}}}},
        8,
    ),
    "choices": (
        "/v1beta/openai/chat/completions",
        lambda n: {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}], "n": n},
        8,
    ),
    "images": ("/v1/models/imagen-4:predict", lambda number: {"parameters": {"sampleCount": number}}, 4),
    "images in OpenAI's words": (
        "/v1beta/openai/images/generations",
        lambda number: {"model": "imagen-4", "prompt": "a cat", "n": number},
        4,
    ),
    "dimensions": (f"{EMBED}:embedContent", lambda n: {"content": "hi", "outputDimensionality": n}, 3072),
    "dimensions of Vertex AI": (
        f"{VERTEX}/gemini-embedding-001:predict",
        lambda n: {"instances": [{"content": "hi"}], "parameters": {"outputDimensionality": n}},
        3072,
    ),
    "dimensions in OpenAI's words": (
        "/v1beta/openai/embeddings",
        lambda n: {"model": "gemini-embedding-001", "input": "hi", "dimensions": n},
        3072,
    ),
    "texts": (f"{EMBED}:batchEmbedContents", lambda number: {"requests": [{"content": "hi"}] * number}, 100),
    "texts of Vertex AI": (
        f"{VERTEX}/gemini-embedding-001:predict",
        lambda number: {"instances": [{"content": "hi"}] * number},
        250,
    ),
    "texts in OpenAI's words": (
        "/v1beta/openai/embeddings",
        lambda number: {"model": "gemini-embedding-001", "input": ["hi"] * number},
        100,
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_has_a_most(fake_gemini: FakeGemini, name: str) -> None:
    path, body, most = NUMBERS[name]
    assert ask(fake_gemini.url, path, body(most)).status == 200
    refused = ask(fake_gemini.url, path, body(most + 1))
    error = json.loads(refused.body)
    error = error[0] if isinstance(error, list) else error
    assert (refused.status, error["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert str(most) in error["error"]["message"] or str(most + 1) in error["error"]["message"]


@pytest.mark.parametrize("number", [-1, 9, 10**12, 1e300, "many", [1]])
def test_a_count_that_is_none_is_refused(fake_gemini: FakeGemini, number: object) -> None:
    assert ask(fake_gemini.url, GENERATE, configured(candidateCount=number)).status == 400
    assert [answer.status for answer in fake_gemini.answers()] == [400]


@pytest.mark.parametrize("body", [answering_as, calling])
@pytest.mark.parametrize(
    "schema",
    [
        listing(1_000_000),
        {"type": "array", "minItems": 10**12},
        {"type": "array", "minItems": 5_000, "items": {"const": "a" * 5_000}},
        {"$ref": "#/$defs/Node"},
        {"properties": {"none": {"type": "array", "minItems": -(10**12)}, "tree": {"$ref": "#/$defs/Node"}}},
    ],
    ids=["lists of lists", "a list", "long words", "a tree", "a tree behind nothing"],
)
def test_a_schema_that_no_answer_is_long_enough_for_is_refused(
    fake_gemini: FakeGemini, body: Any, schema: dict[str, Any]
) -> None:
    wrapped = {"type": "object", "properties": {"value": schema}, "$defs": {"Node": NODE}}
    refused = ask(fake_gemini.url, GENERATE, body(wrapped))
    assert (refused.status, "too many states" in refused.json["error"]["message"]) == (400, True)


def test_a_schema_within_the_limits_is_answered(fake_gemini: FakeGemini) -> None:
    answer = ask(fake_gemini.url, GENERATE, answering_as(listing(100)))
    [part] = answer.json["candidates"][0]["content"]["parts"]
    assert json.loads(part["text"]) == [["sample"] * 100] * 100
