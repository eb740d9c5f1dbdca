"""What a request can cost at most, before it is made."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.flow import Bounds
from jangbu.providers.gemini.request import bounds, verb_of, with_output_limit

MODEL = "gemini-2.5-flash"


def asking(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(parts)}], **more}


def inline(mime_type: str, size: int) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": base64.b64encode(b"x" * size).decode()}}


def generate(body: dict[str, Any], model: str | None = MODEL) -> Bounds:
    return bounds("generateContent", body, model)


def input_most(body: dict[str, Any], model: str | None = "unheard-of") -> int:
    most = generate(body, model).input_most
    assert most is not None
    return most


@pytest.mark.parametrize("name", ["continuationToken", "continuation_token"])
def test_a_token_to_go_on_with_stands_at_the_top_and_a_functions_parameter_may_be_called_so(name: str) -> None:
    schema = {"type": "object", "properties": {name: {"type": "string"}}}
    tools = [{"functionDeclarations": [{"name": "list", "parameters": schema}]}]
    answered = {"functionResponse": {"name": "list", "response": {name: "next"}}}
    assert input_most(asking({"text": "hi"}, answered, tools=tools)) < 1_000
    assert generate({**asking({"text": "hi"}), name: "next"}).input_most is None


@pytest.mark.parametrize(
    "name", ["file_name", "fileData", "inlineData", "type", "uri", "mediaResolution", "cachedContent"]
)
def test_a_functions_parameter_may_be_called_as_media_are(name: str) -> None:
    schema = {"type": "object", "properties": {name: {"type": "string", "description": "x" * 500}}}
    tools = [{"functionDeclarations": [{"name": "read", "parameters": schema}]}]
    config = {"responseSchema": {"type": "ARRAY", "items": schema}}
    assert 1_000 <= input_most(asking({"text": "hi"}, tools=tools, generationConfig=config)) < 2_000
    named = asking({"text": "hi"}, {"fileData": {"fileUri": "files/a"}}, tools=tools)
    assert generate(named).input_most is None, "a file beside it is one"


@given(st.lists(st.text(max_size=200), min_size=1, max_size=5), st.text(max_size=50), st.text(min_size=1, max_size=50))
def test_input_is_at_least_the_bytes_of_all_text(texts: list[str], system: str, description: str) -> None:
    body = asking(
        *({"text": text} for text in texts),
        systemInstruction={"parts": [{"text": system}]},
        tools=[{"functionDeclarations": [{"name": "f", "description": description}]}],
        generationConfig={"responseSchema": {"type": "OBJECT", "properties": {description: {"type": "STRING"}}}},
    )
    spoken = [*texts, system, description, description, "f"]
    assert input_most(body) >= sum(len(text.encode("utf-8", "surrogatepass")) for text in spoken)


def test_each_turn_adds_a_little() -> None:
    one = {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
    two = {"contents": one["contents"] * 2}
    assert 10 < input_most(two) - input_most(one) < 100


def test_images_are_bounded_by_the_piece_and_not_by_their_bytes() -> None:
    small, large = input_most(asking(inline("image/png", 10))), input_most(asking(inline("image/png", 2_000_000)))
    assert small == large
    assert 2_240 <= small < 6_000


@pytest.mark.parametrize(
    "body",
    [
        asking({"fileData": {"fileUri": "https://example.com/a"}}),
        asking({"file_data": {"file_uri": "x"}}),
        asking({"text": "a"}, cachedContent="cachedContents/x"),
        asking(inline("application/zip", 10)),
        asking(inline("video/mp4", 10)),
        {"input": [{"type": "audio", "data": "AAAA", "mime_type": "audio/flac"}]},
        {"input": "a", "previous_interaction_id": "v1_x"},
        {"input": [{"type": "image", "uri": "https://example.com/a.png"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}]},
    ],
)
def test_what_is_kept_elsewhere_has_no_local_bound(body: dict[str, Any]) -> None:
    assert generate(body).input_most is None


def test_no_input_is_larger_than_the_model_takes() -> None:
    assert generate(asking({"text": "a" * 3_000_000})).input_most == 1_048_576


@pytest.mark.parametrize(
    ("config", "model", "output_most", "chosen", "candidates"),
    [
        ({}, MODEL, 65_536, False, 1),
        ({}, "models/gemini-2.0-flash-001", 8_192, False, 1),
        ({}, "unheard-of", 65_536, False, 1),
        ({}, None, 65_536, False, 1),
        ({"maxOutputTokens": 100}, MODEL, 100, True, 1),
        ({"max_output_tokens": 100, "candidate_count": 3}, MODEL, 300, True, 3),
        ({"maxOutputTokens": 100_000}, MODEL, 65_536, True, 1),
        ({"maxOutputTokens": 100_000}, "unheard-of", 100_000, True, 1),
        ({"candidateCount": 2}, MODEL, 131_072, False, 2),
        ({"maxOutputTokens": "many"}, MODEL, 65_536, False, 1),
        ({"maxOutputTokens": 0}, MODEL, 65_536, False, 1),
        ({"maxOutputTokens": -5}, MODEL, 65_536, False, 1),
    ],
)
def test_output_is_what_was_chosen_or_what_the_model_may_write(
    config: dict[str, Any], model: str | None, output_most: int, chosen: bool, candidates: int
) -> None:
    bound = generate(asking({"text": "a"}, generationConfig=config), model)
    assert (bound.output_most, bound.output_chosen, bound.candidates) == (output_most, chosen, candidates)


@pytest.mark.parametrize(
    ("path", "verb"),
    [
        ("/v1beta/models/gemini-2.5-flash:generateContent", "generateContent"),
        ("/v1/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "streamGenerateContent"),
        ("//v1/interactions", "interactions"),
        ("/v1beta/openai/chat/completions", "chat/completions"),
        ("/v1beta/models/x:batchEmbedContents", "batchEmbedContents"),
        ("embedContent", "embedContent"),
        ("/v1beta/files", None),
    ],
)
def test_the_verb_of_a_path(path: str, verb: str | None) -> None:
    assert verb_of(path) == verb


def test_embeddings_write_nothing() -> None:
    body = {"requests": [{"content": {"parts": [{"text": "한국어"}]}}]}
    bound = bounds("batchEmbedContents", body, "gemini-embedding-2")
    assert bound.output_most == 0
    assert bound.input_most is not None
    assert bound.input_most >= 9


@pytest.mark.parametrize("path", ["images/generations", "predictLongRunning", "/v1/models/imagen-4:predict"])
def test_what_is_paid_for_by_the_piece_holds_one_token(path: str) -> None:
    bound = bounds(path, {"instances": [{"prompt": "a"}]}, "imagen-4")
    assert (bound.input_most, bound.output_most) == (1, 0)


@pytest.mark.parametrize(
    ("verb", "more", "output_most"),
    [
        ("interactions", {"max_tokens": 1}, 65_536),
        ("chat/completions", {"maxOutputTokens": 1}, 65_536),
        ("chat/completions", {"generationConfig": {"maxOutputTokens": 1}}, 65_536),
        ("chat/completions", {"max_completion_tokens": 1, "max_tokens": 60_000}, 60_000),
        ("chat/completions", {"max_tokens": 10, "n": 8, "generationConfig": {"candidateCount": 1}}, 80),
        ("generateContent", {"generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 9}}, 9),
        ("generateContent", {"generationConfig": {"candidateCount": 1, "candidate_count": 8}}, 8 * 65_536),
    ],
)
def test_each_surface_reads_its_own_names_and_the_largest_counts(
    verb: str, more: dict[str, Any], output_most: int
) -> None:
    assert bounds(verb, more, MODEL).output_most == output_most
    limited = with_output_limit(verb, more, 7)
    assert bounds(verb, limited, MODEL).output_most == 7 * bounds(verb, more, MODEL).candidates


def test_an_interaction_is_bounded_by_its_input() -> None:
    body = {"input": "가" * 100, "generation_config": {"max_output_tokens": 50}}
    bound = bounds("/v1beta/interactions", body, MODEL)
    assert bound.output_most == 50
    assert bound.input_most is not None
    assert bound.input_most >= 300


@pytest.mark.parametrize(
    ("named", "takes_limit"), [({"agent": "deep-research-preview-04-2026"}, False), ({"model": MODEL}, True)]
)
def test_an_agent_takes_no_limit_of_its_output(named: dict[str, Any], takes_limit: bool) -> None:
    body = {"input": "a", "generation_config": {"max_output_tokens": 50}, **named}
    bound = bounds("interactions", body, None)
    assert (bound.takes_limit, bound.output_chosen) == (takes_limit, takes_limit)


def test_a_batch_is_the_sum_of_its_requests() -> None:
    one = asking({"text": "a"}, generationConfig={"maxOutputTokens": 100})
    body = {"batch": {"inputConfig": {"requests": {"requests": [{"request": one}, {"request": one}]}}}}
    single = generate(one)
    bound = bounds("batchGenerateContent", body, MODEL)
    assert single.input_most is not None
    assert (bound.input_most, bound.output_most) == (2 * single.input_most, 200)
    assert bounds("batchGenerateContent", {"batch": {"inputConfig": {"fileName": "f"}}}, MODEL).input_most is None


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("generateContent", asking({"text": "a"})),
        ("generateContent", asking({"text": "a"}, generationConfig={"temperature": 1})),
        ("generateContent", asking({"text": "a"}, generation_config={"max_output_tokens": 9, "temperature": 1})),
        ("interactions", {"input": "a", "model": MODEL}),
        ("chat/completions", {"messages": [{"role": "user", "content": "a"}], "max_tokens": 9}),
        ("chat/completions", {"messages": []}),
    ],
)
def test_a_limit_that_is_put_in_is_the_one_that_is_read(verb: str, body: dict[str, Any]) -> None:
    before = json.dumps(body)
    limited = with_output_limit(verb, body, 77)
    bound = bounds(verb, limited, MODEL)
    assert (bound.output_most, bound.output_chosen) == (77, True)
    assert json.dumps(body) == before
    assert json.dumps(limited).count("77") == 1


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "contents",
                        "parts",
                        "inlineData",
                        "data",
                        "type",
                        "image_url",
                        "generationConfig",
                        "n",
                        "requests",
                    ]
                ),
                x,
                max_size=3,
            )
        ),
        max_leaves=10,
    )
)
def test_no_request_raises(value: object) -> None:
    body = value if isinstance(value, dict) else {"contents": value}
    for verb in ("generateContent", "batchGenerateContent", "embedContent", "interactions", "predict"):
        assert bounds(verb, body, MODEL).output_most >= 0
        with_output_limit(verb, body, 5)


@pytest.mark.parametrize("limit", [100, "100", 100.0, "100.0", "1e2"])
def test_a_limit_is_the_clients_own_however_the_number_is_written(limit: object) -> None:
    found = generate(asking(generationConfig={"maxOutputTokens": limit}))
    assert (found.output_most, found.output_chosen) == (100, True)


@pytest.mark.parametrize(
    "item",
    [
        *({"type": kind, "data": "AAAA", "uri": "files/film"} for kind in ("video", "audio", "image", "document")),
        {"type": "something_new", "uri": "https://www.youtube.com/watch?v=x"},
        {"uri": "files/film"},
    ],
)
def test_what_an_interaction_names_beside_its_data_is_bounded_by_the_provider_alone(item: dict[str, Any]) -> None:
    assert bounds("interactions", {"input": [item]}, MODEL).input_most is None


@pytest.mark.parametrize("name", ["video_url", "audio_url", "file_url"])
def test_what_a_chat_names_that_is_elsewhere_is_bounded_by_the_provider_alone(name: str) -> None:
    content = [{"type": name, name: {"url": "https://www.youtube.com/watch?v=x"}}]
    assert bounds("chat/completions", {"messages": [{"role": "user", "content": content}]}, MODEL).input_most is None


def test_one_text_to_predict_from_is_bounded_as_a_list_of_one() -> None:
    alone = bounds("predict", {"instances": {"content": "a" * 5_000}}, "gemini-embedding-001").input_most
    assert alone is not None
    assert alone >= 5_000
