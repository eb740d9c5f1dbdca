"""The limits of a key hold for all gateways together, and a key without limits costs nothing."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from jangbu.testing import FakeGemini
from tests.gateway.book import asked as asked_database
from tests.gateway.live import closed, session, turn
from tests.gateway.live import said as says
from tests.gateway.raw import none_open, post, provider, running, said, until, wire
from tests.gateway.stage import FLASH, Stage, asked, stage
from tests.gateway.test_interactions import PATH as INTERACTIONS
from tests.gateway.test_later import started
from tests.gateway.test_resources import uploaded

CALL = f"/v1beta/models/{FLASH}:generateContent"
STREAM = f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"
BODY = json.dumps(asked())
ANSWER = {
    "candidates": [{"content": {"parts": [{"text": "hi"}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
}


async def in_a_fresh_minute(served: Stage) -> None:
    """Wait for the next minute, where this one is about to end: what is counted shall be counted in one."""
    if (left := 60 - (await served.ledger.database.now()).second) < 10:
        await asyncio.sleep(left)


async def is_under_way(served: Stage, calls: int) -> bool:
    """Tell whether so many calls count as under way."""
    return len(await asked_database(served, "SELECT call_id FROM jangbu.key_calls")) == calls


async def test_a_pace_is_kept_by_two_gateways_together(served: Stage, another: Stage) -> None:
    await in_a_fresh_minute(served)
    _, slow = await served.ledger.keys.create_for_app("slow", requests_per_minute=10)
    answers = await asyncio.gather(
        *(each.post(CALL, asked(), key=slow) for _ in range(32) for each in (served, another))
    )
    assert sorted(status for status, _, _ in answers) == [200] * 10 + [429] * 54
    refusals = [(answer["error"], headers) for status, answer, headers in answers if status == 429]
    assert {error["status"] for error, _ in refusals} == {"RESOURCE_EXHAUSTED"}
    assert {error["details"][0]["reason"] for error, _ in refusals} == {"LIMIT_REACHED"}
    assert all(0 < int(headers["retry-after"]) <= 60 for _, headers in refusals)
    assert len([answer for answer in served.gemini.answers() if answer.path.startswith(CALL)]) == 10


async def test_two_gateways_call_at_once_as_often_as_one(database_url: str, gemini: FakeGemini) -> None:
    at_once: list[int] = []
    under_way = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        under_way += 1
        at_once.append(under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        writer.write(said(json.dumps(ANSWER).encode(), "connection: close"))
        writer.close()

    async def patiently(gateway: Stage, key: str) -> int:
        for tried in range(1_000):
            status, _, headers = await gateway.post(CALL, asked(), key=key)
            if status == 200:
                return tried
            assert (status, headers["retry-after"]) == (429, "1")
            await asyncio.sleep(0.01)
        raise AssertionError("a call was never let in")

    async with provider(answer) as upstream, AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(stage(database_url, gemini, upstream_url=upstream.url)) for _ in range(2)
        ]
        await one.open("kim")
        _, narrow = await one.ledger.keys.create_for_app("narrow", concurrent_calls=3)
        tried = await asyncio.gather(*(patiently(each, narrow) for _ in range(10) for each in (one, two)))
        assert (len(at_once), max(at_once)) == (20, 3)
        assert sum(tried) > 0
        assert await is_under_way(one, 0)


async def test_the_calls_of_a_gateway_that_was_killed_are_under_way_for_15_seconds_at_most(
    database_url: str, gemini: FakeGemini, tmp_path: Path
) -> None:
    async with running(database_url, gemini.url, tmp_path) as doomed, stage(database_url, gemini) as other:
        _, narrow = await other.ledger.keys.create_for_app("narrow", concurrent_calls=1)
        gemini.next("delay=60")
        async with wire(doomed.url) as client:
            await client.send(post(CALL, BODY, narrow))
            await until(lambda: has_come(gemini))
            doomed.service.process.kill()
            await doomed.service.process.wait()
        assert (await other.post(CALL, asked(), key=narrow))[0] == 429
        [row] = await asked_database(
            other, "SELECT expires_at - clock_timestamp() <= interval '15 seconds' AS soon FROM jangbu.key_calls"
        )
        assert row["soon"]
        # Nobody sweeps: whoever is kept out finds that the time of the call is up.
        await until(lambda: is_let_in(other, narrow), seconds=60)


async def has_come(gemini: FakeGemini) -> bool:
    """Tell whether a call has come to the provider."""
    return len(gemini.requests()) > 0


async def is_let_in(gateway: Stage, key: str) -> bool:
    """Call; tell whether the call was let in."""
    status, _, _ = await gateway.post(CALL, asked(), key=key)
    assert status in (200, 429)
    return status == 200


async def test_a_gateway_that_was_paused_counts_its_calls_again(
    database_url: str, gemini: FakeGemini, tmp_path: Path
) -> None:
    async with running(database_url, gemini.url, tmp_path) as paused, stage(database_url, gemini) as other:
        _, narrow = await other.ledger.keys.create_for_app("narrow", concurrent_calls=1)
        gemini.next("delay=60")
        async with wire(paused.url) as client:
            await client.send(post(CALL, BODY, narrow))
            await until(lambda: has_come(gemini))
            paused.service.process.send_signal(signal.SIGSTOP)
            try:
                await asked_database(other, "UPDATE jangbu.key_calls SET expires_at = now() - interval '1 second'")
                await until(lambda: is_let_in(other, narrow))
                assert await is_under_way(other, 0)
            finally:
                paused.service.process.send_signal(signal.SIGCONT)
            await until(lambda: is_under_way(other, 1))
            assert (await other.post(CALL, asked(), key=narrow))[0] == 429
            paused.service.process.kill()


async def test_tokens_count_before_the_answer_is_whole(served: Stage, another: Stage) -> None:
    await in_a_fresh_minute(served)
    for path in (CALL, STREAM):
        _, slow = await served.ledger.keys.create_for_app(f"slow {path}", tokens_per_minute=100)
        served.gemini.next("prompt=50; candidates=49; thoughts=0")
        served.gemini.next("prompt=1; candidates=1; thoughts=0")
        for gateway, status in ((served, 200), (another, 200), (another, 429), (served, 429)):
            assert (await gateway.post(path, asked(), key=slow))[0] == status


async def test_tokens_of_a_session_count_for_all_gateways(served: Stage, another: Stage) -> None:
    await in_a_fresh_minute(served)
    _, slow = await served.ledger.keys.create_for_app("slow", tokens_per_minute=1)
    async with session(served, key=slow) as client:
        await turn(client)
        assert (await another.post(CALL, asked(), key=slow))[0] == 429
        await client.send_json(says("more"))
        assert (await closed(client))[0] == 1013
    await until(lambda: is_under_way(served, 0))


async def tokens_counted(served: Stage) -> int:
    """Give the tokens of this minute that were counted for keys."""
    [row] = await asked_database(served, "SELECT coalesce(sum(tokens), 0)::bigint AS tokens FROM jangbu.key_uses")
    return int(row["tokens"])


async def batch(served: Stage, key: str) -> str:
    """Start a batch whose results its end shows; give where."""
    name, _ = await started(served, None, **{"x-goog-api-key": key})
    return f"/v1beta/{name}"


async def batch_of_files(served: Stage, key: str) -> str:
    """Run a batch whose results stand in a file; give where, as nobody has read them yet."""
    source = await uploaded(served, json.dumps({"key": "1", "request": asked("one")}).encode())
    body = {"batch": {"inputConfig": {"fileName": source}}}
    name, _ = await started(served, body, **{"x-goog-api-key": key})
    await served.get(f"/v1beta/{name}")
    file = (await served.get(f"/v1beta/{name}"))[1]["response"]["responsesFile"]
    return f"/v1beta/{file}:download?alt=media"


async def interaction(served: Stage, key: str) -> str:
    """Start an interaction in the background; give where its end is shown."""
    body = {"model": FLASH, "input": "hi", "background": True}
    status, answer, _ = await served.post(INTERACTIONS, body, key=key)
    assert (status, answer["status"]) == (200, "in_progress")
    return f"{INTERACTIONS}/{answer['id']}"


@pytest.mark.parametrize("start", [batch, batch_of_files, interaction])
async def test_tokens_of_a_later_result_count_once_for_the_key_that_started_the_work(
    served: Stage, another: Stage, start: Callable[[Stage, str], Awaitable[str]]
) -> None:
    await in_a_fresh_minute(served)
    _, slow = await served.ledger.keys.create_for_app("slow", tokens_per_minute=1)
    path = await start(served, slow)
    assert await tokens_counted(served) == 0
    await asyncio.gather(*(each.get(path) for _ in range(8) for each in (served, another)))
    used, _ = await served.used()
    assert await tokens_counted(served) == used > 0
    for each in (served, another):
        assert (await each.post(CALL, asked(), key=slow))[0] == 429
        assert (await each.post(CALL, asked()))[0] == 200, "whoever asked for the result used nothing"


async def test_a_key_without_limits_costs_no_statement(served: Stage) -> None:
    statements: list[str] = []
    async with AsyncExitStack() as stack:
        for _ in range(6):
            connection = await stack.enter_async_context(served.ledger.database.connection())
            connection.add_query_logger(lambda query: statements.append(query.query))
    assert (await served.post(CALL, asked()))[0] == 200
    assert (await served.post(STREAM, asked()))[0] == 200
    await served.get(await batch(served, served.key))
    async with session(served) as client:
        await turn(client)
    await until(lambda: none_open(served.ledger))
    assert any("jangbu.holds" in statement for statement in statements)
    assert [statement for statement in statements if "jangbu.key_" in statement] == []
    _, limited = await served.ledger.keys.create_for_app("limited", requests_per_minute=9)
    assert (await served.post(CALL, asked(), key=limited))[0] == 200
    assert len([statement for statement in statements if "jangbu.key_" in statement]) == 2
