"""The requests of an upload count under the limits of the key with which it was begun, though they show no key."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google import genai
from google.genai import types

from jangbu.domain.keys import KeyKind
from tests.gateway.raw import until
from tests.gateway.stage import Stage
from tests.gateway.test_limits import in_a_fresh_minute, is_under_way
from tests.gateway.test_uploads import DONE, START, sent

QUERY = {"x-goog-upload-command": "query"}


async def begun(served: Stage, key: str) -> str:
    """Begin an upload by a key; give the address where it goes on."""
    status, _, headers = await served.post("/upload/v1beta/files", {}, key=key, **START)
    assert status == 200
    return headers["x-goog-upload-url"]


async def asked_often(served: Stage, url: str, times: int) -> list[int]:
    """Ask so many times how far an upload came."""
    return [(await sent(served, url, b"", QUERY))[0] for _ in range(times)]


async def test_who_asks_how_far_an_upload_came_keeps_the_pace_of_its_key(served: Stage) -> None:
    await in_a_fresh_minute(served)
    _, slow = await served.ledger.keys.create_for_app("slow", requests_per_minute=3, concurrent_calls=1)
    url = await begun(served, slow)
    assert await asked_often(served, url, 4) == [200, 200, 429, 429]
    status, answer, headers = await sent(served, url, b"0123456789")
    assert (status, answer["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")  # type: ignore[index]
    assert 0 < int(headers["retry-after"]) <= 60
    assert (await served.post("/upload/v1beta/files", {}, key=slow, **START))[0] == 429
    assert len(served.gemini.requests()) == 3


async def test_an_upload_counts_under_the_limits_of_the_key_that_made_its_own(served: Stage) -> None:
    await in_a_fresh_minute(served)
    keys = served.ledger.keys
    _, secret = await keys.create_for_app("maker", scopes=["api:owner", "files"], requests_per_minute=2)
    maker = await keys.authenticate(secret)
    draft = keys.drafted(KeyKind.APP, "made", None, ["files"], None, (2, None, None), None)
    _, made = await keys.make_for(maker, draft, once="made")
    assert made is not None
    await begun(served, secret)
    url = await begun(served, made)
    assert await asked_often(served, url, 1) == [429]


async def test_bytes_that_are_under_way_are_a_call_of_the_keys(served: Stage) -> None:
    _, narrow = await served.ledger.keys.create_for_app("narrow", concurrent_calls=1)
    url, other = await begun(served, narrow), await begun(served, narrow)
    may_end = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"01234"
        await may_end.wait()
        yield b"56789"

    first = asyncio.create_task(sent(served, url, pieces()))
    await until(lambda: is_under_way(served, 1))
    assert await asked_often(served, other, 1) == [429]
    may_end.set()
    assert (await first)[0] == 200
    assert (await sent(served, other, b"0123456789", DONE))[0] == 200
    assert await is_under_way(served, 0)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # The client does that.
async def test_googles_client_uploads_piece_by_piece_under_usual_limits(served: Stage, tmp_path: Path) -> None:
    await in_a_fresh_minute(served)
    _, key = await served.ledger.keys.create_for_app("usual", requests_per_minute=4, concurrent_calls=1)
    path = tmp_path / "picture.png"
    path.write_bytes(bytes(20_000_000))
    options = types.HttpOptions(base_url=served.url, headers={"x-jangbu-user": "kim"})
    with genai.Client(api_key=key, http_options=options) as client:
        file = await asyncio.to_thread(client.files.upload, file=path)
    assert file.size_bytes == 20_000_000
    assert [request.method for request in served.gemini.requests()] == ["POST"] * 4
