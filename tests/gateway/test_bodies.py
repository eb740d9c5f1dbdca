"""Bodies of requests: what they may hold, and how much of them is held at once."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.errors import InvalidInput, LimitReached, TooLarge
from jangbu.gateway.bodies import VALUES_MOST, BodyRoom, decoded_size, json_bytes, json_object
from jangbu.testing import FakeGemini
from tests.gateway.raw import post, provider, running, said, until, wire
from tests.gateway.stage import FLASH, Stage, asked, stage

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
    with pytest.raises(InvalidInput, match="more than 50,000 values"):
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
    # As it came, and once more with four bytes for each character.
    room = BodyRoom(100, 14)
    one = room.lease("kim")
    one.grow(14)
    one.grow(4 * 14)
    with pytest.raises(LimitReached):
        room.lease("kim").grow(1)
    room.lease("lee").grow(30)


def test_what_never_finds_room_is_too_large() -> None:
    with pytest.raises(TooLarge):
        BodyRoom(100, 100).lease("kim").grow(101)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_a_body_is_never_read_into_more_memory_than_it_is_held_for(text: str, escaped: bool) -> None:
    body = json.dumps({"": text}, ensure_ascii=escaped).encode()
    assert len(text) * width(json_object(body)[""]) <= decoded_size(body)


def width(text: str) -> int:
    """Give how many bytes Python gives each character of a text."""
    widest = max(map(ord, text), default=0)
    return 1 if widest < 0x100 else 2 if widest < 0x10000 else 4


def test_an_ordinary_body_is_held_for_as_it_is() -> None:
    assert decoded_size(b'{"data": "' + b"A" * 1_000 + b'"}') == 1_012


@pytest.mark.parametrize("is_large", [True, False])
def test_what_is_written_piece_by_piece_is_written_alike(is_large: bool) -> None:
    value = {"가": ["\U0001f600", "\u2028", 1, 0.5, None, True, {"": []}], "b": {}}
    assert json_bytes(value, is_large=is_large) == json.dumps(value, ensure_ascii=False).encode()


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


@pytest.mark.parametrize(
    ("user", "status"),
    [
        pytest.param("lee", 402, id="who has nothing left"),
        pytest.param("park", 403, id="who is blocked"),
        pytest.param("choi", 404, id="who has no account"),
    ],
)
@pytest.mark.parametrize(
    "begun",
    [
        pytest.param("content-length: 1000000\r\n\r\n", id="announced"),
        pytest.param("transfer-encoding: chunked\r\n\r\n11170\r\n" + " " * 0x11170 + "\r\n", id="in chunks"),
    ],
)
async def test_a_large_body_is_not_read_for_who_cannot_pay_for_it(
    served: Stage, begun: str, user: str, status: int
) -> None:
    await served.open("lee", 0)
    await served.open("park")
    await served.ledger.accounts.block("park")
    async with wire(served.url) as client:
        head = f"POST {CALL} HTTP/1.1\r\nhost: g\r\nx-goog-api-key: {served.key}\r\nx-jangbu-user: {user}\r\n"
        await client.send((head + begun).encode())
        assert (await client.answer()).status == status


async def test_the_widest_body_takes_memory_for_a_moment_and_little_of_it_while_it_is_answered(
    database_url: str, tmp_path: Path
) -> None:
    body = json.dumps(asked("\U0001f600" + "a" * 19_000_000), ensure_ascii=False).encode()
    is_sent, answers = asyncio.Event(), asyncio.Event()

    async def late(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_sent.set()
        await answers.wait()
        writer.write(said(b'{"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}}'))
        writer.close()

    async with (
        provider(late) as up,
        running(database_url, up.url, tmp_path) as served,
        wire(served.url) as client,
    ):
        served.service.forget_most()
        before = served.service.resident
        await client.send(post(CALL, body, served.key))
        await is_sent.wait()
        assert served.service.resident_most - before < 10 * len(body)
        assert served.service.resident - before < 3 * len(body)
        answers.set()
        assert (await client.answer()).status == 200
