"""The lines of a batch's file, read as they pass."""

import json
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest

from jangbu.domain.flow import Bounds
from jangbu.domain.usage import COUNT_MAX
from jangbu.errors import InvalidInput
from jangbu.gateway.bodies import json_object
from jangbu.providers.gemini.app_resources import AppResource, Use
from jangbu.providers.gemini.batch_lines import LINE_BYTES_MAX, NAMES_MAX, BatchLines, BatchLinesReader, source_file
from jangbu.providers.gemini.fields import fields
from jangbu.providers.gemini.limits import INPUT_MOST_UNKNOWN

FLASH = "gemini-2.5-flash"


def line(**given: Any) -> bytes:
    body = {"contents": [{"parts": [{"text": "h\u00e9"}]}], **given}
    return json.dumps({"key": "gs://my/own/word", "request": body}).encode()


def read(pieces: Iterable[bytes]) -> BatchLines | None:
    reader = BatchLinesReader(json_object)
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


NAMING = {
    "model": f"models/{FLASH}",
    "generationConfig": {"maxOutputTokens": 7, "candidateCount": 3},
    "cachedContent": "cachedContents/c1",
    "tools": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/s1"]}}],
}
FILE = line() + b"\n" + line(**NAMING) + b"\n"


def test_the_lines_are_summed_up() -> None:
    found = read([FILE])
    assert found is not None
    assert (found.lines, found.unbounded, found.output_most, found.unlimited) == (2, 1, 21, 1)
    assert 0 < found.input_most - INPUT_MOST_UNKNOWN < 300, "one line may search what it likes"
    assert (found.models, found.references) == ((f"models/{FLASH}",), ("cachedContents/c1",))
    assert found.app_resources == (AppResource(Use.SEARCH, "fileSearchStores/s1"),)
    assert BatchLines.loaded(json.loads(json.dumps(found.stored()))) == found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_pieces_may_be_cut_anywhere(size: int) -> None:
    assert read(FILE[at : at + size] for at in range(0, len(FILE), size)) == read([FILE])


@pytest.mark.parametrize("written", [FILE.replace(b"\n", b"\r\n"), FILE.rstrip(), b"\n\r\n" + FILE, FILE + b" \n"])
def test_line_ends_may_be_written_otherwise(written: bytes) -> None:
    assert read([written]) == read([FILE])


@pytest.mark.parametrize("model", [None, "gemini-embedding-001"])
def test_input_that_nothing_bounds_counts_with_all_that_any_model_takes(model: str | None) -> None:
    found = read([FILE])
    assert found is not None
    assert found.bounds(model, writes=True).input_most == found.input_most + 1_048_576
    assert found.bounds(FLASH, writes=True) == Bounds(found.input_most + 1_048_576, 21 + 65_536, output_chosen=True)
    assert found.bounds(FLASH, writes=False).output_most == 0


def test_bounds_stay_within_what_can_be_counted() -> None:
    huge = read([line(generationConfig={"maxOutputTokens": COUNT_MAX}) + b"\n"] * 3)
    assert huge is not None
    assert huge.bounds(FLASH, writes=True).output_most == COUNT_MAX


@pytest.mark.parametrize(
    "bad",
    [b"[]", b"{}", b'{"request": []}', b"\xff", b"{" * 300, line(model=5), line(cachedContent="a\x00b")],
)
def test_a_line_that_cannot_be_judged_spoils_the_file(bad: bytes) -> None:
    assert read([FILE, bad]) is None
    assert read([bad, b"\n", FILE]) is None


def test_names_beyond_bounds_spoil_the_file() -> None:
    def names(most: int) -> Iterable[bytes]:
        return (line(cachedContent=f"cachedContents/{number}") + b"\n" for number in range(most))

    assert read(names(NAMES_MAX)) is not None
    assert read(names(NAMES_MAX + 1)) is None
    assert read([line(cachedContent="c" * 1_000_001)]) is None


def test_memory_is_bounded_by_a_line() -> None:
    """Two gigabytes of a film, of a line that never ends, and many lines pass without being kept."""
    film, endless, piece = bytes(65_536), b'{"request": "' + b"x" * 65_523, FILE * 100
    tracemalloc.start()
    try:
        assert read(film for _ in range(32_768)) is None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        assert read(endless for _ in range(32_768)) is None
        assert read(piece for _ in range(20)) is not None
        assert tracemalloc.get_traced_memory()[1] < 3 * LINE_BYTES_MAX
    finally:
        tracemalloc.stop()


def test_a_batch_names_one_file() -> None:
    assert source_file(fields({"batch": {"input_config": {"file_name": "files/a"}}})) == "files/a"
    assert source_file(fields({"batch": {"inputConfig": {"requests": {"requests": []}}}})) is None
    others: list[dict[str, Any]] = [{"fileName": "files/b"}, {"requests": {"requests": [{"request": {}}]}}]
    for second in others:
        with pytest.raises(InvalidInput):
            source_file(fields({"batch": {"inputConfig": {"fileName": "files/a"}, "input_config": second}}))
