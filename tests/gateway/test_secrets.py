"""Keys are seen by nobody: after calls and failures of all kinds they are looked for wherever something is written."""

import asyncio
import base64
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import asyncpg
import pytest

from jangbu.domain.keys import KeyKind, encode
from jangbu.gateway.app import Gateway
from jangbu.testing import FakeGemini
from tests.gateway.raw import Running, asked_once, post, provider, running, said, service, wire
from tests.gateway.stage import FLASH, UPSTREAM_KEY, Stage, asked, inline, stage

CALL = f"/v1beta/models/{FLASH}:generateContent"
STREAM = f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"
LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
BODY = json.dumps(asked())
FOREIGN = "AIzaSyForeignCanary0123456789abcdefghij"
STRANGE = encode(KeyKind.APP, bytes(range(32)))


def written(secret: str) -> set[str]:
    """Give the forms in which a secret could be written somewhere."""
    raw = secret.encode()
    return {secret, quote(secret, safe=""), raw.hex(), base64.b64encode(raw).decode().rstrip("=")[:-2], secret[8:]}


def found(text: str, secrets: Mapping[str, str]) -> list[str]:
    """Tell which secrets stand in a text."""
    return [name for name, secret in secrets.items() if any(form in text for form in written(secret))]


async def everything_goes_wrong(served: Running, gemini: FakeGemini, user_key: str) -> list[str]:
    """Make calls of every kind, most of which fail; give all that the clients saw."""
    seen: list[str] = []
    keys = [served.key, user_key, STRANGE, FOREIGN]

    async def ask(request: bytes) -> None:
        answer = await asked_once(served.url, request)
        seen.append(f"{answer.headers} {answer.body.decode('latin-1')}")

    for key in keys:
        await ask(post(CALL, BODY, key))
        await ask(post(STREAM, BODY, key))
        await ask(post(f"{CALL}?key={key}", BODY, ""))
        await ask(post(f"{CALL}?key={quote(key, safe='')[:-1]}%{ord(key[-1]):02x}", BODY, ""))
        await ask(post(f"{CALL}?key={key}&key={key}", BODY, key))
        await ask(post(CALL, BODY, "", f"authorization: Bearer {key}"))
        await ask(post(CALL, BODY, "", f"authorization: Basic {key}"))
        for name in ("access_token", "api_key", "alt", "fields", key):
            await ask(post(f"{CALL}?{name}={key}", BODY, key))
        await ask(post(f"/v1beta/nothing/{key}", BODY, key))
        await ask(post(f"/v1beta/models/{FLASH}:{key}", BODY, key))
        await ask(post(CALL, '{"key": "' + key, key))
        await ask(post(CALL, '{"key": 1, "key": 1}', key))
        await ask(post("/v1beta/cachedContents", "{}", key))
        await ask(post("/v1beta/files/x", BODY, key))
        await ask(post(CALL, BODY, key, "x-a: \0").replace(b"\0", b"\r"))
        await ask(
            post("/upload/v1beta/files", "{}", key, "x-goog-upload-protocol: resumable", "x-goog-upload-command: start")
        )
        async with aiohttp.ClientSession() as http:
            for path in (f"{LIVE}?key={key}", f"{LIVE}?access_token={key}", f"/v1beta/models?key={key}"):
                try:
                    async with http.ws_connect(served.url + path) as socket:
                        await socket.send_str(json.dumps({"setup": {"model": f"models/{FLASH}", "key": key}}))
                        seen.append(str(await socket.receive(timeout=5)))
                except aiohttp.WSServerHandshakeError as error:
                    seen.append(f"{error.headers} {error.message}")
    for behaviour in ("429", "500", "cut", "garbage", "html", "blocked", "error_after=1", "usage=negative"):
        for path in (CALL, STREAM):
            gemini.next(behaviour)
            await ask(post(path, BODY, served.key))
    gemini.next("chunks=9; chunk_delay=0.05")
    async with wire(served.url) as client:
        await client.send(post(STREAM, BODY, served.key))
        await client.reader.readuntil(b"data:")
    return seen


async def test_no_key_is_in_logs_in_the_database_in_metrics_in_errors_or_at_the_provider(
    database_url: str, gemini: FakeGemini, tmp_path: Path
) -> None:
    async with running(database_url, gemini.url, tmp_path, talkative=True) as served:
        _, user_key = await served.ledger.keys.create_for_user("kim", name="phone")
        seen = await everything_goes_wrong(served, gemini, user_key)
        theirs = {
            "an app's key": served.key,
            "a user's key": user_key,
            "an unknown key": STRANGE,
            "a foreign key": FOREIGN,
        }
        secrets = {**theirs, "the provider's key": UPSTREAM_KEY}
        async with aiohttp.ClientSession() as http, http.get(f"{served.url}/metrics") as metrics:
            seen.append(await metrics.text())
        line = served.service.command_line
        heads = [request.head.decode("latin-1") + request.body.decode("latin-1") for request in gemini.requests()]
        targets = [request.target for request in gemini.requests()]
    assert served.service.process.returncode == 0
    assert len(seen) > 100
    assert (
        found("\n".join(seen), {**secrets, "the database's password": urlsplit(database_url).password or UPSTREAM_KEY})
        == []
    )
    assert found(line, secrets) == []
    assert found("\n".join(heads), secrets) == ["the provider's key"]
    assert found("\n".join(targets), secrets) == []
    log = served.service.log.read_text()
    assert len(log) > 10_000, "the parts were to be talkative"
    assert found(log, secrets) == []
    assert found(await dumped(database_url), secrets) == []


