"""Bodies of requests: what they may hold, and how much of them is held at once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.errors import InvalidInput, LimitReached
from jangbu.gateway.bodies import VALUES_MOST, BodyRoom, json_object


@pytest.mark.parametrize(
    "members",
    [
        pytest.param("{}", id="objects"),
        pytest.param("[]", id="lists"),
        pytest.param("1", id="numbers"),
        pytest.param('""', id="texts"),
        pytest.param('"\\",\\"{"', id="texts that hide their ends"),
    ],
)
def test_a_body_of_too_many_values_is_refused_before_it_is_read(members: str) -> None:
    body = '{"contents":[' + ",".join([members] * (VALUES_MOST + 2)) + "]}"
    with pytest.raises(InvalidInput, match="more than 200,000 values"):
        json_object(body.encode())


def test_text_counts_for_nothing_however_it_is_punctuated() -> None:
    text = 'a, {"b": [1, 2]}, \\" ' * VALUES_MOST
    assert json_object(json.dumps({"contents": text}).encode()) == {"contents": text}


def test_requests_share_the_room_and_give_it_back() -> None:
    room = BodyRoom(100)
    one, other = room.lease(), room.lease()
    one.grow(60)
    with pytest.raises(LimitReached):
        other.grow(41)
    other.grow(40)
    one.end()
    one.end()
    other.grow(60)
    with pytest.raises(LimitReached):
        one.grow(1)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50))))
def test_the_room_is_whole_again_when_all_have_ended(steps: list[tuple[int, int]]) -> None:
    room = BodyRoom(100)
    leases = [room.lease() for _ in range(3)]
    for number, size in steps:
        try:
            leases[number].grow(size)
        except LimitReached:
            leases[number].end()
    for lease in leases:
        lease.end()
    assert room.take(100)
    assert not room.take(1)
