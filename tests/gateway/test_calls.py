"""Metered calls through the gateway: what the client gets, what the ledger holds."""

import asyncio
import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from jangbu.domain.keys import KeyKind, encode
from jangbu.providers.gemini.request import bounds
from jangbu.storage import usage
from jangbu.testing import FakeGemini
from tests.gateway.book import asked as asked_database
from tests.gateway.stage import FLASH, UPSTREAM_KEY, Stage, asked, stage
from tests.gateway.test_limits import in_a_fresh_minute


def quoted(user: str) -> str:
    """Write a name as a client does that may send ASCII only."""
    return f"UTF-8''{quote(user)}"


async def test_a_call_is_answered_recorded_and_deducted(served: Stage) -> None:
    status, answer, headers = await served.generate("안녕하세요")
    total = answer["usageMetadata"]["totalTokenCount"]
    assert status == 200
    assert answer["candidates"][0]["content"]["parts"][0]["text"]
    assert await served.used() == (total, 0)
    assert headers["x-jangbu-tokens-charged"] == str(total)
    assert headers["x-jangbu-balance-left"] == str(1_000_000 - total)
    assert headers["x-jangbu-call-id"]


async def test_a_stream_passes_byte_for_byte(served: Stage) -> None:
    path = f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"
    status, answer, headers = await served.post(path, asked("tell me a story"))
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    [logged] = served.gemini.wait_for_answers(1)
    assert logged.counted is not None
    assert await served.used() == (logged.counted["totalTokenCount"], 0)
    assert answer.count(b"data: ") > 1


async def test_who_cannot_pay_is_refused_before_the_call(served: Stage) -> None:
    await served.open("lee", tokens=5)
    status, answer, _ = await served.generate("a rather long question about everything", user="lee")
    assert status == 402
    assert answer["error"]["code"] == 402
    facts = answer["error"]["details"][0]
    assert facts["reason"] == "INSUFFICIENT_BALANCE"
    assert facts["metadata"]["available"] == "5"
    assert served.gemini.answers() == [] or all(a.surface == "count_tokens" for a in served.gemini.answers())
    assert await served.used("lee") == (0, 0)


async def test_an_error_of_the_providers_costs_nothing_and_passes_as_it_is(served: Stage) -> None:
    served.gemini.next("503")
    status, answer, _ = await served.generate()
    assert (status, answer["error"]["status"]) == (503, "UNAVAILABLE")
    assert await served.used() == (0, 0)


async def test_an_answer_that_breaks_off_leaves_the_outcome_unknown(served: Stage) -> None:
    served.gemini.next("cut")
    status, answer, _ = await served.generate()
    assert (status, answer["error"]["status"]) == (502, "UNAVAILABLE")
    used, held = await served.used()
    assert used == 0
    assert held > 0


async def test_a_provider_that_is_away_costs_nothing(database_url: str, gemini: FakeGemini) -> None:
    async with stage(database_url, gemini, upstream_url="http://127.0.0.1:9") as served:
        await served.open("kim")
        status, answer, _ = await served.generate()
        assert (status, answer["error"]["details"][0]["reason"]) == (502, "UPSTREAM_UNREACHABLE")
        assert await served.used() == (0, 0)


async def test_output_is_clamped_to_what_the_balance_affords_and_the_client_is_told(served: Stage) -> None:
    await served.open("lee", tokens=300)
    status, _, headers = await served.generate("hi", user="lee", maxOutputTokens=60_000)
    assert status == 200
    limit = int(headers["x-jangbu-output-limit"])
    assert 0 < limit < 300
    [sent] = [each for each in served.gemini.requests() if each.path.endswith(":generateContent")]
    assert json.loads(sent.body)["generationConfig"]["maxOutputTokens"] == limit


async def test_who_can_pay_for_all_that_a_model_may_write_is_sent_on_as_they_wrote(served: Stage) -> None:
    written = b'{ "contents": [{"parts": [{"text": "hi"}]}] }'
    status, _, headers = await served.post(f"/v1beta/models/{FLASH}:generateContent", written)
    assert (status, "x-jangbu-output-limit" in headers) == (200, False)
    assert served.gemini.requests()[-1].body == written


@pytest.mark.parametrize("model", ["gemini-9-next", "gemini-3.9-flash"])
async def test_a_model_that_nobody_knows_writes_no_more_than_was_held(served: Stage, model: str) -> None:
    _, _, headers = await served.post(f"/v1beta/models/{model}:generateContent", asked())
    limit = json.loads(served.gemini.requests()[-1].body)["generationConfig"]["maxOutputTokens"]
    assert int(headers["x-jangbu-output-limit"]) == limit == 65_536


