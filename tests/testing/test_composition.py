"""What the fake says and counts, worked out on paper."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.testing.behaviours import ODD_USAGES, Behaviour
from jangbu.testing.composing.composition import compose, segments, words
from jangbu.testing.composing.counting import count_content, count_text
from jangbu.testing.composing.samples import sample
from jangbu.testing.composing.tally import distort, generate_usage, interactions_usage, live_usage, openai_usage

WEATHER = {
    "functionDeclarations": [
        {"name": "weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}
    ]
}
USAGES = [generate_usage, interactions_usage, live_usage, openai_usage]


def _body(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("장부", 2)])
def test_a_text_counts_one_token_for_each_four_bytes_begun(text: str, tokens: int) -> None:
    assert count_text(text) == tokens


def test_media_count_what_google_publishes() -> None:
    media = [
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "files/x"}},
        {"inline_data": {"mime_type": "audio/wav", "data": "AAAA"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "files/x"}},
    ]
    assert count_content([{"parts": media}]) == {"IMAGE": 258, "DOCUMENT": 258, "AUDIO": 320, "VIDEO": 2580}


def test_system_instruction_and_tool_declarations_are_read_too() -> None:
    plain = compose("gemini-2.0-flash", _body(), Behaviour()).tally.prompt.total()
    told = compose("gemini-2.0-flash", _body(system_instruction={"parts": [{"text": "x" * 40}]}), Behaviour())
    assert told.tally.prompt.total() == plain + 10
    assert compose("gemini-2.0-flash", _body(tools=[WEATHER]), Behaviour()).tally.prompt.total() > plain


@given(
    model=st.sampled_from(
        ["gemini-2.0-flash", "gemini-2.5-flash", "gemini-2.5-flash-image", "gemini-2.5-pro-preview-tts"]
    ),
    text=st.text(max_size=60),
    limit=st.integers(1, 2000),
    candidates=st.integers(1, 3),
)
def test_thoughts_and_candidates_never_exceed_the_limit(model: str, text: str, limit: int, candidates: int) -> None:
    config = {"maxOutputTokens": limit, "candidateCount": candidates}
    composition = compose(model, _body(text, generationConfig=config), Behaviour())
    tally = composition.tally
    assert tally.thoughts + tally.candidates.total() <= limit * candidates
    assert composition.finish in {"STOP", "MAX_TOKENS"}


@given(text=st.text(max_size=60), thoughts=st.integers(0, 500), tools=st.booleans())
def test_the_total_is_the_sum_of_all_four(text: str, thoughts: int, tools: bool) -> None:
    body = _body(text, tools=[{"googleSearch": {}}] if tools else [])
    usage = generate_usage(compose("gemini-2.5-flash", body, Behaviour(thoughts=thoughts)).tally)
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")
    assert usage["totalTokenCount"] == sum(usage.get(name, 0) for name in names)
    assert all(usage[name] != 0 for name in names[1:] if name in usage)
    assert ("toolUsePromptTokenCount" in usage) == tools


@given(tokens=st.integers(0, 300), seed=st.integers(0, 2**32), chunks=st.integers(1, 12))
def test_a_stream_says_what_the_whole_answer_says(tokens: int, seed: int, chunks: int) -> None:
    assert count_text(words(tokens, seed)) == tokens
    composition = compose("gemini-2.0-flash", _body(str(seed)), Behaviour(candidates=tokens))
    pieces = [piece for parts in segments(composition, chunks) for piece in parts]
    whole = "".join(str(piece.part["text"]) for piece in composition.pieces)
    assert "".join(str(piece.part["text"]) for piece in pieces) == whole
    assert sum(piece.tokens for piece in pieces) == tokens


def test_counts_can_be_given_as_from_a_trace() -> None:
    behaviour = Behaviour(prompt=1000, candidates=70, thoughts=5, tool=3, cached=400)
    usage = generate_usage(compose("gemini-2.5-flash", _body(tools=[WEATHER]), behaviour).tally)
    assert (usage["promptTokenCount"], usage["candidatesTokenCount"], usage["cachedContentTokenCount"]) == (
        1000,
        70,
        400,
    )
    assert usage["totalTokenCount"] == 1078


def test_thoughts_that_eat_the_whole_limit_leave_no_candidates_count() -> None:
    composition = compose("gemini-2.5-pro", _body(generationConfig={"maxOutputTokens": 5}), Behaviour())
    usage = generate_usage(composition.tally)
    assert composition.finish == "MAX_TOKENS"
    assert usage["thoughtsTokenCount"] == 5
    assert "candidatesTokenCount" not in usage


@pytest.mark.parametrize(
    ("thinking", "model", "thinks"),
    [
        ({}, "gemini-2.5-flash", True),
        ({}, "gemini-2.0-flash", False),
        ({}, "gemini-2.5-flash-lite", False),
        ({"thinkingBudget": 512}, "gemini-2.5-flash-lite", True),
        ({"thinkingBudget": 0}, "gemini-2.5-flash", False),
        ({"thinkingLevel": "low"}, "gemini-3-flash-preview", True),
        ({}, "gemini-2.5-flash-image", False),
    ],
)
def test_who_thinks(thinking: dict[str, Any], model: str, thinks: bool) -> None:
    composition = compose(model, _body(generationConfig={"thinkingConfig": thinking}), Behaviour())
    assert (composition.tally.thoughts > 0) is thinks


def test_a_declared_function_is_called_once_and_then_there_is_text() -> None:
    asked = compose("gemini-2.0-flash", _body(tools=[WEATHER]), Behaviour())
    assert asked.pieces[0].part["functionCall"] == {"name": "weather", "args": {"city": "sample"}}
    result = {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {}}}]}
    answered = compose(
        "gemini-2.0-flash", {"contents": [*_body()["contents"], result], "tools": [WEATHER]}, Behaviour()
    )
    assert "text" in answered.pieces[0].part
    never = {"functionCallingConfig": {"mode": "NONE"}}
    assert "text" in compose("gemini-2.0-flash", _body(tools=[WEATHER], toolConfig=never), Behaviour()).pieces[0].part


def test_an_image_model_lists_only_images_in_its_details() -> None:
    usage = generate_usage(compose("gemini-2.5-flash-image", _body("a cat"), Behaviour()).tally)
    assert usage["candidatesTokensDetails"] == [{"modality": "IMAGE", "tokenCount": 1290}]
    assert usage["candidatesTokenCount"] > 1290
    only = _body(generationConfig={"responseModalities": ["IMAGE"]})
    assert (
        generate_usage(compose("gemini-3-pro-image", only, Behaviour(thoughts=0)).tally)["candidatesTokenCount"] == 1120
    )


def test_speech_is_audio() -> None:
    composition = compose("gemini-2.5-flash-preview-tts", _body(), Behaviour())
    assert set(composition.tally.candidates) == {"AUDIO"}


def test_json_fits_the_schema_that_was_asked_for() -> None:
    schema = {
        "$defs": {
            "Item": {"type": "object", "properties": {"price": {"type": "number"}, "kind": {"enum": ["a", "b"]}}}
        },
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 2},
            "n": {"type": "integer"},
        },
    }
    assert sample(schema) == {"items": [{"price": 1.5, "kind": "a"}] * 2, "n": 1}


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    schema = {
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
        "$ref": "#/$defs/Node",
    }
    assert isinstance(sample(schema), dict)


@pytest.mark.parametrize("oddity", ODD_USAGES)
@pytest.mark.parametrize("word", USAGES)
def test_every_odd_usage_differs_from_the_true_one(word: Any, oddity: str) -> None:
    usage = word(compose("gemini-2.5-flash", _body(), Behaviour()).tally)
    assert distort(usage, oddity) != usage
    assert distort(usage, None) == usage
