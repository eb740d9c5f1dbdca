"""All recorded answers, served to the gateway as they stand: the client gets them byte for byte, the ledger holds what
each reports, also where a stream is cut and where its client leaves.
"""

import asyncio
import re
from uuid import UUID

import aiohttp
import pytest

from jangbu.clock import new_id
from jangbu.domain.usage import Source, Surface
from jangbu.metering.resources import LaterCall, ResourceKind
from jangbu.providers import gemini as google
from jangbu.storage import usage
from jangbu.storage.usage import UsageRecord
from jangbu.testing.behaviours import Behaviour
from jangbu.testing.behaviours import Recorded as Served
from tests.gateway.stage import Stage, asked
from tests.providers.corpus import ABSENT, Recorded, recorded

pytestmark = ABSENT

RECORDED = [answer for answer in recorded() if answer.framing != "ws"]
STREAMS = [answer for answer in RECORDED if answer.framing in ("sse", "array") and answer.expected]
CONTENT_TYPES = {"sse": "text/event-stream", "json": "application/json; charset=UTF-8", "array": "application/json"}
GROUPS = 8
_MODEL = "gemini-2.5-flash"
_TEXT_TOKENS = re.compile(rb'"token_count":\s*(\d+)')
_PROMPT = asked("hi", maxOutputTokens=100)


def request_of(answer: Recorded) -> tuple[str, str, object]:
    """Give the method, the path and the body of a request that such an answer may answer."""
    usual = "text-embedding-005" if answer.endpoint.startswith("predict") else _MODEL
    model = (answer.model or usual).rpartition("/")[2]
    text = {"content": {"parts": [{"text": "hi"}]}}
    chat = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
    interaction = {"model": model, "input": "hi", "stream": answer.framing == "sse"}
    elsewhere: dict[str, tuple[str, str, object]] = {
        "cachedContents": ("POST", "cachedContents", _PROMPT),
        "interactions": ("POST", "interactions", interaction),
        "batches": ("GET", f"batches/{answer.name}", None),
        "operations": ("GET", f"models/veo-3/operations/{answer.name}", None),
        "openai/chat/completions": ("POST", "openai/chat/completions", chat),
    }
    query = "?alt=sse" if answer.framing == "sse" else ""
    batch = {"batch": {"inputConfig": {"requests": {"requests": [{"request": _PROMPT}]}}}}
    bodies = {"embedContent": text, "batchEmbedContents": {"requests": [text]}, "batchGenerateContent": batch}
    body = {"instances": [{"prompt": "hi"}]} if answer.endpoint.startswith("predict") else _PROMPT
    usually = ("POST", f"models/{model}:{answer.endpoint}{query}", bodies.get(answer.endpoint, body))
    method, path, asked_for = elsewhere.get(answer.endpoint, usually)
    return method, f"/v1beta/{path}", asked_for


def status_of(answer: Recorded) -> int:
    """Give the status with which an answer was recorded: an error says it itself."""
    body = answer.body.lstrip()
    return 503 if answer.framing == "json" and body.startswith(b'{"error"') else 200


async def play(served: Stage, answer: Recorded, body: bytes, status: int) -> tuple[int, bytes, UsageRecord | None]:
    """Have the fake serve bytes to a user's request; give what came out and what was recorded for that user."""
    user = await served.open(f"user-{new_id(served.ledger.clock)}", tokens=100_000_000)
    method, path, asked_for = request_of(answer)
    account = served.ledger.accounts.id_of(user)
    if method == "GET":
        name = path.removeprefix("/v1beta/")
        call = LaterCall(new_id(served.ledger.clock), "text_generation", _MODEL)
        await served.ledger.resources.claim(account, name, ResourceKind.BATCH, call=call)
    kind = CONTENT_TYPES[answer.framing]
    served.gemini.next(Behaviour(recorded=Served(body, kind, status)))
    headers = {"x-goog-api-key": served.key, "x-jangbu-user": user}
    async with served.http.request(method, served.url + path, json=asked_for, headers=headers) as response:
        content = await response.read()
        call_id = response.headers.get("x-jangbu-call-id")
    served.gemini.forget_behaviours()
    async with served.ledger.database.connection() as connection:
        # Google gives each interaction's id out once; here many users are given the same.
        await connection.execute("DELETE FROM jangbu.resources WHERE account_id = $1", account)
    if call_id is None:
        records = await served.ledger.database.rows("report_calls", account, None, 10)
        call_id = str(records[0]["id"]) if records else None
    record = await usage.find(served.ledger.database, account, UUID(call_id)) if call_id else None
    return response.status, content, record


