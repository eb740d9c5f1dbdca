"""A generateContent that stops short is gone on with by its token: by Google's client itself, and by its user alone."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from google import genai
from google.genai import types

from jangbu.testing import Behaviour, Recorded
from tests.gateway.book import asked as asked_database
from tests.gateway.book import came, findings, records, require_sound
from tests.gateway.stage import FLASH, GRANT, Stage, asked, inline

CALL = f"/v1beta/models/{FLASH}:generateContent"
STREAM = f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"
TOKEN, AS_THE_CLIENT_WRITES_IT = "+/+/AAE=", "-_-_AAE="
HALF_WAY = "aGFsZg=="

pytestmark = pytest.mark.skipif(
    "CONTINUATION" not in types.FinishReason.__members__, reason="this google-genai continues nothing by itself"
)


@pytest.fixture(autouse=True)
async def clean_book(served: Stage) -> AsyncIterator[None]:
    """Let there be lee beside kim; whatever they did, the book adds up afterwards."""
    await served.open("lee")
    yield
    await require_sound(served)


def chunk(text: str, total: int, **candidate: Any) -> dict[str, Any]:
    """Give what the provider writes: a part of the text, and all tokens until then."""
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **candidate}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": total - 10, "totalTokenCount": total},
        "modelVersion": FLASH,
        "responseId": f"id-{total}",
    }


def stops_short(served: Stage, total: int = 110, token: str = TOKEN) -> None:
    """Have the provider stop the next call in the middle."""
    body = json.dumps(chunk("once ", total, finishReason="CONTINUATION", continuationToken=token)).encode()
    served.gemini.next(Behaviour(recorded=Recorded(body)))


def stops_short_in_events(served: Stage, *last: Mapping[str, Any], cut: int | None = None) -> None:
    """Have the provider stop the next stream in the middle: it shows a token half-way, and what is given last."""
    events = [chunk("once ", 60, continuationToken=HALF_WAY), *last]
    body = "".join(f"data: {json.dumps(event)}\r\n\r\n" for event in events).encode()
    served.gemini.next(Behaviour(recorded=Recorded(body, "text/event-stream"), cut=cut))


def client_of(served: Stage) -> genai.Client:
    options = types.HttpOptions(base_url=served.url, headers={"x-jangbu-user": "kim"})
    return genai.Client(api_key=served.key, http_options=options)


def tokens_sent(served: Stage) -> list[str | None]:
    """Give the token that each call showed to the provider."""
    return [json.loads(request.body).get("continuationToken") for request in served.gemini.requests()]


async def streamed(served: Stage) -> list[str | None]:
    """Have Google's client ask for a stream; give the texts that it hands to the app."""
    client = client_of(served).aio
    stream = await client.models.generate_content_stream(model=FLASH, contents="a long story")
    texts = [answer.text async for answer in stream]
    await client.aclose()
    return texts


async def test_googles_client_goes_on_by_itself_and_each_hop_is_charged_once(served: Stage) -> None:
    stops_short(served)
    stops_short(served, 210, "c2Vjb25k")
    served.gemini.next("prompt=20; candidates=30; thoughts=0")
    client = client_of(served).aio
    answer = await client.models.generate_content(model=FLASH, contents="a long story")
    await client.aclose()
    assert tokens_sent(served) == [None, AS_THE_CLIENT_WRITES_IT, "c2Vjb25k"]
    assert [record.tokens for record in await records(served)] == [110, 210, 50]
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count == 370
    assert await served.used() == (370, 0)
    assert (await served.ledger.accounts.balance("kim")).available == GRANT - 370
    assert await findings(served) == []


@pytest.mark.parametrize(
    ("last", "token"),
    [
        ([chunk("upon ", 110, finishReason="CONTINUATION", continuationToken=TOKEN)], AS_THE_CLIENT_WRITES_IT),
        ([chunk("upon ", 110)], HALF_WAY),
    ],
)
async def test_googles_client_goes_on_with_a_stream(served: Stage, last: list[dict[str, Any]], token: str) -> None:
    stops_short_in_events(served, *last)
    served.gemini.next("prompt=20; candidates=30; thoughts=0")
    assert (await streamed(served))[:2] == ["once ", "upon "]
    assert tokens_sent(served) == [None, token]
    assert [record.tokens for record in await records(served)] == [110, 50]
    assert await served.used() == (160, 0)


