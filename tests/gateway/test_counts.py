"""Input that the provider alone can count: where it does not, the call is refused and nothing comes of it."""

import json
from typing import Any

import pytest

from jangbu.testing import Behaviour, Recorded
from tests.gateway.book import came, holds
from tests.gateway.stage import FLASH, GRANT, Stage, asked

CALL = f"/v1beta/models/{FLASH}:generateContent"
COUNT = f"/v1beta/models/{FLASH}:countTokens"
VIDEO = "https://www.youtube.com/watch?v=9hE5-98ZeCg"
BY_URI = {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": VIDEO}}]}]}
NOTHING = Behaviour(recorded=Recorded(b"{}"))


@pytest.mark.parametrize("counted", ["400", "429", "503", "html", "cut", NOTHING])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CALL, BY_URI),
        (CALL.replace("generate", "streamGenerate"), BY_URI),
        ("/v1beta/interactions", {"model": FLASH, "input": [{"type": "video", "uri": VIDEO}]}),
    ],
)
async def test_a_call_whose_input_nobody_counts_is_refused_and_says_what_to_do(
    served: Stage, path: str, body: dict[str, Any], counted: str | Behaviour
) -> None:
    served.gemini.when(counted, path=":countTokens")
    status, answer, _ = await served.post(path, body)
    error = answer["error"]
    assert (status, error["code"], error["status"]) == (503, 503, "UNAVAILABLE")
    assert error["details"][0]["reason"] == "UNCOUNTED_INPUT"
    assert "countTokens" in error["message"]
    assert "inline or as an uploaded file" in error["message"]
    assert came(served) == [f"POST {COUNT}"]
    assert (await served.used(), await holds(served)) == ((0, 0), [])


async def test_a_call_that_is_bounded_by_its_bytes_needs_no_count(served: Stage) -> None:
    served.gemini.when("503", path=":countTokens")
    await served.open("lee", tokens=GRANT)
    assert (await served.post(CALL, asked("x" * 1000), user="lee"))[0] == 200
    await served.open("park", tokens=5)
    assert (await served.post(CALL, asked("x" * 1000), user="park"))[0] == 402


EMBEDDED = {"content": {"parts": [{"text": "word " * 1_000}]}}


async def test_an_embedding_that_reports_nothing_and_is_not_counted_stays_held(served: Stage) -> None:
    served.gemini.when("429", path="countTokens")
    status, _, headers = await served.post("/v1beta/models/gemini-embedding-001:embedContent", EMBEDDED)
    assert (status, "x-jangbu-tokens-charged" in headers) == (200, False)
    used, held = await served.used()
    assert used == 0
    assert held >= 1_000
    assert await holds(served) == ["unknown"]


async def test_a_count_that_fails_once_is_asked_for_again(served: Stage) -> None:
    for behaviour in ("", "503"):
        served.gemini.next(behaviour)
    await served.post("/v1beta/models/gemini-embedding-001:embedContent", EMBEDDED)
    used, held = await served.used()
    assert (used > 0, held) == (True, 0)


@pytest.mark.parametrize("given", ["word " * 1_000, ["word"] * 1_000])
async def test_an_embedding_in_the_words_of_openai_that_reports_nothing_is_counted(served: Stage, given: Any) -> None:
    answer = {"object": "list", "data": [{"object": "embedding", "embedding": [0.1], "index": 0}]}
    silent = Behaviour(recorded=Recorded(json.dumps(answer).encode()))
    served.gemini.when(silent, path="/openai/embeddings")
    await served.post("/v1beta/openai/embeddings", {"model": "gemini-embedding-001", "input": given})
    used, held = await served.used()
    assert (used > 0, held) == (True, 0)
