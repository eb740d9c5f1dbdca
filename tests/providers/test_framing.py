"""Events are the same however their bytes are cut: also where each is a chunk of its own, which is read at once."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jangbu.providers.gemini.framing import Frames

LINES = st.sampled_from(
    [
        b'data: {"a": 1}',
        b'data:{"b":"data: x"}',
        b"data: ",
        b"data: [DONE]",
        b'data: {"c":',
        b"data: 3}",
        b": a word",
        b"",
        b"id: 7",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
EVENTS = st.lists(
    st.builds(lambda lines, end: b"".join(line + end for line in (*lines, b"")), st.lists(LINES, max_size=4), ENDS),
    max_size=6,
)


def read(chunks: Iterable[bytes]) -> tuple[list[Any], bool, bool]:
    frames = Frames()
    found = [each for chunk in chunks for each in frames.feed(chunk)]
    found += frames.finish()
    return found, frames.done, frames.malformed


@given(EVENTS)
def test_an_event_by_itself_is_read_as_one_that_is_cut_or_follows_others(events: list[bytes]) -> None:
    whole = b"data: {}\n\n" + b"".join(events)
    by_letter = read(bytes([letter]) for letter in whole)
    assert read([b"data: {}\n\n", *events]) == by_letter
    assert read([whole]) == by_letter


@given(EVENTS, st.data())
def test_events_may_be_cut_anywhere(events: list[bytes], data: st.DataObject) -> None:
    whole = b"data: {}\r\n\r\n" + b"".join(events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(pieces) == read([whole])


def test_a_long_string_that_reaches_over_chunks_is_cut_beside_events_that_come_by_themselves() -> None:
    lone, long = b'data: {"a": 1}\n\n', b'data: {"image": "' + b"A" * 100_000 + b'"}\n\n'
    halves = (long[:50_000], long[50_000:])
    objects, _, malformed = read([lone, *halves, lone])
    assert [list(each) for each in objects] == [["a"], ["image"], ["a"]]
    assert not malformed
    assert len(objects[1]["image"]) < 60_000
