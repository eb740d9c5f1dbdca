"""The service of a call that names none."""

import json
from importlib import resources
from typing import Any

import pytest

from jangbu.domain.usage import Surface
from jangbu.providers.gemini.services import draws, service_of

FLASH = "gemini-2.5-flash"


@pytest.mark.parametrize("configuration", [[{"maxOutputTokens": 5}], "x", 5, {"responseModalities": 5}, [None]])
def test_a_configuration_that_is_none_tells_no_service_and_breaks_nothing(configuration: Any) -> None:
    assert service_of(Surface.GENERATE_CONTENT, FLASH, {"generationConfig": configuration}) == "text_generation"


@pytest.mark.parametrize(
    "body",
    [
        *({name: {"responseModalities": ["TEXT", "image"]}} for name in ("generationConfig", "generation_config")),
        {"generation_config": {"response_modalities": ["IMAGE"]}},
        {"response_modalities": ["image"]},
        {"response_format": {"type": "image"}},
        {"response_format": [{"type": "text"}, {"type": "image"}]},
        {"modalities": ["text", "image"]},
    ],
    ids=str,
)
def test_pictures_that_are_asked_for_are_told_in_the_words_of_each_surface(body: dict[str, Any]) -> None:
    assert service_of(Surface.GENERATE_CONTENT, FLASH, body) == "image_generation"


def test_every_model_whose_pictures_have_a_price_is_known_to_draw() -> None:
    rows = [row for name in ("google", "overlay") for row in shipped(name)]
    drawing = {model for row in rows if "output.image" in row.get("usd", {}) for model in row["models"]}
    drawing |= {model for row in rows if row.get("same_as") in drawing for model in row["models"]}
    assert len(drawing) > 8
    assert {model for model in drawing if not draws(model, {})} == set()


def shipped(name: str) -> list[dict[str, Any]]:
    """Give the rows of a file of the shipped price book."""
    read = json.loads(resources.files("jangbu.prices").joinpath(f"{name}.json").read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = (
        read if isinstance(read, list) else next(v for v in read.values() if isinstance(v, list))
    )
    return rows


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
