"""OpenAI's clients through the gateway: chat, streams, embeddings and images."""

import json
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jangbu.gateway.openai_streams import UsageEvents
from jangbu.testing import Behaviour, Recorded
from tests.gateway.book import came, records, require_sound
from tests.gateway.stage import FLASH, Stage

CHAT = "/v1beta/openai/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
async def clean_book(served: Stage) -> AsyncIterator[None]:
    """Whatever a test did, the book adds up afterwards."""
    yield
    await require_sound(served)


def chat(**given: Any) -> dict[str, Any]:
    return {"model": FLASH, "messages": HELLO, **given}


def sent(served: Stage) -> dict[str, Any]:
    """Give the body of the last request that came to the provider."""
    found: dict[str, Any] = json.loads(served.gemini.requests()[-1].body)
    return found


async def test_a_chat_is_recorded_with_the_thoughts_that_it_hides(served: Stage) -> None:
    status, answer, headers = await served.post(CHAT, chat(max_tokens=200))
    assert status == 200
    usage = answer["usage"]
    assert usage["total_tokens"] > usage["prompt_tokens"] + usage["completion_tokens"]
    [record] = await records(served)
    assert (record.tokens, record.model, record.service, record.surface) == (
        usage["total_tokens"],
        FLASH,
        "text_generation",
        "openai",
    )
    assert headers["x-jangbu-tokens-charged"] == str(record.tokens)
    assert await served.used() == (record.tokens, 0)


async def test_the_bearer_is_the_key_and_the_version_may_be_left_out(served: Stage) -> None:
    for path in (CHAT, "/openai/chat/completions", "/v1/openai/chat/completions"):
        headers = {"authorization": f"Bearer {served.key}", "x-jangbu-user": "kim"}
        async with served.http.post(served.url + path, json=chat(), headers=headers) as answer:
            assert answer.status == 200
    assert len(await records(served)) == 3


async def test_a_stream_whose_client_asks_for_usage_passes_byte_for_byte(served: Stage) -> None:
    body = chat(stream=True, stream_options={"include_usage": True}, max_tokens=200)
    status, answer, _ = await served.post(CHAT, body)
    assert status == 200
    assert sent(served) == body
    assert answer == await direct(served, body, answer)
    assert answer.count(b'"usage"') == 1
    [record] = await records(served)
    assert str(record.tokens).encode() in answer


@pytest.mark.parametrize(
    "options", [{}, {"stream_options": None}, {"stream_options": {}}, {"stream_options": {"include_usage": False}}]
)
async def test_a_stream_whose_client_does_not_ask_is_metered_without_its_noticing(
    served: Stage, options: dict[str, Any]
) -> None:
    body = chat(stream=True, max_tokens=200, **options)
    status, answer, headers = await served.post(CHAT, body)
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    assert sent(served)["stream_options"] == {"include_usage": True}
    assert {**sent(served), "stream_options": None} == {**body, "stream_options": None}
    plain = await direct(served, body, answer)
    assert b'"usage"' not in answer
    assert answer.endswith(b"data: [DONE]\n\n")
    assert answer == plain
    [record] = await records(served)
    assert record.tokens > 0
    assert await served.used() == (record.tokens, 0)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"stream_options": {"include_usage": "false"}}, id="a text"),
        pytest.param({"stream_options": {"include_usage": "no"}}, id="another text"),
        pytest.param({"stream_options": {"include_usage": "true"}}, id="a text that says true"),
        pytest.param({"stream_options": {"include_usage": ["x"]}}, id="a list"),
        pytest.param({"stream_options": {"include_usage": 1}}, id="a number"),
        pytest.param({"stream_options": {"include_usage": {}}}, id="an object"),
        pytest.param({"stream_options": "x"}, id="options that are a text"),
        pytest.param({"stream_options": [{"include_usage": True}]}, id="options that are a list"),
        pytest.param({"stream_options": True}, id="options that are true"),
        pytest.param({"streamOptions": {"includeUsage": False}}, id="options in another spelling"),
        pytest.param({"stream_options": {"includeUsage": False}}, id="usage in another spelling"),
        pytest.param({"stream_options": {"includeUsage": False, "other": 1}}, id="usage in another spelling, and more"),
    ],
)
async def test_options_in_which_the_provider_may_read_that_no_usage_comes_are_refused(
    served: Stage, given: dict[str, Any]
) -> None:
    status, answer, _ = await served.post(CHAT, chat(stream=True, max_tokens=200, **given))
    error = answer["error"]
    assert (status, error["status"]) == (400, "INVALID_ARGUMENT")
    assert "stream_options" in error["message"] or "include_usage" in error["message"]
    assert (came(served), await served.used()) == ([], (0, 0))


