"""Batches whose requests stand in a file: nobody sees what they ask for, so the file's size is what is held for."""

import json
from collections.abc import AsyncIterator

import pytest

from jangbu.testing import Behaviour, FakeGemini, Recorded
from tests.gateway.book import asked as asked_database
from tests.gateway.book import came, holds, require_sound
from tests.gateway.raw import provider, said
from tests.gateway.stage import GRANT, Stage, asked, stage
from tests.gateway.test_later import BATCH, from_file, started
from tests.gateway.test_resources import uploaded


@pytest.fixture(autouse=True)
async def clean_book(served: Stage) -> AsyncIterator[None]:
    """Whatever a test did, the book adds up afterwards."""
    yield
    await require_sound(served)


def lines(size: int) -> bytes:
    """Give the lines of a batch, with spaces up to a size."""
    return json.dumps({"key": "1", "request": asked("one")}).encode().ljust(size)


async def test_the_files_bytes_and_half_of_what_is_left_are_held(served: Stage) -> None:
    source = await uploaded(served, lines(100_000))
    await started(served, from_file(source))
    first = 100_000 + (GRANT - 100_000) // 2
    assert await served.used() == (0, first)
    await started(served, from_file(source))
    assert await served.used() == (0, first + 100_000 + (GRANT - first - 100_000) // 2)


async def test_output_that_cannot_be_limited_is_not_said_to_be(served: Stage) -> None:
    body = from_file(await uploaded(served, lines(500)))
    status, _, headers = await served.post(BATCH, body)
    assert (status, headers.get("x-jangbu-output-limit")) == (200, None)
    assert json.loads(served.gemini.requests()[-1].body) == body


@pytest.mark.parametrize("tokens", [0, 500 + 1_023])
async def test_who_cannot_pay_for_the_file_and_an_answer_starts_nothing(served: Stage, tokens: int) -> None:
    await served.open("lee", tokens=tokens)
    source = await uploaded(served, lines(500), user="lee")
    before = len(served.gemini.requests())
    status, answer, _ = await served.post(BATCH, from_file(source), user="lee")
    assert (status, answer["error"]["status"]) == (402, "FAILED_PRECONDITION")
    assert answer["error"]["details"][0]["metadata"] == {"needed": "1524", "available": str(tokens)}
    assert came(served, since=before) == [f"GET /v1beta/{source}"]


async def test_embeddings_hold_for_the_file_alone(database_url: str, served: Stage, gemini: FakeGemini) -> None:
    source = await uploaded(served)
    shown = said(b'{"name": "batches/e1", "sizeBytes": "5000"}')
    async with provider(shown) as google, stage(database_url, gemini, upstream_url=google.url) as other:
        path = "/v1beta/models/gemini-embedding-001:asyncBatchEmbedContent"
        assert (await other.post(path, from_file(source)))[0] == 200
    assert await served.used() == (0, 5_000)


@pytest.mark.parametrize(
    "shown",
    [
        said(b'{"error": {"code": 404}}', status="404 Not Found"),
        said(b'{"sizeBytes": "5000"}', status="500 Internal Server Error"),
        said(b'{"sizeBytes": "many"}'),
        said(b"<html>"),
    ],
)
async def test_a_file_whose_size_is_not_told_starts_nothing(
    database_url: str, served: Stage, gemini: FakeGemini, shown: bytes
) -> None:
    source = await uploaded(served)
    async with provider(shown) as google, stage(database_url, gemini, upstream_url=google.url) as other:
        status, answer, _ = await other.post(BATCH, from_file(source))
        assert [head.split(b" ")[0] for head in google.heads] == [b"GET"]
    assert (status, answer["error"]["status"]) == (502, "UNAVAILABLE")
    assert source in answer["error"]["message"]
    assert (await served.used(), await holds(served)) == ((0, 0), [])


async def test_who_is_blocked_learns_no_size(served: Stage) -> None:
    source = await uploaded(served, lines(500))
    await served.ledger.accounts.block("kim")
    before = len(served.gemini.requests())
    assert (await served.post(BATCH, from_file(source)))[0] == 403
    assert came(served, since=before) == []


async def test_results_beyond_what_was_held_are_charged_and_shown_as_an_overrun(served: Stage) -> None:
    await served.open("lee", tokens=1_600)
    source = await uploaded(served, lines(500), user="lee")
    _, answer, _ = await served.post(BATCH, from_file(source), user="lee")
    assert await served.used("lee") == (0, 500 + 1_024)
    counts = {"promptTokenCount": 500, "candidatesTokenCount": 2_500, "totalTokenCount": 3_000}
    responses = {"inlinedResponses": {"inlinedResponses": [{"response": {"candidates": [], "usageMetadata": counts}}]}}
    done = {"name": answer["name"], "metadata": {"state": "BATCH_STATE_SUCCEEDED"}, "done": True, "response": responses}
    served.gemini.when(Behaviour(recorded=Recorded(json.dumps(done).encode())), path=answer["name"])
    assert (await served.get(f"/v1beta/{answer['name']}", user="lee"))[0] == 200
    assert await served.used("lee") == (3_000, 0)
    [shown] = await asked_database(served, "SELECT -sum(delta) AS tokens FROM jangbu.entries WHERE kind = 'overrun'")
    assert shown["tokens"] > 0
