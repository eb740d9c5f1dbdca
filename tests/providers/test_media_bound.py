"""What media in a request can be at most: what their size does not bound, the provider alone can count."""

import base64
import gzip
import io
import wave
from typing import Any

import pytest

from jangbu.domain.flow import Bounds
from jangbu.providers.gemini.batch_request import batch_bounds, file_tokens
from jangbu.providers.gemini.request import bounds

FLASH = "gemini-2.5-flash"
ALL = 1_048_576


def part(mime_type: str, data: bytes = b"x", **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": base64.b64encode(data).decode()}, **more}


def generate(*parts: dict[str, Any]) -> Bounds:
    return bounds("generateContent", {"contents": [{"role": "user", "parts": list(parts)}]}, FLASH)


def interact(**media: Any) -> Bounds:
    return bounds("interactions", {"model": FLASH, "input": [{"data": "AAAA", **media}]}, FLASH)


def silence(seconds: int, samples_a_second: int) -> bytes:
    """Write a recording of samples of 8 bits."""
    written = io.BytesIO()
    with wave.open(written, "wb") as recording:
        recording.setparams((1, 1, samples_a_second, 0, "NONE", ""))
        recording.writeframes(bytes(seconds * samples_a_second))
    return written.getvalue()


def document(pages: int) -> bytes:
    """Write what a PDF has of its pages, as an object stream packs them."""
    return b"%PDF-1.7" + gzip.compress(b"<</Type/Page/Parent 1 0 R>>" * pages)


def test_an_hour_in_few_bytes_and_a_thousand_pages_have_no_bound_here() -> None:
    hour, pages = silence(3_600, 100), document(1_000)
    assert len(hour) < 400_000
    assert len(pages) < 1_000
    assert generate(part("audio/wav", hour)).input_most is None
    assert generate(part("application/pdf", pages)).input_most is None


@pytest.mark.parametrize(
    "mime_type",
    [
        *("video/mp4", "VIDEO/WEBM", "audio/mp3", "audio/flac", "audio/ogg; codecs=opus", "audio/L16;rate=24000"),
        *("application/pdf", "application/msword", "image/gif", "image/tiff", "", "font/woff"),
    ],
)
def test_what_has_a_length_or_pages_or_no_figure_is_counted_by_the_provider_alone(mime_type: str) -> None:
    found = generate(part(mime_type))
    assert found.input_most is None


@pytest.mark.parametrize(
    ("mime_type", "least"), [("image/jpeg", 2_240), ("text/csv", 4_000), ("application/xml", 4_000)]
)
def test_an_image_is_bounded_by_its_figure_and_a_text_by_its_bytes(mime_type: str, least: int) -> None:
    most = generate(part(mime_type, b"x" * 4_000)).input_most
    assert most is not None
    assert least <= most < 6_000


@pytest.mark.parametrize("spelling", ["mediaResolution", "media_resolution"])
@pytest.mark.parametrize("asked", [{"numTokens": 100_000}, {"num_tokens": "100000"}])
def test_an_image_has_as_many_tokens_as_its_part_asks_for(spelling: str, asked: dict[str, Any]) -> None:
    found = generate({**part("image/png"), spelling: asked}).input_most
    assert found is not None
    assert 100_000 <= found < 110_000


def test_an_image_whose_tokens_nobody_can_read_is_counted_by_the_provider_alone() -> None:
    assert generate(part("image/png", mediaResolution={"numTokens": "many"})).input_most is None
    assert generate(part("image/png", mediaResolution={"level": "MEDIA_RESOLUTION_HIGH"})).input_most is not None


@pytest.mark.parametrize("name", ["documentMetadata", "document_metadata", "spreadsheetMetadata"])
def test_a_text_that_is_shown_as_pages_is_counted_by_the_provider_alone(name: str) -> None:
    assert generate({**part("text/csv"), name: {"contentLayers": ["VISUAL"]}}).input_most is None
    visual = {"type": "static", "spreadsheet_options": {"content_layers": ["visual"]}}
    assert interact(type="document", mime_type="text/csv", processing=visual).input_most is None
    assert interact(type="document", mime_type="text/csv").input_most is not None


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(generate(part("video/mp4", mediaProcessing="AGENTIC")), id="a part"),
        pytest.param(generate(part("video/mp4", media_processing="agentic")), id="the other spelling"),
        pytest.param(generate({"fileData": {"fileUri": "files/a"}, "mediaProcessing": "SOME_NEW_WAY"}), id="a file"),
        pytest.param(interact(type="video", processing="agentic"), id="an interaction"),
        pytest.param(interact(type="video", processing={"type": "agentic"}), id="an interaction, in an object"),
    ],
)
def test_a_film_that_the_model_goes_through_may_be_fed_to_it_again(found: Bounds) -> None:
    assert found.fed_back_most == ALL


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(generate(part("video/mp4")), id="as the model does it"),
        pytest.param(generate(part("video/mp4", mediaProcessing="STATIC")), id="at once"),
        pytest.param(generate(part("video/mp4", mediaProcessing="MEDIA_PROCESSING_UNSPECIFIED")), id="unspecified"),
        pytest.param(interact(type="video", processing={"type": "static", "fps": 24}), id="an interaction"),
        pytest.param(interact(type="video", processing="static"), id="an interaction, by a word"),
    ],
)
def test_a_film_that_the_model_is_shown_once_is_fed_to_it_once(found: Bounds) -> None:
    assert found.fed_back_most == 0


def batch(*parts: dict[str, Any]) -> dict[str, Any]:
    requests = [{"request": {"contents": [{"parts": [each]}]}} for each in parts]
    return {"batch": {"inputConfig": {"requests": {"requests": requests}}}}


@pytest.mark.parametrize("mime_type", ["video/mp4", "audio/flac", "application/pdf"])
def test_in_a_batch_what_has_a_length_counts_as_all_that_the_model_takes(mime_type: str) -> None:
    shown = {"mimeType": mime_type, "sizeBytes": "10"}
    assert file_tokens(shown) is None
    assert file_tokens({**shown, "mimeType": "text/plain"}) is not None
    found = batch_bounds(batch(part(mime_type), {"fileData": {"fileUri": "files/a"}}), FLASH, {})
    assert found is not None
    assert found.input_most == 2 * ALL


def test_a_file_that_a_batch_calls_a_film_counts_as_all_that_the_model_takes() -> None:
    named = {"fileUri": "files/a"}
    text, film = (
        batch_bounds(batch({"fileData": {**named, "mimeType": kind}}), FLASH, {"files/a": 5_000})
        for kind in ("text/plain", "video/mp4")
    )
    assert text is not None
    assert film is not None
    assert 5_000 <= (text.input_most or 0) < 6_000
    assert film.input_most == ALL