@pytest.mark.parametrize("tokens", [1_000, 2_700])
async def test_a_picture_is_whole_or_is_not_paid_for(served: Stage, tokens: int) -> None:
    await served.open("lee", tokens=tokens)
    path = "/v1beta/models/gemini-2.5-flash-image:generateContent"
    status, answer, _ = await served.post(path, asked("draw this panel"), user="lee")
    if tokens == 1_000:
        assert status == 402
        assert [each.path for each in served.gemini.requests() if each.path.endswith(":generateContent")] == []
        return
    assert status == 200
    assert any("inlineData" in part for part in answer["candidates"][0]["content"]["parts"])


async def test_a_gateway_may_refuse_instead_of_clamping(database_url: str, gemini: FakeGemini) -> None:
    async with stage(database_url, gemini, short_balance="refuse", top_up_url="https://shop.example/tokens") as served:
        await served.open("lee", tokens=300)
        status, answer, _ = await served.generate("hi", user="lee", maxOutputTokens=60_000)
        assert status == 402
        assert answer["error"]["details"][0]["metadata"]["link"] == "https://shop.example/tokens"
        assert answer["error"]["details"][1]["links"][0]["url"] == "https://shop.example/tokens"


async def test_the_clients_key_stays_here_and_the_gateways_goes_on(served: Stage) -> None:
    path = f"/v1beta/models/{FLASH}:generateContent?key={served.key}"
    headers = {"x-jangbu-user": "kim", "authorization": f"Bearer {served.key}", "cookie": "a=b"}
    async with served.http.post(served.url + path, json=asked(), headers=headers) as answer:
        assert answer.status == 200
    [sent] = served.gemini.requests()
    assert served.key not in sent.head.decode() + sent.target
    assert sent.headers["x-goog-api-key"] == UPSTREAM_KEY
    assert "cookie" not in sent.headers
    assert "x-jangbu-user" not in sent.headers


@pytest.mark.parametrize(
    ("status", "reason", "changed"),
    [
        pytest.param(401, "UNAUTHENTICATED", {"key": ""}, id="no key"),
        pytest.param(401, "UNAUTHENTICATED", {"key": "AIzaSomething"}, id="a foreign key"),
        pytest.param(401, "UNAUTHENTICATED", {"key": encode(KeyKind.APP, bytes(32))}, id="a key that opens nothing"),
        pytest.param(400, "MISSING_USER", {"user": None}, id="no user"),
        pytest.param(404, "NOT_FOUND", {"user": "nobody"}, id="nobody"),
        pytest.param(400, "INVALID_INPUT", {"body": b'{"contents": NaN}'}, id="NaN"),
        pytest.param(400, "INVALID_INPUT", {"body": b'{"a": 1, "a": 2}'}, id="a name twice"),
        pytest.param(400, "INVALID_INPUT", {"body": b"[1]"}, id="no object"),
        pytest.param(400, "INVALID_INPUT", {"body": b"\xff{}"}, id="no UTF-8"),
        pytest.param(404, "NOT_OFFERED", {"path": "/v1beta/models/x:train"}, id="no such verb"),
        pytest.param(404, "NOT_OFFERED", {"path": "/v1beta/tunedModels/x:generateContent"}, id="refused"),
        pytest.param(400, "INVALID_INPUT", {"path": f"/v1/models/{FLASH}:generateContent?fields=a"}, id="fields"),
    ],
)
async def test_what_cannot_be_metered_is_refused_and_never_sent(
    served: Stage, status: int, reason: str, changed: dict[str, Any]
) -> None:
    given = {"path": f"/v1beta/models/{FLASH}:generateContent", "body": asked(), "user": "kim", "key": None, **changed}
    found, answer, _ = await served.post(given["path"], given["body"], user=given["user"], key=given["key"])
    assert (found, answer["error"]["details"][0]["reason"]) == (status, reason)
    assert served.gemini.requests() == []
    assert await served.used() == (0, 0)


