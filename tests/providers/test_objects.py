"""Answers as client libraries hand them over."""

import json
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
from google.genai import types

from jangbu.domain.usage import Platform, Source, Surface, Tier
from jangbu.errors import InvalidAnswer
from jangbu.providers import gemini

ANSWER: dict[str, Any] = {
    "candidates": [{"content": {"parts": [{"text": "a"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {
        "promptTokenCount": 30,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 7,
        "totalTokenCount": 42,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 10}, {"modality": "IMAGE", "tokenCount": 20}],
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r1",
}
WHOLE = gemini.parse(json.dumps(ANSWER).encode())


def genai(answer: dict[str, Any]) -> types.GenerateContentResponse:
    return types.GenerateContentResponse.model_validate(answer)


def test_a_dict_is_read_as_its_bytes_are() -> None:
    assert gemini.parse_object(ANSWER) == WHOLE
    assert gemini.parse_object(json.dumps(ANSWER)) == WHOLE
    assert gemini.parse_object(bytearray(json.dumps(ANSWER).encode())) == WHOLE


def test_a_response_of_google_genai_is_read_as_its_bytes_are() -> None:
    usage = gemini.parse_object(genai(ANSWER))
    assert (usage.counts, usage.by_modality, usage.model) == (WHOLE.counts, WHOLE.by_modality, WHOLE.model)
    assert usage.response_id == "r1"
    assert usage.raw[0]["promptTokenCount"] == 30
    json.dumps(usage.raw)


def test_an_enum_that_the_library_does_not_know_warns_nobody() -> None:
    usage = {**ANSWER["usageMetadata"], "trafficType": "ON_DEMAND_FLEX", "promptTokensDetails": [{"modality": "SMELL"}]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        response = genai({**ANSWER, "usageMetadata": usage})
    assert gemini.parse_object(response).tier is Tier.FLEX


def test_the_body_as_sent_goes_before_what_the_library_made_of_it() -> None:
    body = {**ANSWER, "usageMetadata": {**ANSWER["usageMetadata"], "serviceTier": "priority"}}
    response = genai(ANSWER)
    response.sdk_http_response = types.HttpResponse(headers={"Content-Encoding": "gzip"}, body=json.dumps(body))
    assert gemini.parse_object(response).tier is Tier.PRIORITY


def test_the_tier_in_the_headers_of_a_response_is_read() -> None:
    response = genai(ANSWER)
    response.sdk_http_response = types.HttpResponse(headers={"X-Gemini-Service-Tier": "flex"})
    assert gemini.parse_object(response).tier is Tier.FLEX


def test_a_snake_cased_dict_is_understood() -> None:
    snake = genai(ANSWER).model_dump()
    assert gemini.parse_object(snake).counts == WHOLE.counts
    assert gemini.parse_object(snake).by_modality == WHOLE.by_modality


def test_a_field_of_vertex_that_a_library_writes_as_null_makes_no_answer_one_of_vertex() -> None:
    assert gemini.parse_object(genai(ANSWER).model_dump()).platform is Platform.GEMINI_API
    on_vertex = {**ANSWER, "usageMetadata": {**ANSWER["usageMetadata"], "trafficType": "ON_DEMAND"}}
    assert gemini.parse_object(genai(on_vertex).model_dump()).platform is Platform.VERTEX


@pytest.mark.parametrize("more", [{}, {"exclude_none": True, "indent": 1}, {"by_alias": True}])
def test_the_text_that_google_genai_writes_is_read_as_its_object_is(more: dict[str, Any]) -> None:
    response = genai({**ANSWER, "createTime": "2027-01-31T09:00:00Z"})
    text, read = response.model_dump_json(**more), gemini.parse_object(response)
    assert read.counts == WHOLE.counts
    for usage in (gemini.parse_object(text), gemini.parse(text.encode())):
        assert (usage.counts, usage.by_modality, usage.model, usage.response_id, usage.anomalies) == (
            read.counts,
            read.by_modality,
            read.model,
            read.response_id,
            read.anomalies,
        )
        assert usage.platform is Platform.GEMINI_API
    chunks = gemini.parse_object(f"[{text},{text}]", complete=True)
    assert (chunks.counts, chunks.surface) == (WHOLE.counts, Surface.STREAM_GENERATE_CONTENT)


def test_a_text_without_usage_stays_without_whatever_it_speaks_of() -> None:
    for text in ('{"candidates": [{"content": {"parts": [{"text": "\\"usage_metadata\\""}]}}]}', '{"candidates": []}'):
        assert gemini.parse(text.encode()).source is Source.NONE
    with pytest.raises(InvalidAnswer):
        gemini.parse(b'{"usage_metadata": ')


def test_an_older_library_writes_itself_with_to_dict_and_numbers_for_enums() -> None:
    details = [{"modality": 1, "token_count": 10}, {"modality": 2, "token_count": 20}]
    old = {
        "candidates": [{"content": {"parts": [{"text": "a"}]}, "finish_reason": 1}],
        "usage_metadata": {"prompt_token_count": 30, "total_token_count": 30, "prompt_tokens_details": details},
    }
    usage = gemini.parse_object(SimpleNamespace(to_dict=lambda: old))
    assert usage.total_tokens == 30
    assert usage.by_modality.prompt.image == 20


def test_chunks_are_one_stream() -> None:
    first = {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": {"promptTokenCount": 3}}
    usage = gemini.parse_object([genai(first), genai(ANSWER)])
    assert (usage.surface, usage.source, usage.total_tokens) == (Surface.STREAM_GENERATE_CONTENT, Source.REPORTED, 42)
    assert gemini.parse_object([genai(first)]).source is Source.PARTIAL


def test_live_messages_of_google_genai_are_summed() -> None:
    message = {
        "serverContent": {"turnComplete": True},
        "usageMetadata": {"promptTokenCount": 10, "responseTokenCount": 5, "totalTokenCount": 15},
    }
    live = types.LiveServerMessage.model_validate(message)
    usage = gemini.parse_object([live, live])
    assert (usage.surface, usage.total_tokens, usage.counts.candidates) == (Surface.LIVE, 30, 10)


def test_an_embedding_of_google_genai_on_vertex_holds_its_statistics() -> None:
    statistics = types.ContentEmbeddingStatistics(token_count=4, truncated=False)
    response = types.EmbedContentResponse(embeddings=[types.ContentEmbedding(values=[0.1], statistics=statistics)])
    assert gemini.parse_object(response, model="gemini-embedding-001", platform=Platform.VERTEX).total_tokens == 4


def test_images_of_google_genai_are_counted() -> None:
    image = types.GeneratedImage(image=types.Image(image_bytes=b"a", mime_type="image/png"))
    filtered = types.GeneratedImage(rai_filtered_reason="filtered")
    usage = gemini.parse_object(types.GenerateImagesResponse(generated_images=[image, filtered]))
    assert (usage.surface, usage.units.images, usage.total_tokens) == (Surface.PREDICT, 1, 0)


def test_numbers_beyond_all_bounds_are_kept_in_words() -> None:
    usage = gemini.parse_object({"usageMetadata": {"promptTokenCount": 10**5000, "serviceTier": 10**5000}})
    assert (usage.source, usage.tier) == (Source.NONE, None)
    json.dumps(usage.raw)


@pytest.mark.parametrize(
    "thing",
    [
        5,
        None,
        True,
        object(),
        2.5,
        {"promptTokenCount": 5},
        {"total_tokens": 5},
        [],
        [5],
        [{"a": 1}],
        {"prompt_tokens": 1},
    ],
)
def test_numbers_and_bare_counts_are_no_answer(thing: object) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        gemini.parse_object(thing)
    assert "\n" not in str(refusal.value)
