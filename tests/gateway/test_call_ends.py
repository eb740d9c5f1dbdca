"""However a call comes to its end, its hold does too, and it counts against its key's limits no longer than it runs."""

import asyncio
import json

import pytest

from jangbu import telemetry
from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call, Settle
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.errors import InvalidSettings
from jangbu.gateway.calls import MeteredCall
from jangbu.gateway.upstream import checked_origin
from jangbu.gateway.upstream_keys import read_keys
from jangbu.testing import FakeGemini
from tests.gateway.book import asked as query
from tests.gateway.book import holds
from tests.gateway.raw import none_open, post, provider, said, until, wire
from tests.gateway.stage import FLASH, Stage, asked, stage
from tests.gateway.test_limits import ANSWER, is_under_way

CALL = f"/v1beta/models/{FLASH}:generateContent"
BODY = json.dumps(asked())


async def test_without_a_key_for_the_provider_nothing_stays_held_and_the_operator_is_told(
    database_url: str, gemini: FakeGemini, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(database_url, gemini, gemini_api_key=None) as served:
        await served.open("kim")
        status, answer, _ = await served.generate()
        assert (status, answer["error"]["details"][0]["reason"]) == (503, "NOT_CONFIGURED")
        assert "GEMINI_API_KEY" not in answer["error"]["message"]
        assert "set GEMINI_API_KEY where it runs" in caplog.text
        assert await served.used() == (0, 0)


@pytest.mark.parametrize("milliseconds", [0, 1, 2, 4, 8, 16, 32, 64])
async def test_a_call_that_is_ended_at_any_moment_leaves_no_hold_open(
    served: Stage, gemini: FakeGemini, milliseconds: int
) -> None:
    gemini.when("delay=0.02; chunk_delay=0.02")
    async with wire(served.url) as client:
        for path in (
            CALL,
            f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse",
            f"/v1beta/models/{FLASH}:batchGenerateContent",
        ):
            await client.send(post(path, BODY, served.key))
            await asyncio.sleep(milliseconds / 1_000)
            await served.gateway.close(0)
            # What was being written down when it was ended is written down a moment later.
            await until(lambda: none_open(served.ledger))
            if not (await client.answer()).status:
                break


async def test_what_a_stream_reported_before_it_was_ended_is_charged(served: Stage, gemini: FakeGemini) -> None:
    gemini.when("chunks=9; chunk_delay=0.05; prompt=100; candidates=90")
    async with wire(served.url) as client:
        await client.send(post(f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse", BODY, served.key))
        assert b"promptTokenCount" in await client.reader.readuntil(b"promptTokenCount")
        await served.gateway.close(0)
        await client.until_closed()
    used, held = await served.used()
    assert 100 < used < 190
    assert held == 0


async def test_clients_that_leave_at_once_leave_nothing_open(served: Stage, gemini: FakeGemini) -> None:
    for number in range(40):
        async with wire(served.url) as client:
            await client.send(post(CALL, BODY, served.key))
            await asyncio.sleep(number % 4 / 1_000)
    # A call that is read only now may take a hold yet.
    await until(lambda: nothing_held(served))


async def nothing_held(served: Stage) -> bool:
    """Tell whether nothing of kim's is held."""
    return (await served.used())[1] == 0


@pytest.mark.parametrize(("evidence_id", "is_charged"), [(None, False), ("another-answer", True)])
async def test_an_answer_reaches_its_client_though_its_call_was_settled_by_other_evidence_meanwhile(
    database_url: str, gemini: FakeGemini, evidence_id: str | None, *, is_charged: bool
) -> None:
    """Where both bear ids, the provider made two answers; else what was charged stands, and it is told."""
    told: list[str] = []
    is_settled = asyncio.Event()
    typed = Usage(
        Surface.GENERATE_CONTENT,
        Counts(prompt=7, total=7),
        Source.REPORTED,
        FLASH,
        evidence_id,
        raw=({"promptTokenCount": 7, "totalTokenCount": 7},),
    )

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await is_settled.wait()
        writer.write(said(json.dumps({**ANSWER, "responseId": "this-answer"}).encode(), "connection: close"))
        writer.close()

    async with provider(answer) as google, stage(database_url, gemini, upstream_url=google.url) as served:
        await served.open("kim")
        asking = asyncio.create_task(served.generate())
        await until(lambda: is_any_held(served))
        [row] = await query(served, "SELECT id FROM jangbu.holds")
        await served.ledger.execute(Settle(await served.ledger.holds.call_of(row["id"]), typed))
        end = telemetry.subscribe(lambda event, _: told.append(event), "recorder.failed")
        is_settled.set()
        status, answered, headers = await asking
        end()
        total = answered["usageMetadata"]["totalTokenCount"]
        assert (status, bool(answered["candidates"][0]["content"]["parts"][0]["text"])) == (200, True)
        assert headers.get("x-jangbu-tokens-charged") == (str(total) if is_charged else None)
        assert await served.used() == (7 + total * is_charged, 0)
        assert told == ([] if is_charged else ["recorder.failed"])


async def is_any_held(served: Stage) -> bool:
    """Tell whether a call is under way."""
    return await holds(served) == ["open"]


async def test_tokens_a_minute_are_counted(served: Stage) -> None:
    _, slow = await served.ledger.keys.create_for_app("slow", tokens_per_minute=10)
    first = await served.post(CALL, asked(), key=slow)
    second = await served.post(CALL, asked(), key=slow)
    assert first[0] == 200
    if second[0] == 200:
        second = await served.post(CALL, asked(), key=slow)
    assert (second[0], second[1]["error"]["details"][0]["reason"]) == (429, "LIMIT_REACHED")


async def test_who_left_is_still_called_for_and_counts_until_that_has_ended(
    database_url: str, gemini: FakeGemini
) -> None:
    may_answer = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await may_answer.wait()
        writer.write(said(json.dumps(ANSWER).encode(), "connection: close"))
        writer.close()

    async with provider(answer) as upstream, stage(database_url, gemini, upstream_url=upstream.url) as served:
        await served.open("kim")
        _, narrow = await served.ledger.keys.create_for_app("narrow", concurrent_calls=1)
        async with wire(served.url) as client:
            await client.send(post(CALL, BODY, narrow))
            await until(lambda: is_under_way(served, 1))
        assert (await served.post(CALL, asked(), key=narrow))[0] == 429
        may_answer.set()
        # The hold is closed a moment earlier, which nobody can see who left.
        await until(lambda: is_under_way(served, 0))
        assert await none_open(served.ledger)
        assert (await served.post(CALL, asked(), key=narrow))[0] == 200


async def test_a_revoked_key_stops_working_on_all_gateways_within_five_seconds(
    database_url: str, gemini: FakeGemini
) -> None:
    async def refused(gateway: Stage) -> bool:
        return (await gateway.post(CALL, asked(), key=key))[0] == 401

    async with stage(database_url, gemini) as one, stage(database_url, gemini) as two:
        await one.open("kim")
        made, key = await one.ledger.keys.create_for_app("leaked")
        for gateway in (one, two):
            assert (await gateway.post(CALL, asked(), key=key))[0] == 200
        await one.ledger.keys.revoke(made.id)
        async with asyncio.timeout(5):
            await until(lambda: refused(one))
            await until(lambda: refused(two))


@pytest.mark.parametrize(("leaves", "states"), [(False, ["released"]), (True, ["unknown"])])
async def test_only_a_call_that_may_have_left_stays_held_when_the_gateway_itself_breaks_it_off(
    served: Stage, leaves: bool, states: list[str]
) -> None:
    bounds = Bounds(10, 100, output_chosen=True)
    call = MeteredCall(served.ledger, Call(new_id(served.ledger.clock), "kim", "text_generation", FLASH, bounds))
    with pytest.raises(RuntimeError, match="a mistake"):
        await broken_off(call, leaves=leaves)
    assert await holds(served) == states


async def broken_off(call: MeteredCall, *, leaves: bool) -> None:
    """Break a call off, before or after it may have left."""
    async with call.held(nothing):
        if leaves:
            call.leaves()
        raise RuntimeError("a mistake of the gateway's own")


async def nothing() -> None:
    """Count nothing."""


KEYS = ["AIza-one\nx: y", "AIza one", "AIza-\x7fone", "AIza-\u20ac", "AIza-one=2,AIza\ttwo", ""]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_for_gemini_that_no_header_can_carry_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(InvalidSettings, match="upstream key") as refused:
        read_keys(key)
    assert "AIza" not in str(refused.value)


ADDRESSES = [
    *("http://ann:secret@gemini.example", "http://[::1", "http://gemini.example:99999", "http://gemini.example:x"),
    *("http://gemini.example/a b", "http://제미니.example", "http://gemini.example?x=1", "ftp://gemini.example", ""),
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_of_gemini_that_no_call_could_be_made_to_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(InvalidSettings, match="upstream_url") as refused:
        checked_origin(url, "upstream_url")
    assert "secret" not in str(refused.value)