async def test_a_users_own_key_pays_for_its_user(served: Stage) -> None:
    phone, key = await served.ledger.keys.create_for_user("kim", name="phone")
    assert (await served.post(f"/v1/models/{FLASH}:generateContent", asked(), user=None, key=key))[0] == 200
    assert (await served.used())[0] > 0
    [kept] = await asked_database(served, "SELECT metadata FROM jangbu.usage")
    assert json.loads(kept["metadata"]) == {"jangbu_key": str(phone.id)}
    await served.open("lee")
    status, answer, _ = await served.post(f"/v1/models/{FLASH}:generateContent", asked(), user="lee", key=key)
    assert (status, answer["error"]["status"]) == (403, "PERMISSION_DENIED")


async def test_service_and_tags_are_recorded_also_in_korean(served: Stage) -> None:
    user = await served.open("김철수")
    headers = {"x-jangbu-service": "UTF-8''%EB%A7%8C%ED%99%94", "x-jangbu-tags": "episode=3, mode=draft"}
    path = f"/v1beta/models/{FLASH}:generateContent"
    status, _, answered = await served.post(path, asked(), user=quoted(user), **headers)
    assert status == 200
    account = served.ledger.accounts.id_of(user)
    record = await usage.find(served.ledger.database, account, UUID(answered["x-jangbu-call-id"]))
    assert record is not None
    assert (record.service, json.loads(record.metadata or "{}")["tags"]) == ("만화", {"episode": "3", "mode": "draft"})


async def test_a_users_own_key_begins_no_service(served: Stage) -> None:
    _, key = await served.ledger.keys.create_for_user("kim", name="phone")
    path = f"/v1beta/models/{FLASH}:generateContent"
    status, answer, _ = await served.post(path, asked(), user=None, key=key, **{"x-jangbu-service": "comic"})
    assert (status, answer["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert (await served.post(path, asked(), **{"x-jangbu-service": "comic"}))[0] == 200
    for service in ("comic", "live"):
        status, _, _ = await served.post(path, asked(), user=None, key=key, **{"x-jangbu-service": service})
        assert status == 200


async def test_a_key_may_be_limited_to_models_scopes_and_a_pace(served: Stage) -> None:
    await in_a_fresh_minute(served)
    _, narrow = await served.ledger.keys.create_for_app("narrow", models=("gemini-2.5-pro",))
    _, embeds = await served.ledger.keys.create_for_app("embeds", scopes=("embed",))
    _, slow = await served.ledger.keys.create_for_app("slow", requests_per_minute=1)
    path = f"/v1beta/models/{FLASH}:generateContent"
    assert (await served.post(path, asked(), key=narrow))[0] == 403
    assert (await served.post(path, asked(), key=embeds))[0] == 403
    assert (await served.post(path, asked(), key=slow))[0] == 200
    status, answer, headers = await served.post(path, asked(), key=slow)
    assert (status, answer["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert 0 < int(headers["retry-after"]) <= 60


async def test_a_tired_upstream_key_rests_and_the_next_one_is_tried(database_url: str) -> None:
    with FakeGemini() as gemini:
        async with stage(database_url, gemini, upstream_keys="first=1000,second=1") as served:
            await served.open("kim")
            gemini.next("429; retry_after=9")
            assert (await served.generate())[0] == 200
            assert (await served.generate())[0] == 200
            sent = [request.headers["x-goog-api-key"] for request in gemini.requests()]
    assert len(set(sent[:2])) == 2
    assert sent[1] == sent[2]


async def test_embeddings_that_report_nothing_are_counted(served: Stage) -> None:
    body = {"content": {"parts": [{"text": "나는 장부"}]}}
    status, answer, headers = await served.post("/v1beta/models/gemini-embedding-001:embedContent", body)
    assert status == 200
    assert answer["embedding"]["values"]
    assert int(headers["x-jangbu-tokens-charged"]) == (await served.used())[0] > 0


async def test_64_callers_of_two_gateways_share_what_pays_for_ten(database_url: str, gemini: FakeGemini) -> None:
    limit = 10_000
    async with (
        stage(database_url, gemini, short_balance="refuse") as one,
        stage(database_url, gemini, short_balance="refuse") as two,
    ):
        most = bounds("generateContent", asked("hi", maxOutputTokens=limit), FLASH)
        assert most.input_most is not None
        await one.open("lee", tokens=10 * (most.input_most + limit))
        gemini.when(f"delay=1; prompt={most.input_most}; candidates={limit}")
        answers = await asyncio.gather(
            *((one, two)[number % 2].generate("hi", user="lee", maxOutputTokens=limit) for number in range(64))
        )
        assert sorted(status for status, _, _ in answers) == [200] * 10 + [402] * 54
        used, held = await one.used("lee")
        assert (used, held) == (10 * (most.input_most + limit), 0)
