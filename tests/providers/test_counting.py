"""What countTokens says of an input, and what it leaves out."""

from typing import Any

import pytest

from jangbu.domain.flow import Answered, Lost
from jangbu.domain.usage import Platform, Surface, Usage
from jangbu.providers.gemini.counting import count_body, input_counted, with_count
from jangbu.providers.gemini.limits import input_limit

FLASH = "gemini-2.5-flash"
CACHE = "projects/p/locations/l/cachedContents/1"


@pytest.mark.parametrize("name", ["cachedContent", "cached_content"])
@pytest.mark.parametrize(
    ("platform", "model", "cached", "expected"),
    [
        (Platform.GEMINI_API, FLASH, None, 100),
        (Platform.VERTEX, FLASH, 5_000, 5_100),
        (Platform.VERTEX, FLASH, None, input_limit(FLASH)),
        (Platform.VERTEX, "a-model", None, None),
    ],
)
def test_cached_content_is_in_the_input_whether_it_was_counted_or_not(
    name: str, platform: Platform, model: str, cached: int | None, expected: int | None
) -> None:
    body = {"contents": [], name: CACHE}
    assert input_counted({"totalTokens": 100}, platform, model, body, cached) == expected
    assert input_counted(None, platform, model, body, cached) is None
    assert input_counted({"totalTokens": 100}, platform, model, {"contents": []}, cached) == 100


def test_vertex_is_asked_for_all_that_it_counts_however_it_is_spelled() -> None:
    body: dict[str, Any] = {
        "contents": [],
        "system_instruction": {"parts": []},
        "generationConfig": {},
        "tools": [],
        "cachedContent": CACHE,
        "labels": {},
    }
    asked = count_body(Surface.GENERATE_CONTENT, Platform.VERTEX, FLASH, body)
    assert asked == {name: body[name] for name in ("contents", "system_instruction", "generationConfig", "tools")}


TEXT = {"parts": [{"text": "a"}]}


@pytest.mark.parametrize(
    ("surface", "body", "contents"),
    [
        (Surface.EMBED_CONTENT, {"content": TEXT}, [TEXT]),
        (Surface.EMBED_CONTENT, {"content": {**TEXT, "role": "system"}}, [TEXT]),
        (Surface.EMBED_CONTENT, {"requests": [{"content": TEXT}, {"content": TEXT}]}, [TEXT, TEXT]),
        (Surface.EMBED_CONTENT, {"requests": {"content": TEXT}}, [TEXT]),
        (Surface.OPENAI, {"input": "a"}, [TEXT]),
        (Surface.OPENAI, {"input": ["a", "a"]}, [TEXT, TEXT]),
    ],
)
def test_texts_to_embed_are_counted_as_what_they_say(surface: Surface, body: dict[str, Any], contents: Any) -> None:
    assert count_body(surface, Platform.GEMINI_API, "m", body) == {"contents": contents}


def test_nothing_tells_that_an_embedding_was_free() -> None:
    silent = Answered(Usage(Surface.EMBED_CONTENT))
    assert isinstance(with_count(silent, None), Lost)
    assert isinstance(with_count(silent, {}), Lost)
    told = with_count(silent, {"totalTokens": 7})
    assert isinstance(told, Answered)
    assert told.usage.total_tokens == 7