async def dumped(database_url: str) -> str:
    """Write out every row of every table as text; bytes are written in hexadecimal."""
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        rows = [
            row["line"]
            for table in tables
            for row in await connection.fetch(f"SELECT t::text AS line FROM {table['name']} AS t")
        ]
        assert len(rows) > 20
        return "\n".join(rows)
    finally:
        await connection.close()


@pytest.mark.parametrize("status", ["403 Forbidden", "400 Bad Request", "302 Found"])
async def test_an_error_of_the_providers_that_names_the_key_is_passed_on_without_it(
    database_url: str, gemini: FakeGemini, status: str
) -> None:
    message = f"Consumer 'api_key:{UPSTREAM_KEY}' has been suspended."
    error = json.dumps({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}).encode()
    async with provider(said(error, status=status)) as up, stage(database_url, gemini, upstream_url=up.url) as served:
        await served.open("kim")
        for path, body in (
            (CALL, BODY),
            (STREAM, BODY),
            (f"/v1beta/models/{FLASH}:batchGenerateContent", json.dumps(inline(asked()))),
            (f"/v1beta/models/{FLASH}:countTokens", BODY),
        ):
            answer = await asked_once(served.url, post(path, body, served.key))
            assert answer.status == int(status.split(maxsplit=1)[0])
            assert json.loads(answer.body)["error"]["message"] == "Consumer 'api_key:***' has been suspended."


async def test_an_answer_that_begins_well_and_names_the_key_loses_it(database_url: str, gemini: FakeGemini) -> None:
    answer = json.dumps({"error": {"code": 403, "message": f"Consumer 'api_key:{UPSTREAM_KEY}'"}}).encode()
    async with provider(said(answer)) as up, stage(database_url, gemini, upstream_url=up.url) as served:
        await served.open("kim")
        for path in (CALL, STREAM):
            passed = await asked_once(served.url, post(path, BODY, served.key))
            assert UPSTREAM_KEY.encode() not in passed.body
            assert b"api_key:***" in passed.body


async def test_a_key_that_is_a_mere_word_changes_no_answer(database_url: str, gemini: FakeGemini) -> None:
    text = {"candidates": [{"content": {"parts": [{"text": "a key"}]}, "finishReason": "STOP"}]}
    answer = json.dumps({**text, "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}).encode()
    for word in ("k", "key", "Token"):
        async with (
            provider(said(answer)) as up,
            stage(database_url, gemini, upstream_url=up.url, gemini_api_key=word) as served,
        ):
            await served.open(word)
            passed = await asked_once(served.url, post(CALL, BODY, served.key, user=word))
            assert passed.body == answer
            assert (await served.used(word))[0] == 3


async def test_the_key_in_an_answer_is_no_part_of_what_is_metered(database_url: str, gemini: FakeGemini) -> None:
    text = {"candidates": [{"content": {"parts": [{"text": UPSTREAM_KEY}]}, "finishReason": "STOP"}]}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}
    event = json.dumps({**text, "usageMetadata": usage}).encode()
    async with (
        provider(said(b"data: " + event + b"\r\n\r\n")) as up,
        stage(database_url, gemini, upstream_url=up.url) as served,
    ):
        await served.open("kim")
        passed = await asked_once(served.url, post(STREAM, BODY, served.key))
        assert UPSTREAM_KEY.encode() not in passed.body
        assert (await served.used())[0] == 7


async def test_the_parts_show_no_key_when_they_are_printed(served: Stage) -> None:
    key = await served.ledger.keys.authenticate(served.key)
    parts = served.gateway._parts
    shown = repr(
        [key, parts, parts.upstream, parts.upstream.keys, parts.upstream.keys.in_order(), vars(served.gateway)]
    )
    assert found(shown + str(vars(parts.upstream)), {"key": served.key, "upstream": UPSTREAM_KEY}) == []


async def test_an_error_of_the_gateways_own_shows_no_key_in_its_traceback(
    served: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr(Gateway, "_serve_for", fail)
    status, answer, _ = await served.post(f"{CALL}?key={served.key}", asked())
    assert (status, answer["error"]["message"]) == (500, "an error of the gateway's own: KeyError")
    assert "Traceback" in caplog.text
    assert found(caplog.text, {"key": served.key, "upstream": UPSTREAM_KEY}) == []


async def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path) -> None:
    environment = {
        "JANGBU_DATABASE_URL": "postgresql://kim:open-sesame-9@127.0.0.1:9/x",
        "GEMINI_API_KEY": UPSTREAM_KEY,
    }
    with pytest.raises(AssertionError) as refused:
        async with service(tmp_path, environment, talkative=True):
            await asyncio.sleep(0)
    assert "database" in str(refused.value)
    assert "open-sesame" not in str(refused.value)
    assert UPSTREAM_KEY not in str(refused.value)
