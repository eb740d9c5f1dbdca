"""What models may take in and write, by their names."""

import pytest

from jangbu.providers.gemini.limits import OUTPUT_MOST_UNKNOWN, input_limit, output_limit


@pytest.mark.parametrize(
    ("model", "taken", "written"),
    [
        ("gemini-2.0-flash-live-001", 1_048_576, 8_192),
        ("gemini-2.5-flash-native-audio-preview-12-2025", 131_072, 8_192),
        ("models/gemini-2.5-flash-native-audio-latest", 131_072, 8_192),
        ("gemini-live-2.5-flash-native-audio", 131_072, 65_536),
        ("publishers/google/models/gemini-live-2.5-flash-preview-native-audio-09-2025", 131_072, 65_536),
        ("gemini-live-2.5-flash-preview", None, 65_536),
        ("gemini-3.1-flash-live-preview", 131_072, 65_536),
        ("gemini-3.8-live", 131_072, 65_536),
        ("gemini-2.5-flash", 1_048_576, 65_536),
        ("gemini-3-pro-image-preview", 1_048_576, 32_768),
        ("gemma-4-26b-a4b-it", None, 32_768),
        ("a-model", None, OUTPUT_MOST_UNKNOWN),
    ],
)
def test_a_model_has_the_limits_that_are_published_for_it(model: str, taken: int | None, written: int) -> None:
    assert (input_limit(model), output_limit(model)) == (taken, written)