CREATED = re.compile(rb'"created":\d+')


async def direct(served: Stage, body: dict[str, Any], like: bytes) -> bytes:
    """Give what the provider answers to the same request, with the id of the last answer and the moment of `like`."""
    served.gemini.forget_behaviours()
    headers = {"x-goog-api-key": "AIza-the-upstream-key"}
    [logged] = [answer for answer in served.gemini.answers() if answer.surface == "openai_chat"][-1:]
    async with served.http.post(served.gemini.url + CHAT, json=body, headers=headers) as response:
        content = await response.read()
    own = served.gemini.answers()[-1].response_id
    assert own is not None
    assert logged.response_id is not None
    [moment] = set(CREATED.findall(like))
    return CREATED.sub(moment, content.replace(own.encode(), logged.response_id.encode()))


EVENTS = [
    b'data: {"id":"a","choices":[{"index":0,"delta":{"content":"\\"usage\\""}}]}\r\n\r\n',
    b": a comment\n\n",
    b'data: {"id":"a","choices":[],"usage":null}\n\n',
    b'event: x\ndata: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"total_tokens":3}}\n\n',
    b'data: {"id":"a",\ndata: "choices":[],"usage":{"total_tokens":9}}\r\n\r\n',
    b'data: {"choices":[],"usage":{"total_tokens":9}}\r\r',
    b'data: not JSON "usage"\n\n',
    b"data: [DONE]\n\n",
    b"data: without an end",
]


def test_only_events_of_nothing_but_usage_are_taken_out_however_the_bytes_are_cut() -> None:
    stream = b"".join(EVENTS)
    expected = b"".join(event for number, event in enumerate(EVENTS) if number not in (4, 5))
    chance = random.Random(7)
    for size in [1, 2, 3, 5, len(stream), *(chance.randint(1, 60) for _ in range(50))]:
        events = UsageEvents()
        passed = b"".join(events.feed(stream[at : at + size]) for at in range(0, len(stream), size))
        assert passed + events.rest() == expected, size


def test_a_long_event_in_small_pieces_is_looked_at_once() -> None:
    events = UsageEvents()
    for _ in range(20_000):
        assert events.feed(b"x" * 100) == b""
    assert len(events.feed(b"\n\n")) == 2_000_002


@pytest.mark.parametrize("asks", [False, True])
async def test_a_stream_that_turns_into_an_error_costs_nothing(served: Stage, asks: bool) -> None:
    served.gemini.next("error_after=2")
    status, answer, _ = await served.post(CHAT, chat(stream=True, stream_options={"include_usage": asks}))
    assert (status, b'"error"' in answer) == (200, True)
    assert (await served.used(), await records(served)) == ((0, 0), [])


