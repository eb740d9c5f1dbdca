"""Bodies of requests: what they may hold, and how much of them is held at once."""

import json
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.errors import InvalidInput, LimitReached
from jangbu.gateway.bodies import VALUES_MOST, BodyRoom, json_object
from jangbu.testing import FakeGemini
from tests.gateway.raw import until, wire
from tests.gateway.stage import FLASH, stage

CALL = f"/v1beta/models/{FLASH}:generateContent"
SIZE = 10_000_000


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
    room = BodyRoom(100, 100)
    one, other = room.lease("kim"), room.lease("lee")
    one.grow(60)
    with pytest.raises(LimitReached):
        other.grow(41)
    other.grow(40)
    one.end()
    one.end()
    other.grow(60)
    with pytest.raises(LimitReached):
        one.grow(1)


def test_one_user_holds_a_quarter_of_the_room_however_many_requests_are_made() -> None:
    room = BodyRoom(100)
    one, another = room.lease("kim"), room.lease("kim")
    one.grow(20)
    with pytest.raises(LimitReached):
        another.grow(6)
    room.lease("lee").grow(25)
    one.shrink(5)
    another.grow(20)


def test_one_user_may_hold_one_body_of_the_largest_size() -> None:
    room = BodyRoom(100, 70)
    room.lease("kim").grow(70)
    with pytest.raises(LimitReached):
        room.lease("kim").grow(1)
    room.lease("lee").grow(30)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50))))
def test_the_room_is_whole_again_when_all_have_ended(steps: list[tuple[int, int]]) -> None:
    room = BodyRoom(100)
    leases = [room.lease(user) for user in ("kim", "kim", "lee")]
    for number, size in steps:
        try:
            leases[number].grow(size)
        except LimitReached:
            leases[number].end()
    for lease in leases:
        lease.end()
    for user in ("kim", "lee", "park", "choi"):
        room.lease(user).grow(25)
    with pytest.raises(LimitReached):
        room.lease("jung").grow(1)


async def test_who_sent_much_at_once_may_not_dawdle_with_the_room_of_all(database_url: str, gemini: FakeGemini) -> None:
    # Four users hold all of the room, and send a byte now and then from there on, which is no pace at all.
    settings = {"client_seconds_max": 2, "bodies_bytes_max": 4 * SIZE, "body_bytes_max": SIZE}
    async with stage(database_url, gemini, **settings) as served, AsyncExitStack() as opened:
        await served.open("kim")
        clients = []
        for user in ("lee", "park", "choi", "jung"):
            await served.open(user)
            client = await opened.enter_async_context(wire(served.url))
            head = f"POST {CALL} HTTP/1.1\r\nhost: g\r\nx-goog-api-key: {served.key}\r\nx-jangbu-user: {user}\r\n"
            await client.send(f"{head}content-length: {SIZE}\r\n\r\n".encode() + b" " * (SIZE - 1_000))
            clients.append(client)

        async def is_served() -> bool:
            for client in clients:
                await client.send(b" ")
            return (await served.generate("x" * 2_000))[0] == 200

        await until(is_served)
