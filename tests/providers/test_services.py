"""The service of a call that names none."""

from typing import Any

import pytest

from jangbu.domain.usage import Surface
from jangbu.providers.gemini.services import service_of

FLASH = "gemini-2.5-flash"


@pytest.mark.parametrize("configuration", [[{"maxOutputTokens": 5}], "x", 5, {"responseModalities": 5}, [None]])
def test_a_configuration_that_is_none_tells_no_service_and_breaks_nothing(configuration: Any) -> None:
    assert service_of(Surface.GENERATE_CONTENT, FLASH, {"generationConfig": configuration}) == "text_generation"


@pytest.mark.parametrize("name", ["generationConfig", "generation_config"])
def test_pictures_that_are_asked_for_are_told_by_either_spelling(name: str) -> None:
    body = {name: {"responseModalities": ["TEXT", "image"]}}
    assert service_of(Surface.GENERATE_CONTENT, FLASH, body) == "image_generation"


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("gemini-2.5-flash-preview-tts", {}),
        ("gemini-2.5-flash", {"generationConfig": {"responseModalities": ["AUDIO"]}}),
        ("gemini-3.8-flash", {"response_modalities": ["audio"]}),
    ],
)
def test_speech_is_told_by_its_model_or_by_what_is_asked_for(model: str, body: dict[str, Any]) -> None:
    assert service_of(Surface.GENERATE_CONTENT, model, body) == "audio_generation"