@pytest.mark.parametrize(
    ("given", "field"),
    [
        pytest.param({"max_tokens": 60_000}, "max_tokens", id="max_tokens"),
        pytest.param({"max_completion_tokens": 60_000}, "max_completion_tokens", id="max_completion_tokens"),
        pytest.param({"max_completion_tokens": 60_000, "max_tokens": 50_000}, "max_completion_tokens", id="both"),
        pytest.param({}, "max_completion_tokens", id="none"),
        pytest.param({"max_tokens": None}, "max_tokens", id="null"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_limit_is_written_as_the_client_writes_it(
    served: Stage, given: dict[str, Any], field: str, stream: bool
) -> None:
    await served.open("lee", tokens=3_000)
    status, _, headers = await served.post(CHAT, chat(stream=stream, **given), user="lee")
    assert status == 200
    limit = int(headers["x-jangbu-output-limit"])
    assert 0 < limit < 3_000
    limits = {name: value for name, value in sent(served).items() if name.startswith("max_")}
    assert limits == {field: limit}
    used, held = await served.used("lee")
    assert 0 < used <= 3_000
    assert held == 0


async def test_several_choices_share_the_limit(served: Stage) -> None:
    await served.open("lee", tokens=3_000)
    status, _, headers = await served.post(CHAT, chat(n=3, max_tokens=5_000), user="lee")
    assert status == 200
    assert sent(served)["max_tokens"] * 3 <= 3_000
    assert headers["x-jangbu-output-limit"] == str(sent(served)["max_tokens"])


async def test_embeddings_are_recorded_by_their_prompt(served: Stage) -> None:
    body = {"model": "gemini-embedding-001", "input": ["one text", "another text"]}
    status, answer, _ = await served.post("/v1beta/openai/embeddings", body)
    assert (status, len(answer["data"])) == (200, 2)
    [record] = await records(served)
    assert (record.tokens, record.service) == (answer["usage"]["total_tokens"], "embedding")
    assert await served.used() == (record.tokens, 0)


async def test_images_are_recorded_by_the_piece_and_cost_no_tokens(served: Stage) -> None:
    body = {"model": "imagen-4.0-generate-001", "prompt": "a cat", "n": 2, "response_format": "b64_json"}
    status, answer, _ = await served.post("/v1beta/openai/images/generations", body)
    assert (status, len(answer["data"])) == (200, 2)
    [record] = await records(served)
    assert (record.tokens, record.service, record.model) == (0, "image_generation", "imagen-4.0-generate-001")
    assert await served.used() == (0, 0)


async def test_errors_of_the_provider_pass_as_they_are_and_cost_nothing(served: Stage) -> None:
    for path, body in (
        (CHAT, chat()),
        (CHAT, chat(stream=True)),
        ("/v1beta/openai/embeddings", {"model": "gemini-embedding-001", "input": "a"}),
        ("/v1beta/openai/images/generations", {"model": "imagen-4.0-generate-001", "prompt": "a"}),
    ):
        served.gemini.next("429")
        status, answer, _ = await served.post(path, body)
        assert (status, answer[0]["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert (await served.used(), await records(served)) == ((0, 0), [])


async def test_who_cannot_pay_is_refused_before_the_chat(served: Stage) -> None:
    await served.open("lee", tokens=0)
    status, answer, _ = await served.post(CHAT, chat(), user="lee")
    assert (status, answer["error"]["code"]) == (402, 402)
    assert all(line.endswith(":countTokens") for line in came(served))


async def test_pictures_that_are_named_are_counted_before_they_are_paid_for(served: Stage) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    content = [{"type": "text", "text": "what is this?"}, picture]
    status, _, _ = await served.post(CHAT, chat(messages=[{"role": "user", "content": content}]))
    assert status == 200
    assert came(served)[0].endswith(":countTokens")


async def test_models_are_listed(served: Stage) -> None:
    status, answer = await served.get("/v1beta/openai/models")
    assert (status, answer["object"]) == (200, "list")


async def test_a_large_stream_event_passes_whole(served: Stage) -> None:
    long = json.dumps({"id": "a", "choices": [{"index": 0, "delta": {"content": "x" * 500_000}}]}).encode()
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    last = json.dumps({"id": "a", "choices": [], "usage": usage, "object": "chat.completion.chunk"}).encode()
    events = b"data: " + long + b"\n\ndata: " + last + b"\n\ndata: [DONE]\n\n"
    served.gemini.next(Behaviour(recorded=Recorded(events, "text/event-stream")))
    _, answer, _ = await served.post(CHAT, chat(stream=True))
    assert answer == b"data: " + long + b"\n\ndata: [DONE]\n\n"
    assert await served.used() == (10, 0)