def reported(record: UsageRecord) -> dict[str, int]:
    """Give the counts of a record by the corpus's names."""
    names = ("prompt", "candidates", "thoughts", "tool", "cached")
    return {name: getattr(record, name) for name in names}


@pytest.mark.parametrize("group", range(GROUPS))
async def test_every_answer_passes_unchanged_and_is_recorded_as_reported(served: Stage, group: int) -> None:
    assert RECORDED
    for answer in RECORDED[group::GROUPS]:
        status, content, record = await play(served, answer, answer.body, status_of(answer))
        assert (answer.name, status, content) == (answer.name, status_of(answer), answer.body)
        expected = google.parse(answer.body, model=answer.model)
        if answer.expected is None or expected.source is Source.NONE:
            # An embedding that reports nothing is counted by countTokens; one that Vertex predicts counts its texts.
            predicted = sum(map(int, _TEXT_TOKENS.findall(answer.body))) if answer.endpoint == "predict" else 0
            assert record is None or record.total == predicted or record.source == "count_tokens", answer.name
            continue
        assert record is not None, answer.name
        assert (answer.name, record.total) == (answer.name, expected.total_tokens)
        counts = {name: answer.expected[name] for name in ("prompt", "candidates", "thoughts", "tool", "cached")}
        assert (answer.name, reported(record)) == (answer.name, counts)


@pytest.mark.parametrize("group", range(GROUPS))
async def test_a_stream_that_is_cut_after_any_chunk_is_recorded_as_far_as_it_reported(
    served: Stage, group: int
) -> None:
    assert STREAMS
    for answer in STREAMS[group::GROUPS]:
        for number, prefix in enumerate(answer.prefixes()):
            status, content, record = await play(served, answer, prefix, 200)
            assert (answer.name, number, status, content) == (answer.name, number, 200, prefix)
            surface = Surface.INTERACTIONS if answer.endpoint == "interactions" else Surface.STREAM_GENERATE_CONTENT
            expected = google.parse(prefix, surface=surface, model=answer.model)
            total = 0 if record is None else record.total
            assert (answer.name, number, total) == (answer.name, number, expected.total_tokens)


@pytest.mark.parametrize("group", range(GROUPS))
async def test_a_client_that_leaves_after_any_chunk_pays_for_the_whole_answer(served: Stage, group: int) -> None:
    for answer in STREAMS[group::GROUPS]:
        if answer.framing != "sse":
            continue
        expected = google.parse(answer.body, model=answer.model).total_tokens
        for chunks in range(len(answer.prefixes())):
            user = await served.open(f"user-{new_id(served.ledger.clock)}", tokens=100_000_000)
            served.gemini.next(Behaviour(recorded=Served(answer.body, CONTENT_TYPES["sse"], 200), chunk_delay=0.002))
            await leave_after(served, answer, user, chunks)
            used = 0
            for _ in range(2_000):
                used, held = await served.used(user)
                if used and not held:
                    break
                await asyncio.sleep(0.01)
            assert (answer.name, chunks, used) == (answer.name, chunks, expected)


async def leave_after(served: Stage, answer: Recorded, user: str, chunks: int) -> None:
    """Ask for a stream, read so many pieces of it, and drop the connection."""
    _, path, asked_for = request_of(answer)
    headers = {"x-goog-api-key": served.key, "x-jangbu-user": user}
    async with aiohttp.ClientSession() as own:
        response = await own.post(served.url + path, json=asked_for, headers=headers)
        for _ in range(chunks):
            if not await response.content.readany():
                break
        response.close()
