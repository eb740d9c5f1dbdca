"""Media whose size does not tell their length: a call holds for Google's count of them, a batch for all that fits."""

import asyncio
import base64
import json
from typing import Any

import pytest

from jangbu.testing import Behaviour, FakeGemini, Recorded
from tests.gateway.book import came, holds
from tests.gateway.raw import PATIENCE_SECONDS, provider, said
from tests.gateway.stage import FLASH, Stage, stage
from tests.gateway.test_later import BATCH
from tests.gateway.test_limits import ANSWER

CALL = f"/v1beta/models/{FLASH}:generateContent"
COUNT = f"/v1beta/models/{FLASH}:countTokens"
INTERACTIONS = "/v1beta/interactions"
HOUR = 1_044_000
"""The tokens of an hour of film with a picture a second: 258 for each, and 32 for its sound."""
ALL = 1_048_576
DATA = base64.b64encode(bytes(50_000)).decode()
FILM = {"inlineData": {"mimeType": "video/mp4", "data": DATA}}
GENERATED = {
    "contents": [{"role": "user", "parts": [FILM]}],
    "generationConfig": {"maxOutputTokens": 1_000},
}
INTERACTED = {
    "model": FLASH,
    "input": [{"type": "video", "data": DATA, "processing": {"type": "static", "fps": 24}}],
    "generation_config": {"max_output_tokens": 1_000},
}


def count(served: Stage, tokens: int) -> None:
    """Have Google count so many tokens."""
    answer = json.dumps({"totalTokens": tokens}).encode()
    served.gemini.when(Behaviour(recorded=Recorded(answer)), path=":countTokens")


@pytest.mark.parametrize(("path", "body"), [(CALL, GENERATED), (INTERACTIONS, INTERACTED)])
async def test_an_hour_in_few_bytes_is_not_sent_for_who_cannot_pay_for_an_hour(
    served: Stage, path: str, body: dict[str, Any]
) -> None:
    await served.open("lee", tokens=60_000)
    count(served, HOUR)
    status, answer, _ = await served.post(path, body, user="lee")
    assert (status, answer["error"]["details"][0]["reason"]) == (402, "INSUFFICIENT_BALANCE")
    assert came(served) == [f"POST {COUNT}"]
    assert await holds(served) == []


async def test_a_film_is_counted_with_as_many_pictures_a_second_as_are_asked_for(served: Stage) -> None:
    await served.open("lee", tokens=60_000)
    assert (await served.post(INTERACTIONS, INTERACTED, user="lee"))[0] == 200
    [asked] = [json.loads(request.body) for request in served.gemini.requests() if request.path.endswith(COUNT)]
    [content] = asked["generateContentRequest"]["contents"]
    assert [part["videoMetadata"] for part in content["parts"] if "inlineData" in part] == [{"fps": 24}]


async def test_a_film_locks_no_more_than_it_is_counted_for(database_url: str, gemini: FakeGemini) -> None:
    is_called, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found: dict[str, Any] = {"totalTokens": 5_000}
        if COUNT.encode() not in google.heads[-1]:
            is_called.set()
            await may_answer.wait()
            found = ANSWER
        writer.write(said(json.dumps(found).encode(), "connection: close"))
        writer.close()

    async with provider(answer) as google, stage(database_url, gemini, upstream_url=google.url) as served:
        await served.open("lee", tokens=ALL + 1_000)
        call = asyncio.create_task(served.post(CALL, GENERATED, user="lee"))
        await asyncio.wait_for(is_called.wait(), PATIENCE_SECONDS)
        assert await served.used("lee") == (0, 6_000)
        may_answer.set()
        assert (await call)[0] == 200
        assert [head.partition(b" HTTP")[0].decode() for head in google.heads] == [f"POST {COUNT}", f"POST {CALL}"]
        assert (await served.used("lee"))[1] == 0


async def test_what_google_does_not_count_is_not_sent(served: Stage) -> None:
    await served.open("lee", tokens=ALL + 999)
    served.gemini.when("503", path=":countTokens")
    status, answer, _ = await served.post(CALL, GENERATED, user="lee")
    assert (status, answer["error"]["details"][0]["reason"]) == (503, "UNCOUNTED_INPUT")
    assert came(served) == [f"POST {COUNT}"]
    assert await holds(served) == []


async def test_in_a_batch_each_film_holds_all_that_the_model_takes_in(served: Stage) -> None:
    await served.open("lee", tokens=2 * ALL + 1)
    body = {"batch": {"inputConfig": {"requests": {"requests": [{"request": GENERATED}] * 2}}}}
    refused, answer, _ = await served.post(BATCH, body, user="lee")
    assert (refused, answer["error"]["details"][0]["reason"]) == (402, "INSUFFICIENT_BALANCE")
    await served.ledger.accounts.grant("lee", 1, key="one-more")
    assert (await served.post(BATCH, body, user="lee"))[0] == 200
    assert await served.used("lee") == (0, 2 * ALL + 2)


async def test_a_cache_brings_no_film_along_that_the_model_goes_through(served: Stage) -> None:
    for treatment, expected in (("AGENTIC", 400), ("STATIC", 200)):
        contents = [{"role": "user", "parts": [{**FILM, "mediaProcessing": treatment}]}]
        body = {"model": f"models/{FLASH}", "contents": contents}
        assert (await served.post("/v1beta/cachedContents", body))[0] == expected
