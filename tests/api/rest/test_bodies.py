"""Bodies that come slowly, or many at once."""

import asyncio

import pytest

from jangbu.api.rest.bodies import Bodies
from jangbu.domain.keys import Role
from jangbu.errors import LimitReached
from tests.api.rest.stage import stage


async def test_a_body_that_does_not_come_is_not_waited_for(database_url: str) -> None:
    async with stage(database_url, client_seconds_max=1) as api:
        host, port = api.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /api/v1/records HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {api.secrets[Role.OWNER]}\r\n"
            "idempotency-key: slow\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
        )
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert (await api.get("/accounts")).status == 200


def test_all_bodies_together_are_bounded_and_give_their_room_back() -> None:
    bodies = Bodies(1_000, seconds=1)
    with bodies.share() as first:
        first.grow(bodies.most)
        with bodies.share() as second, pytest.raises(LimitReached):
            second.grow(1)
    assert bodies.taken == 0