async def test_googles_client_goes_on_with_a_stream_that_broke_off(served: Stage) -> None:
    stops_short_in_events(served, chunk("upon ", 110), chunk("a time", 160), cut=2)
    served.gemini.next("prompt=20; candidates=30; thoughts=0")
    assert (await streamed(served))[:2] == ["once ", "upon "]
    assert tokens_sent(served) == [None, HALF_WAY]
    assert [record.tokens for record in await records(served)] == [110, 50]
    assert (await served.used(), await findings(served)) == ((160, 0), ["partial"])


@pytest.mark.parametrize("path", [CALL, STREAM])
async def test_only_who_was_given_a_token_goes_on_with_it(served: Stage, path: str) -> None:
    stops_short_in_events(served, chunk("upon ", 110, finishReason="CONTINUATION", continuationToken=TOKEN))
    await served.post(STREAM, asked())
    before = len(served.gemini.requests())
    for token in (TOKEN, AS_THE_CLIENT_WRITES_IT, AS_THE_CLIENT_WRITES_IT.rstrip("="), HALF_WAY, "bm9ib2R5cw=="):
        for spelling in ("continuationToken", "continuation_token"):
            status, answer, _ = await served.post(path, {**asked(), spelling: token}, user="lee")
            assert (status, answer["error"]["status"]) == (404, "NOT_FOUND")
            assert token not in answer["error"]["message"]
    assert (came(served, since=before), await served.used("lee")) == ([], (0, 0))
    for token in (TOKEN, AS_THE_CLIENT_WRITES_IT, HALF_WAY):
        assert (await served.post(path, {**asked(), "continuationToken": token}))[0] == 200


async def test_what_was_written_before_is_held_for(served: Stage) -> None:
    stops_short(served, 50_000)
    await served.post(CALL, asked())
    served.gemini.next("prompt=50000; candidates=10")
    assert (await served.post(CALL, {**asked(maxOutputTokens=10), "continuationToken": TOKEN}))[0] == 200
    assert await findings(served) == [], "the context was held for"


async def test_a_context_that_cannot_be_paid_for_is_refused_also_when_it_is_counted(served: Stage) -> None:
    stops_short(served, 50_000)
    await served.post(CALL, asked())
    await served.ledger.accounts.adjust("kim", 50_000 + 1_000 - GRANT, key="less", reason="a test")
    before = len(served.gemini.requests())
    status, answer, _ = await served.post(CALL, {**asked("x" * 2_000), "continuationToken": TOKEN})
    assert (status, answer["error"]["details"][0]["reason"]) == (402, "INSUFFICIENT_BALANCE")
    assert int(answer["error"]["details"][0]["metadata"]["needed"]) > 50_000
    assert [line.rpartition(":")[2] for line in came(served, since=before)] == ["countTokens"]
    assert "continuationToken" not in served.gemini.requests()[-1].body.decode(), "its input is counted apart"


async def test_what_is_not_known_of_a_context_is_as_much_as_the_model_takes_in(served: Stage) -> None:
    body = {name: value for name, value in chunk("once ", 110).items() if name != "usageMetadata"}
    body["candidates"][0] |= {"finishReason": "CONTINUATION", "continuationToken": TOKEN}
    served.gemini.next(Behaviour(recorded=Recorded(json.dumps(body).encode())))
    await served.post(CALL, asked())
    [row] = await asked_database(
        served, "SELECT metadata ->> 'context_tokens' AS most FROM jangbu.resources WHERE name LIKE 'continuations/%'"
    )
    assert row["most"] == "1048576"


async def test_a_batch_that_goes_on_from_an_answer_holds_what_was_written_before(served: Stage) -> None:
    stops_short(served, 50_000)
    await served.post(CALL, asked())
    single = {**asked(maxOutputTokens=10), "continuationToken": TOKEN}
    batch = CALL.replace("generateContent", "batchGenerateContent")
    assert (await served.post(batch, inline(single), user="lee"))[0] == 404
    assert (await served.post(batch, inline(single)))[0] == 200
    _, held = await served.used()
    assert 50_000 < held < 51_000
