"""Batches: their usage comes later, and is settled once, when their result is first seen."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from google import genai
from google.genai import types

from jangbu.providers.gemini import parse
from jangbu.testing import Behaviour, FakeGemini, Recorded
from tests.gateway.book import asked as asked_database
from tests.gateway.book import came, findings, holds, records, require_sound
from tests.gateway.live import eventually
from tests.gateway.raw import wire
from tests.gateway.stage import FLASH, GRANT, Stage, asked, inline, stage
from tests.gateway.test_resources import uploaded

BATCH = f"/v1beta/models/{FLASH}:batchGenerateContent"


@pytest.fixture(autouse=True)
async def clean_book(served: Stage) -> AsyncIterator[None]:
    """Whatever a test did, the book adds up afterwards."""
    yield
    await require_sound(served)


async def started(served: Stage, body: Mapping[str, Any] | None = None, **headers: str) -> tuple[str, str]:
    """Start a batch; give its name and the id of its call."""
    given = inline(asked("one", maxOutputTokens=200), asked("two", maxOutputTokens=200)) if body is None else body
    status, answer, answered = await served.post(BATCH, given, **headers)
    assert status == 200, answer
    return str(answer["name"]), answered["x-jangbu-call-id"]


async def finished(served: Stage, body: Mapping[str, Any] | None = None) -> str:
    """Start a batch, and wait until it is done, without anybody having seen the result."""
    name, _ = await started(served, body)
    assert "done" not in (await served.get(f"/v1beta/{name}"))[1]
    return name


def total(served: Stage) -> int:
    """Give what Google counts for the answers of the last batch that was shown."""
    members = next(answer.members for answer in reversed(served.gemini.answers()) if answer.members)
    return sum(member["usage"]["totalTokenCount"] for member in members)


async def test_a_batch_is_held_for_then_settled_by_its_result(served: Stage) -> None:
    name, call = await started(served, None, **{"x-jangbu-service": "comic", "x-jangbu-tags": "page=3"})
    used, held = await served.used()
    assert (used, held > 400, await holds(served)) == (0, True, ["open"])
    assert await waits_long(served)
    status, running = await served.get(f"/v1beta/{name}")
    assert (status, running["metadata"]["state"]) == (200, "BATCH_STATE_RUNNING")
    assert await records(served) == []
    for _ in range(3):
        status, done = await served.get(f"/v1beta/{name}")
        assert (status, done["done"]) == (200, True)
    [record] = await records(served)
    assert (record.id, record.tokens, record.service, record.model) == (call, total(served), "comic", FLASH)
    assert await served.used() == (record.tokens, 0)
    assert (await holds(served), await findings(served)) == ([], [])


@pytest.mark.parametrize("query", ["alt=sse", "$alt=sse", "alt=media"])
async def test_what_makes_one_thing_is_asked_for_it_as_json(served: Stage, query: str) -> None:
    for path, body in (
        (BATCH, inline(asked("one"))),
        ("/v1beta/cachedContents", {"model": f"models/{FLASH}", **asked("one")}),
    ):
        status, answer, _ = await served.post(f"{path}?{query}", body)
        assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert (came(served), await holds(served)) == ([], [])


async def waits_long(served: Stage) -> bool:
    """Tell whether the hold stays open as long as the provider may take."""
    [row] = await asked_database(served, "SELECT expires_at - now() > interval '47 hours' AS long FROM jangbu.holds")
    return bool(row["long"])


async def test_who_sees_a_result_first_is_told_what_it_cost(served: Stage) -> None:
    name = await finished(served)
    headers = {"x-goog-api-key": served.key, "x-jangbu-user": "kim"}
    async with served.http.get(f"{served.url}/v1beta/{name}", headers=headers) as answer:
        told = answer.headers
    assert told["x-jangbu-tokens-charged"] == str(total(served))
    assert told["x-jangbu-balance-left"] == str(GRANT - total(served))


async def test_a_batch_that_two_gateways_poll_at_once_is_charged_once(served: Stage, another: Stage) -> None:
    name = await finished(served)
    answers = await asyncio.gather(*(each.get(f"/v1beta/{name}") for _ in range(16) for each in (served, another)))
    assert {(status, answer["done"]) for status, answer in answers} == {(200, True)}
    assert [record.tokens for record in await records(served)] == [total(served)]
    assert await served.used() == (total(served), 0)
    assert await holds(served) == []


async def test_a_client_that_leaves_does_not_leave_the_result_unsettled(served: Stage) -> None:
    name = await finished(served)
    served.gemini.next("delay=0.3")
    head = f"GET /v1beta/{name} HTTP/1.1\r\nhost: g\r\nx-goog-api-key: {served.key}\r\nx-jangbu-user: kim\r\n\r\n"
    before = len(served.gemini.requests())
    async with wire(served.url) as client:
        await client.send(head.encode())
        await eventually(lambda: has_come(served, before + 1))
    await eventually(lambda: is_recorded(served))
    assert await served.used() == (total(served), 0)


async def is_recorded(served: Stage) -> bool:
    """Tell whether there is a record of kim's."""
    return len(await records(served)) > 0


