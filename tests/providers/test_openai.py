"""Answers in OpenAI's words: what they say of audio is read and priced as in Google's own."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from jangbu.domain.pricing import cost
from jangbu.domain.usage import Anomaly, Breakdown, Source, Usage
from jangbu.prices import shipped
from jangbu.providers import gemini

AT = datetime(2026, 11, 24, tzinfo=UTC)


def read(prompt: Mapping[str, Any], completion: Mapping[str, Any]) -> Usage:
    """Read an answer of 1,000 tokens in and 200 out, with these details."""
    counts = {"prompt_tokens": 1_000, "completion_tokens": 200, "total_tokens": 1_200}
    usage = {**counts, "prompt_tokens_details": prompt, "completion_tokens_details": completion}
    return gemini.parse_object(
        {"object": "chat.completion", "model": "gemini-2.5-flash", "choices": [], "usage": usage}
    )


def native(audio: int, cached: int = 0) -> Usage:
    details = [{"modality": "AUDIO", "tokenCount": audio}]
    counts = {"promptTokenCount": 1_000, "candidatesTokenCount": 200, "totalTokenCount": 1_200}
    usage = {**counts, "cachedContentTokenCount": cached, "promptTokensDetails": details}
    return gemini.parse_object({"candidates": [], "modelVersion": "gemini-2.5-flash", "usageMetadata": usage})


@pytest.mark.parametrize(("audio", "cached"), [(0, 0), (900, 0), (1_000, 0), (600, 300)])
def test_audio_costs_what_it_costs_in_googles_words(audio: int, cached: int) -> None:
    found = cost(shipped(), read({"audio_tokens": audio, "cached_tokens": cached}, {}), AT).amount_nano
    assert found == cost(shipped(), native(audio, cached), AT).amount_nano
    assert found is not None


def test_audio_that_is_spoken_is_told_from_text() -> None:
    assert read({}, {"audio_tokens": 150}).by_modality.candidates == Breakdown(text=50, audio=150)


@pytest.mark.parametrize(("prompt", "completion"), [({"audio_tokens": 1_001}, {}), ({}, {"audio_tokens": 201})])
def test_audio_beyond_the_count_is_capped_and_named(prompt: Mapping[str, Any], completion: Mapping[str, Any]) -> None:
    usage = read(prompt, completion)
    assert (usage.total_tokens, usage.anomalies) == (1_200, (Anomaly.DETAILS_EXCEED_COUNT,))
    split = usage.by_modality.prompt if prompt else usage.by_modality.candidates
    assert split == Breakdown(audio=1_000 if prompt else 200)


@pytest.mark.parametrize("count", [-1, 1.5, "many", True])
def test_audio_that_is_no_count_makes_nothing_of_the_usage_believed(count: object) -> None:
    usage = read({"audio_tokens": count}, {})
    assert (usage.source, usage.total_tokens, usage.anomalies) == (Source.NONE, 0, (Anomaly.INVALID_USAGE,))
