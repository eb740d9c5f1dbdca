"""Which bytes of an answer wait for its record."""

import pytest

from jangbu.gateway.holding import TAIL_BYTES, LastEvents, WholeBody

_FIRST = b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\r\n\r\n'


_MAY_BE_LAST = pytest.mark.parametrize(
    "last",
    [
        b'data: {"candidates":[{"finishReason":"STOP"}]}\r\n\r\n',
        b'data: {"candidates":[{"finishReason": 1}]}\r\n\r\n',
        b'[{"candidates": [{"finish_reason":2}]}]',
        b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\r\n\r\n',
        b'data: {"promptFeedback":{"block_reason":1}}\r\n\r\n',
        b"data: [DONE]\n\n",
        b"event: interaction.complete\ndata: {}\n\n",
        b'data: {"choices": [],"usage":{"total_tokens":9}}\n\n',
    ],
)


@_MAY_BE_LAST
@pytest.mark.parametrize("cut", [0, 1, 20, 33])
def test_what_may_be_the_end_waits_also_where_it_comes_in_two_pieces(last: bytes, cut: int) -> None:
    waiting = LastEvents()
    assert waiting.push(_FIRST) == [_FIRST]
    passed = b"".join(piece for part in (last[:cut], last[cut:]) if part for piece in waiting.push(part))
    rest = waiting.rest()
    assert passed + rest == last
    assert rest


@_MAY_BE_LAST
def test_what_may_be_the_end_waits_also_where_it_comes_letter_by_letter(last: bytes) -> None:
    waiting = LastEvents()
    passed = b"".join(piece for letter in _FIRST + last for piece in waiting.push(bytes([letter])))
    assert passed + waiting.rest() == _FIRST + last
    assert len(passed) < len(_FIRST + last)


@pytest.mark.parametrize(
    "running",
    [
        b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}],"usage":{"total_tokens":9}}\n\n',
        b'data: {"event_type":"step.delta","metadata":{"usage":{"total_tokens":9}}}\n\n',
    ],
)
def test_what_reports_usage_amid_a_stream_passes_at_once(running: bytes) -> None:
    waiting = LastEvents()
    assert [waiting.push(running) for _ in range(3)] == [[running]] * 3


def test_a_stream_that_goes_on_passes_all_but_the_latest_piece() -> None:
    waiting = LastEvents()
    tool = b'data: {"candidates":[{"finishReason":"STOP","index":0}]}\r\n\r\n'
    assert waiting.push(tool) == []
    assert waiting.push(_FIRST) == [tool]
    assert waiting.rest() == _FIRST


def test_a_body_waits_whole_while_it_may_be_small_and_passes_at_once_where_it_is_known_to_be_large() -> None:
    pieces = [bytes([number]) * 4_000 for number in range(5)]
    small, growing, large = WholeBody(), WholeBody(most=10_000), WholeBody(20_000, most=10_000)
    assert [small.push(piece) for piece in pieces] == [[]] * 5
    assert [len(b"".join(growing.push(piece))) for piece in pieces] == [0, 0, 12_000 - TAIL_BYTES, 4_000, 4_000]
    assert [len(b"".join(large.push(piece))) for piece in pieces] == [4_000 - TAIL_BYTES, *[4_000] * 4]
    assert small.rest() == b"".join(pieces)
    assert growing.rest() == large.rest() == pieces[-1][-TAIL_BYTES:]
