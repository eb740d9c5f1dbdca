"""The key that was used upstream stays in the gateway, however an answer is cut."""

from hypothesis import given
from hypothesis import strategies as st

from jangbu.gateway.redaction import Redaction

SECRET = b"AIzaAAIzaSyCanary"


def _passed(pieces: list[bytes]) -> list[bytes]:
    redaction = Redaction([SECRET])
    return [*(redaction.passed(piece) for piece in pieces), redaction.rest()]


@given(st.lists(st.sampled_from([SECRET, b"A", b"AIza", b"event ", b"\n"]), max_size=8), st.data())
def test_no_cut_lets_it_through_and_nothing_else_changes(parts: list[bytes], data: st.DataObject) -> None:
    answer = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=6)))
    pieces = [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert b"".join(_passed(pieces)) == answer.replace(SECRET, b"***")


def test_an_event_that_ends_otherwise_passes_at_once() -> None:
    assert _passed([b'data: {"text":"AAA"}\n\n', b"x"])[0] == b'data: {"text":"AAA"}\n\n'