async def has_come(served: Stage, requests: int) -> bool:
    """Tell whether so many requests came to the provider."""
    return len(served.gemini.requests()) == requests


@pytest.mark.parametrize("state", ["BATCH_STATE_FAILED", "BATCH_STATE_CANCELLED", "BATCH_STATE_EXPIRED"])
async def test_a_batch_that_came_to_nothing_costs_nothing(served: Stage, state: str) -> None:
    name, _ = await started(served)
    shown = {"name": name, "metadata": {"state": state}, "done": True, "error": {"code": 13, "message": "internal"}}
    served.gemini.when(Behaviour(recorded=Recorded(json.dumps(shown).encode())), path=name)
    for _ in range(2):
        assert (await served.get(f"/v1beta/{name}"))[1] == shown
    assert await served.used() == (0, 0)
    assert (await records(served), await holds(served), await findings(served)) == ([], ["released"], [])


async def test_what_a_cancelled_batch_answered_until_then_is_charged(served: Stage) -> None:
    name = await finished(served)
    done = (await served.get(f"/v1beta/{name}"))[1]
    other, _ = await started(served)
    cancelled = {**done, "name": other, "metadata": {**done["metadata"], "state": "BATCH_STATE_CANCELLED"}}
    served.gemini.when(Behaviour(recorded=Recorded(json.dumps(cancelled).encode())), path=other)
    await served.get(f"/v1beta/{other}")
    assert await served.used() == (2 * total(served), 0)


async def test_counts_of_a_batch_that_still_runs_are_not_the_last_word(served: Stage) -> None:
    name = await finished(served)
    done = (await served.get(f"/v1beta/{name}"))[1]
    other, _ = await started(served)
    metadata = {**done["metadata"], "state": "BATCH_STATE_RUNNING"}
    running = {"name": other, "metadata": metadata}
    served.gemini.when(Behaviour(recorded=Recorded(json.dumps(running).encode())), path=other)
    await served.get(f"/v1beta/{other}")
    assert len(await records(served)) == 1
    assert await holds(served) == ["open"]


async def test_who_cancels_a_batch_has_their_tokens_back(served: Stage) -> None:
    name, _ = await started(served)
    assert (await served.get(f"/v1beta/{name}:cancel", method="POST"))[0] == 200
    assert await served.used() == (0, 0)
    assert (await served.get(f"/v1beta/{name}"))[1]["metadata"]["state"] == "BATCH_STATE_CANCELLED"
    assert await records(served) == []


