"""Live through the gateway: each turn is paid for, recorded before it is reported, and nothing else is changed."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import aiohttp
import uvicorn
from websockets.asyncio.server import ServerConnection

from jangbu.testing import FakeGemini
from jangbu.testing.serving.tls import self_signed
from tests.gateway.live import (
    MODEL,
    SETUP,
    abandon,
    calls,
    closed,
    connected,
    eventually,
    is_unknown,
    is_used,
    provider,
    reported,
    said,
    scripted,
    session,
    set_up,
    speech,
    spoken,
    turn,
    unknown,
)
from tests.gateway.stage import Stage, stage


async def test_each_turn_is_a_record_and_the_session_is_their_sum(served: Stage) -> None:
    async with session(served) as client:
        totals = [await turn(client, text) for text in ("안녕하세요", "and again", "and once more")]
        assert totals[0] < totals[1] < totals[2], "each turn's prompt holds the session so far"
        assert await served.used() == (sum(totals), 0)
    assert await served.used() == (sum(totals), 0)
    records = await calls(served)
    assert [record.total_tokens for record in records] == totals[::-1]
    assert {(record.service, record.model) for record in records} == {("live", MODEL)}


async def test_a_turn_is_recorded_before_the_client_sees_its_report(served: Stage) -> None:
    async with session(served) as client:
        async with served.ledger.database.connection() as other, other.transaction():
            await other.execute("SELECT FROM jangbu.balances FOR UPDATE")
            answering = asyncio.create_task(turn(client))
            [answer] = await asyncio.to_thread(served.gemini.wait_for_answers, 1)
            # Sooner than the balance counts as locked, and the record goes to the spool.
            done, _ = await asyncio.wait({answering}, timeout=0.3)
            assert not done, "the report waits for the record"
        assert answer.reported is not None
        total = answer.reported["totalTokenCount"]
        assert await answering == total
        await eventually(lambda: has_used(served, total))


async def has_used(served: Stage, tokens: int) -> bool:
    return (await served.used())[0] == tokens


async def test_while_a_turn_is_open_it_is_held_for(served: Stage) -> None:
    served.gemini.next("chunk_delay=2")
    async with session(served) as client:
        await client.send_json(said("hi"))
        await client.receive()
        used, held = await served.used()
        assert used == 0
        assert held > 2048
        abandon(client)


async def test_a_setup_alone_costs_nothing_and_leaves_nothing_held(served: Stage) -> None:
    async with session(served):
        assert (await served.used())[1] > 0
    await eventually(lambda: is_used(served, (0, 0)))
    assert await unknown(served) == 0


async def test_messages_pass_byte_for_byte_and_as_what_they_are(database_url: str, gemini: FakeGemini) -> None:
    heard: list[str | bytes] = []
    told: list[str | bytes] = [
        '{ "sessionResumptionUpdate" : {"newHandle": "한글",  "resumable":true}}',
        b'{"goAway":{"timeLeft":"50s"}}',
        '{"toolCall": {"functionCalls": []}}',
        b"\x00\xff no JSON at all",
        json.dumps(reported(100)),
    ]

    async def script(upstream: ServerConnection) -> None:
        heard.append(await upstream.recv())
        heard.append(await upstream.recv())
        for message in told:
            await upstream.send(message)
        await upstream.close(4321, "good bye")

    setup, asked = json.dumps(SETUP, indent=2), json.dumps(said("한글"), ensure_ascii=False).encode()
    async with provider(script) as url, scripted(database_url, gemini, url) as served, connected(served) as client:
        await client.send_str(setup)
        await client.send_bytes(asked)
        received = [(await client.receive()).data for _ in told]
        assert await closed(client) == (4321, "good bye")
        assert received == told
        assert heard == [setup, asked]
        assert await served.used() == (100, 0)


async def test_who_runs_dry_is_told_after_the_turn_was_recorded(served: Stage) -> None:
    await served.open("lee", tokens=4000)
    served.gemini.next("prompt=3000; candidates=100")
    async with session(served, user="lee") as client:
        assert await turn(client) == 3100
        await client.send_json(said("more"))
        code, reason = await closed(client)
    assert code == 1008
    assert reason.startswith("INSUFFICIENT_BALANCE")
    assert "900 available" in reason
    assert len(reason.encode()) <= 123
    await eventually(lambda: is_used(served, (3100, 0), "lee"))
    assert len(served.gemini.answers()) == 1


async def test_a_client_that_leaves_in_mid_turn_is_charged_what_the_turn_used(served: Stage) -> None:
    served.gemini.next("chunk_delay=0.1; chunks=8; prompt=70; candidates=30")
    async with session(served) as client:
        await client.send_json(said("hi"))
        await client.receive()
        abandon(client)
    await eventually(lambda: is_used(served, (100, 0)))
    assert await unknown(served) == 0


async def test_a_client_that_says_good_bye_in_mid_turn_is_charged_too(served: Stage) -> None:
    served.gemini.next("chunk_delay=0.1; prompt=70; candidates=30")
    async with session(served) as client:
        await client.send_json(said("hi"))
        await client.receive()
    await eventually(lambda: is_used(served, (100, 0)))


async def test_a_turn_that_the_provider_breaks_off_stays_held_as_unknown(served: Stage) -> None:
    served.gemini.next("cut=1")
    async with session(served) as client:
        await client.send_json(said("hi"))
        code, reason = await closed(client)
    assert code == 1011
    assert reason.startswith("UPSTREAM_UNREACHABLE")
    await eventually(lambda: is_unknown(served, 1))
    used, held = await served.used()
    assert used == 0
    assert held > 0


async def test_speech_that_nothing_answered_is_given_back(served: Stage) -> None:
    async with session(served) as client:
        await client.send_json(speech(0.5))
        await client.send_json({"realtimeInput": {"text": ""}})
        await client.send_json({"clientContent": {"turns": [], "turnComplete": False}})
    await eventually(lambda: is_used(served, (0, 0)))
    assert await unknown(served) == 0


async def test_a_turn_without_a_report_is_unknown_and_the_next_is_recorded(
    database_url: str, gemini: FakeGemini
) -> None:
    async def script(upstream: ServerConnection) -> None:
        await set_up(upstream)
        for message in (spoken("one"), {"serverContent": {"turnComplete": True}}, spoken("two"), reported(50)):
            await upstream.send(json.dumps(message))
        await upstream.wait_closed()

    async with provider(script) as url, scripted(database_url, gemini, url) as served, session(served) as client:
        for _ in range(4):
            await client.receive()
        assert (await served.used())[0] == 50
        assert await unknown(served) == 1


async def test_a_turn_whose_report_comes_before_its_end_leaves_the_next_one_as_it_is(
    database_url: str, gemini: FakeGemini
) -> None:
    async def script(upstream: ServerConnection) -> None:
        await set_up(upstream)
        async for _ in upstream:
            report = {"usageMetadata": reported(50)["usageMetadata"]}
            for message in (spoken("one"), report, {"serverContent": {"turnComplete": True}}):
                await upstream.send(json.dumps(message))

    async with provider(script) as url, scripted(database_url, gemini, url) as served, session(served) as client:
        for number in (1, 2, 3):
            await client.send_json(said("hi"))
            for _ in range(3):
                await client.receive()
            assert await served.used() == (number * 50, 0)


async def test_a_model_that_speaks_unasked_is_held_for_and_recorded(database_url: str, gemini: FakeGemini) -> None:
    async def script(upstream: ServerConnection) -> None:
        await set_up(upstream)
        for number in (50, 60, 70):
            await upstream.send(json.dumps(spoken("by myself")))
            await upstream.send(json.dumps(reported(number)))
        await upstream.wait_closed()

    async with provider(script) as url, scripted(database_url, gemini, url) as served, session(served) as client:
        for _ in range(6):
            await client.receive()
        assert await served.used() == (180, 0)
        assert len(await calls(served)) == 3


async def test_what_cannot_be_paid_for_is_not_passed_on_but_recorded(database_url: str, gemini: FakeGemini) -> None:
    async def script(upstream: ServerConnection) -> None:
        await set_up(upstream)
        for message in (spoken("one"), reported(9_000), spoken("secret"), reported(9_500)):
            await upstream.send(json.dumps(message))
        await upstream.wait_closed()

    async with provider(script) as url, scripted(database_url, gemini, url) as served:
        await served.open("lee", tokens=10_000)
        async with session(served, user="lee") as client:
            received = [await client.receive() for _ in range(3)]
        assert [json.loads(message.data) for message in received[:2]] == [spoken("one"), reported(9_000)]
        assert received[2].type is aiohttp.WSMsgType.CLOSE
        assert received[2].data == 1008
        assert str(received[2].extra).startswith("INSUFFICIENT_BALANCE")
        await eventually(lambda: is_used(served, (18_500, 0), "lee"))


async def test_speech_is_held_for_as_it_grows(database_url: str, gemini: FakeGemini) -> None:
    async def script(upstream: ServerConnection) -> None:
        await set_up(upstream)
        async for _ in upstream:
            pass

    async with provider(script) as url, scripted(database_url, gemini, url) as served:
        await served.open("lee", tokens=6_000)
        async with session(served, user="lee") as client:
            for _ in range(100):
                if client.closed:
                    break
                await client.send_json(speech(10))
            code, reason = await closed(client)
        assert code == 1008
        assert reason.startswith("INSUFFICIENT_BALANCE")
        await eventually(lambda: is_used(served, (0, 0), "lee"))


async def test_what_is_held_for_tools_is_room_for_speech(database_url: str, gemini: FakeGemini) -> None:
    heard, all_of_it = 0, asyncio.Event()

    async def script(upstream: ServerConnection) -> None:
        nonlocal heard
        await set_up(upstream)
        async for _ in upstream:
            heard += 1
            if heard == 15:
                all_of_it.set()

    searching = {"setup": {**SETUP["setup"], "tools": [{"googleSearch": {}}]}}
    async with provider(script) as url, scripted(database_url, gemini, url) as served:
        await served.open("lee", tokens=12_000)
        async with session(served, searching, user="lee") as client:
            for _ in range(15):
                await client.send_json(speech(10))
            async with asyncio.timeout(60):
                await all_of_it.wait()


async def test_google_genai_converses_over_tls(database_url: str, gemini: FakeGemini, tmp_path: Path) -> None:
    async with stage(database_url, gemini) as served:
        await served.open("kim")
        context, certificate = self_signed("127.0.0.1")
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(certificate)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = uvicorn.Config(served.gateway, log_level="warning", access_log=False, lifespan="off")
            config.load()
            config.ssl = context
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            url = f"https://127.0.0.1:{listener.getsockname()[1]}"
            totals = await genai(url, served.key, trusted)
            server.should_exit = True
            await serving
        assert len(totals) == 2
        assert await served.used() == (sum(totals), 0)
        assert [record.total_tokens for record in await calls(served)] == totals[::-1]


GENAI = """
import asyncio, os
from google import genai
from google.genai import types

async def main():
    headers = {"x-jangbu-user": "kim"}
    options = types.HttpOptions(base_url=os.environ["GATEWAY"], headers=headers)
    client = genai.Client(api_key=os.environ["KEY"], http_options=options)
    async with client.aio.live.connect(model="MODEL", config={"response_modalities": ["TEXT"]}) as session:
        for text in ("hello", "and again"):
            await session.send_client_content(turns={"role": "user", "parts": [{"text": text}]})
            async for message in session.receive():
                if message.usage_metadata:
                    print(message.usage_metadata.total_token_count)

asyncio.run(main())
"""


async def genai(url: str, key: str, trusted: Path) -> list[int]:
    """Have Google's own client converse in a process of its own; give the totals that it was told."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GEMINI_", "GOOGLE_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        GENAI.replace("MODEL", MODEL),
        env={**kept, "GATEWAY": url, "KEY": key, "SSL_CERT_FILE": str(trusted)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return [int(line) for line in output.split()]
