"""A chat or an interaction, written as countTokens takes it."""

import json
from typing import Any

import pytest

from jangbu.domain.usage import Platform, Surface
from jangbu.providers.gemini.counting import count_body

FLASH = "gemini-2.5-flash"


def counted(surface: Surface, body: dict[str, Any]) -> dict[str, Any]:
    found = count_body(surface, Platform.GEMINI_API, FLASH, body)
    request: dict[str, Any] = found["generateContentRequest"]
    assert request["model"] == f"models/{FLASH}"
    return request


def file_part(uri: str, kind: str) -> dict[str, Any]:
    return {"fileData": {"fileUri": uri, "mimeType": kind}}


def inline_part(data: str, kind: str) -> dict[str, Any]:
    return {"inlineData": {"data": data, "mimeType": kind}}


@pytest.mark.parametrize(
    ("media", "part"),
    [
        ({"type": "image", "uri": "files/a"}, file_part("files/a", "image/jpeg")),
        (
            {"type": "video", "uri": "https://youtu.be/x", "mime_type": "video/webm"},
            file_part("https://youtu.be/x", "video/webm"),
        ),
        ({"type": "document", "data": "AAAA"}, inline_part("AAAA", "application/pdf")),
    ],
)
def test_the_media_of_an_interaction_become_parts(media: dict[str, Any], part: dict[str, Any]) -> None:
    asked = {
        "model": FLASH,
        "input": [{"type": "text", "text": "what is this?"}, media],
        "system_instruction": "be brief",
    }
    [content] = counted(Surface.INTERACTIONS, asked)["contents"]
    text, found = content["parts"]
    assert found == part
    assert "what is this?" in text["text"]
    assert "be brief" in text["text"]
    assert "AAAA" not in text["text"]


@pytest.mark.parametrize(
    ("media", "told"),
    [
        (
            {"type": "video", "processing": {"type": "static", "fps": 24, "content_layers": ["frames", "transcript"]}},
            {"videoMetadata": {"fps": 24, "contentLayers": ["FRAMES", "TRANSCRIPT"]}},
        ),
        (
            {"type": "audio", "processing": {"type": "static", "end_offset": "30s"}},
            {"audioMetadata": {"endOffset": "30s"}},
        ),
        (
            {"type": "document", "processing": {"type": "static", "page_options": {"content_layers": ["page_text"]}}},
            {"documentMetadata": {"contentLayers": ["PAGE_TEXT"]}},
        ),
        (
            {"type": "document", "processing": {"spreadsheet_options": {"visible_cells": "A1:D10"}}},
            {"spreadsheetMetadata": {"visibleCells": "A1:D10"}},
        ),
        ({"type": "image", "resolution": "ultra_high"}, {"mediaResolution": {"level": "MEDIA_RESOLUTION_ULTRA_HIGH"}}),
        ({"type": "video", "processing": "agentic"}, {}),
    ],
)
def test_media_of_an_interaction_are_counted_as_they_are_read(media: dict[str, Any], told: dict[str, Any]) -> None:
    for held, name in (({"data": "AAAA"}, "inlineData"), ({"uri": "files/a"}, "fileData")):
        [content] = counted(Surface.INTERACTIONS, {"model": FLASH, "input": [{**media, **held}]})["contents"]
        part = content["parts"][1]
        assert {key: value for key, value in part.items() if key != name} == told


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
            file_part("https://a.example/b.png", "image/jpeg"),
        ),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, inline_part("AAAA", "image/png")),
        (
            {"type": "image_url", "image_url": "https://a.example/b.png"},
            file_part("https://a.example/b.png", "image/jpeg"),
        ),
        ({"type": "file", "file": {"file_id": "files/a"}}, file_part("files/a", "image/jpeg")),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}, inline_part("AAAA", "audio/mp3")),
    ],
)
def test_the_media_of_a_chat_become_parts(media: dict[str, Any], part: dict[str, Any]) -> None:
    body = {"model": FLASH, "messages": [{"role": "user", "content": [{"type": "text", "text": "안녕"}, media]}]}
    [content] = counted(Surface.OPENAI, body)["contents"]
    text, found = content["parts"]
    assert found == part
    assert "안녕" in text["text"]
    assert "AAAA" not in text["text"]


def test_a_cache_is_counted_as_one() -> None:
    assert counted(Surface.INTERACTIONS, {"input": "hi", "cached_content": "cachedContents/c"})["cachedContent"] == (
        "cachedContents/c"
    )
    body = {"messages": [], "extra_body": {"google": {"cached_content": "cachedContents/c"}}}
    request = counted(Surface.OPENAI, body)
    assert request["cachedContent"] == "cachedContents/c"
    assert "cachedContents" not in json.dumps(request["contents"])