async def test_a_list_shows_batches_without_their_results(served: Stage) -> None:
    name = await finished(served)
    done = (await served.get(f"/v1beta/{name}"))[1]
    other, _ = await started(served)
    page = {"operations": [{**done, "name": other}]}
    served.gemini.next(Behaviour(recorded=Recorded(json.dumps(page).encode())))
    [shown] = (await served.get("/v1beta/batches"))[1]["operations"]
    assert (shown["name"], shown["done"]) == (other, True)
    assert "inlinedResponses" not in json.dumps(shown)
    assert len(await records(served)) == 1


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_a_result_is_settled_before_it_is_deleted(served: Stage, method: str) -> None:
    name = await finished(served)
    verb = ":delete" if method == "POST" else ""
    assert (await served.get(f"/v1beta/{name}{verb}", method=method))[0] == 200
    assert await served.used() == (total(served), 0)
    assert (await served.get(f"/v1beta/{name}"))[0] == 404
    assert [line.split()[0] for line in came(served)[-2:]] == ["GET", method]


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_a_batch_that_has_not_ended_is_not_deleted(served: Stage, method: str) -> None:
    name, _ = await started(served)
    verb = ":delete" if method == "POST" else ""
    status, answer = await served.get(f"/v1beta/{name}{verb}", method=method)
    assert (status, answer["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert [line.split()[0] for line in came(served)[-1:]] == ["GET"]
    assert await holds(served) == ["open"]


async def test_what_cannot_be_settled_is_not_deleted(served: Stage) -> None:
    name = await finished(served)
    served.gemini.next("503")
    assert (await served.get(f"/v1beta/{name}", method="DELETE"))[0] == 502
    assert not any(line.startswith("DELETE") for line in came(served))
    assert (await served.get(f"/v1beta/{name}", method="DELETE"))[0] == 200
    assert await served.used() == (total(served), 0)


async def test_an_error_at_the_start_costs_nothing(served: Stage) -> None:
    served.gemini.next("400")
    status, answer, _ = await served.post(BATCH, inline(asked("one")))
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert (await served.used(), await holds(served)) == ((0, 0), ["released"])


async def test_a_start_without_a_name_leaves_the_outcome_unknown(served: Stage) -> None:
    served.gemini.next("html")
    assert (await served.post(BATCH, inline(asked("one"))))[0] == 200
    assert (await holds(served), await findings(served)) == (["unknown"], ["unknown_outcome"])


async def test_who_has_nothing_starts_no_batch(served: Stage) -> None:
    await served.open("lee", tokens=0)
    status, answer, _ = await served.post(BATCH, inline(asked()), user="lee")
    assert (status, answer["error"]["details"][0]["reason"]) == (402, "INSUFFICIENT_BALANCE")
    assert came(served) == []


async def test_the_requests_of_a_batch_share_what_the_balance_affords(served: Stage) -> None:
    await served.open("lee", tokens=5_000)
    body = inline(asked("one"), asked("two", maxOutputTokens=60_000), asked("three", maxOutputTokens=10))
    status, _, headers = await served.post(BATCH, body, user="lee")
    assert status == 200
    _, held = await served.used("lee")
    limit = int(headers["x-jangbu-output-limit"])
    assert 0 < 3 * limit <= held <= 5_000
    sent = json.loads(served.gemini.requests()[-1].body)["batch"]["inputConfig"]["requests"]["requests"]
    limits = [each["request"]["generationConfig"]["maxOutputTokens"] for each in sent]
    assert limits == [limit, limit, 10]


async def test_the_requests_to_a_model_that_nobody_knows_write_no_more_than_was_held(served: Stage) -> None:
    status, _, headers = await served.post("/v1beta/models/gemini-9-next:batchGenerateContent", inline(asked()))
    assert (status, headers["x-jangbu-output-limit"]) == (200, "65536")
    [sent] = json.loads(served.gemini.requests()[-1].body)["batch"]["inputConfig"]["requests"]["requests"]
    assert sent["request"]["generationConfig"]["maxOutputTokens"] == 65_536


async def test_a_gateway_may_refuse_a_batch_instead(database_url: str, served: Stage, gemini: FakeGemini) -> None:
    await served.open("lee", tokens=5_000)
    async with stage(database_url, gemini, short_balance="refuse") as strict:
        status, _, _ = await strict.post(BATCH, inline(asked("two", maxOutputTokens=60_000)), user="lee")
        assert status == 402


def from_file(name: str) -> dict[str, Any]:
    return {"batch": {"inputConfig": {"fileName": name}}}


async def filed(served: Stage) -> tuple[str, str]:
    """Run a batch whose requests and results stand in files; give the names of the batch and of the result file."""
    lines = [{"key": str(number), "request": asked(f"question {number}")} for number in range(3)]
    source = await uploaded(served, b"\n".join(json.dumps(line).encode() for line in lines))
    name = await finished(served, from_file(source))
    done = (await served.get(f"/v1beta/{name}"))[1]
    return name, str(done["response"]["responsesFile"])


def in_file(content: bytes) -> int:
    answers = [json.loads(line)["response"] for line in content.splitlines()]
    return sum(int(answer["usageMetadata"]["totalTokenCount"]) for answer in answers)


async def test_a_batch_of_files_is_settled_when_its_results_are_fetched(served: Stage, another: Stage) -> None:
    name, file = await filed(served)
    assert (await served.used())[0] == 0
    await served.open("lee")
    assert (await served.get(f"/v1beta/{file}:download?alt=media", user="lee"))[0] == 404
    path = f"/v1beta/{file}:download?alt=media"
    fetched = await asyncio.gather(*(each.get(path) for _ in range(4) for each in (served, another)))
    [(status, content)] = {(status, _bytes(content)) for status, content in fetched}
    assert status == 200
    assert await served.used() == (in_file(content), 0)
    assert (await served.get(f"/v1beta/{name}"))[1]["done"] is True
    assert (await served.get(path))[0] == 200
    assert [record.tokens for record in await records(served)] == [in_file(content)]
    assert await holds(served) == []


async def test_results_that_are_handed_over_as_well_are_charged_once(served: Stage) -> None:
    _, file = await filed(served)
    path = f"/v1beta/{file}:download?alt=media"
    content = _bytes((await served.get(path))[1])
    receipt = await served.ledger.record("kim", "text_generation", parse(content))
    assert (receipt.replayed, receipt.charged_tokens) == (True, in_file(content))
    assert await served.used() == (in_file(content), 0)


@pytest.mark.parametrize("before", ["", "/download"])
async def test_results_are_fetched_where_google_gives_them(served: Stage, before: str) -> None:
    _, file = await filed(served)
    await served.open("lee")
    path = f"/v1beta/{file}:download?alt=media"
    assert (await served.get(before + path, user="lee"))[0] == 404
    status, content = await served.get(before + path)
    assert status == 200
    assert await served.used() == (in_file(_bytes(content)), 0)
    assert came(served)[-1] == f"GET /download{path}"


def _bytes(content: Any) -> bytes:
    assert isinstance(content, bytes), content
    return content


async def test_results_are_settled_before_their_file_is_deleted(served: Stage) -> None:
    _, file = await filed(served)
    assert (await served.get(f"/v1beta/{file}", method="DELETE"))[0] == 200
    [record] = await records(served)
    assert record.tokens > 0
    assert await served.used() == (record.tokens, 0)


async def test_a_batch_that_is_deleted_leaves_its_file_to_be_settled(served: Stage) -> None:
    name, file = await filed(served)
    assert (await served.get(f"/v1beta/{name}", method="DELETE"))[0] == 200
    status, content = await served.get(f"/v1beta/{file}:download?alt=media")
    assert status == 200
    assert await served.used() == (in_file(_bytes(content)), 0)


async def test_results_that_are_errors_only_cost_nothing(served: Stage) -> None:
    _, file = await filed(served)
    lines = b'{"key": "0", "error": {"code": 400}}\n{"key": "1", "error": {"code": 400}}\n'
    served.gemini.when(Behaviour(recorded=Recorded(lines, "application/jsonl")), path=":download")
    assert (await served.get(f"/v1beta/{file}:download?alt=media"))[1] == lines
    assert (await served.used(), await records(served), await holds(served)) == ((0, 0), [], ["released"])


async def test_results_that_break_off_are_settled_the_next_time(served: Stage) -> None:
    _, file = await filed(served)
    served.gemini.next("cut")
    assert (await served.get(f"/v1beta/{file}:download?alt=media"))[0] == 502
    assert await records(served) == []
    status, content = await served.get(f"/v1beta/{file}:download?alt=media")
    assert (status, await served.used()) == (200, (in_file(_bytes(content)), 0))


async def test_large_results_pass_without_being_kept(served: Stage) -> None:
    model = "gemini-2.5-flash-image"
    served.gemini.when("image_bytes=400000", model=model)
    config = {"maxOutputTokens": 3_000, "responseModalities": ["IMAGE"]}
    body = inline(*({**asked("draw"), "generationConfig": config} for _ in range(3)))
    status, answer, _ = await served.post(f"/v1beta/models/{model}:batchGenerateContent", body)
    assert status == 200
    await served.get(f"/v1beta/{answer['name']}")
    done = (await served.get(f"/v1beta/{answer['name']}"))[1]
    assert len(json.dumps(done)) > 2_000_000
    [record] = await records(served)
    assert record.tokens == total(served)
    assert await served.used() == (record.tokens, 0)


async def test_googles_client_runs_a_batch(served: Stage) -> None:
    options = types.HttpOptions(base_url=served.url, headers={"x-jangbu-user": "kim"})
    with genai.Client(api_key=served.key, http_options=options) as client:
        requests = [types.InlinedRequest(contents=text) for text in ("one", "two")]
        batch = await asyncio.to_thread(client.batches.create, model=FLASH, src=requests)
        name = batch.name or ""
        for _ in range(2):
            batch = await asyncio.to_thread(client.batches.get, name=name)
        assert batch.state is types.JobState.JOB_STATE_SUCCEEDED
        assert await served.used() == (total(served), 0)
        assert [each.name for each in await asyncio.to_thread(lambda: list(client.batches.list()))] == [name]
        await asyncio.to_thread(client.batches.delete, name=name)
        assert await asyncio.to_thread(lambda: list(client.batches.list())) == []


async def test_an_error_while_polling_changes_nothing(served: Stage) -> None:
    name = await finished(served)
    served.gemini.next("500")
    assert (await served.get(f"/v1beta/{name}"))[0] == 500
    served.gemini.next("cut")
    assert (await served.get(f"/v1beta/{name}"))[0] == 502
    assert (await holds(served), await records(served)) == (["open"], [])
    assert (await served.get(f"/v1beta/{name}"))[0] == 200
    assert await served.used() == (total(served), 0)
