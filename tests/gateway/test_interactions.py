"""Interactions: kept for their owner, run on in the background, and are settled once, whoever asks."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from google import genai
from google.genai import types

from jangbu.testing import Behaviour, Recorded
from tests.gateway.book import asked as asked_database
from tests.gateway.book import came, findings, holds, records, require_sound
from tests.gateway.stage import FLASH, Stage
from tests.gateway.test_resources import uploaded

PATH = "/v1beta/interactions"


@pytest.fixture(autouse=True)
async def clean_book(served: Stage) -> AsyncIterator[None]:
    """Let there be lee beside kim; whatever they did, the book adds up afterwards."""
    await served.open("lee")
    yield
    await require_sound(served)


async def made(served: Stage, user: str = "kim", **given: Any) -> tuple[Any, Mapping[str, str]]:
    """Make an interaction; give the answer and its headers."""
    status, answer, headers = await served.post(PATH, {"model": FLASH, "input": "hi", **given}, user=user)
    assert status == 200, answer
    return answer, headers


def shows(served: Stage, name: str, **shown: Any) -> None:
    """Have the provider show an interaction so."""
    body = json.dumps({"id": name, "object": "interaction", "model": FLASH, **shown}).encode()
    served.gemini.when(Behaviour(recorded=Recorded(body)), path=name)


USAGE = {"total_input_tokens": 100, "total_output_tokens": 50, "total_tokens": 150}


async def test_an_interaction_is_recorded_at_once_and_kept_for_its_owner(served: Stage) -> None:
    answer, headers = await made(served)
    tokens = answer["usage"]["total_tokens"]
    assert headers["x-jangbu-tokens-charged"] == str(tokens)
    for _ in range(2):
        assert (await served.get(f"{PATH}/{answer['id']}"))[0] == 200
    assert (await served.get(f"{PATH}/{answer['id']}", user="lee"))[0] == 404
    assert [record.tokens for record in await records(served)] == [tokens]
    assert await served.used() == (tokens, 0)


async def test_only_its_owner_goes_on_from_an_interaction(served: Stage) -> None:
    first, _ = await made(served, input="a long story about a cat " * 20)
    before = len(served.gemini.requests())
    for spelling in ("previous_interaction_id", "previousInteractionId"):
        body = {"model": FLASH, "input": "and then?", spelling: first["id"]}
        assert (await served.post(PATH, body, user="lee"))[0] == 404
    assert came(served, since=before) == []
    second, _ = await made(served, input="and then?", previous_interaction_id=first["id"])
    third, _ = await made(served, input="and then?", previous_interaction_id=second["id"])
    usages = [each["usage"] for each in (first, second, third)]
    inputs = [usage["total_input_tokens"] for usage in usages]
    assert inputs == sorted(inputs)
    assert await served.used() == (sum(usage["total_tokens"] for usage in usages), 0)
    assert await findings(served) == [], "the earlier context was held for"


async def test_an_interaction_without_a_record_is_bounded_by_what_it_shows(served: Stage) -> None:
    first, _ = await made(served, input="a long story about a cat " * 20)
    await asked_database(served, "DELETE FROM jangbu.idempotency_keys WHERE key LIKE 'answer:%'")
    await made(served, input="and then?", previous_interaction_id=first["id"])
    assert f"GET {PATH}/{first['id']}" in came(served)
    assert await findings(served) == []


async def test_a_background_interaction_is_held_for_then_settled_once(served: Stage, another: Stage) -> None:
    answer, headers = await made(served, background=True)
    assert answer["status"] == "in_progress"
    assert "x-jangbu-tokens-charged" not in headers
    assert (await records(served), await holds(served)) == ([], ["open"])
    [row] = await asked_database(served, "SELECT expires_at - now() > interval '47 hours' AS long FROM jangbu.holds")
    assert row["long"]
    path = f"{PATH}/{answer['id']}"
    shows(served, answer["id"], status="in_progress", usage=USAGE)
    assert (await served.get(path))[1]["status"] == "in_progress"
    assert await records(served) == [], "counts of a run that goes on are not the last word"
    served.gemini.forget_behaviours()
    assert (await served.get(path, user="lee"))[0] == 404
    shown = await asyncio.gather(*(each.get(path) for _ in range(16) for each in (served, another)))
    assert {status for status, _ in shown} == {200}
    [record] = await records(served)
    assert (record.id, record.tokens) == (headers["x-jangbu-call-id"], shown[0][1]["usage"]["total_tokens"])
    assert await served.used() == (record.tokens, 0)
    assert (await holds(served), await findings(served)) == ([], [])


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_a_run_that_came_to_nothing_costs_nothing(served: Stage, status: str) -> None:
    answer, _ = await made(served, background=True)
    shows(served, answer["id"], status=status)
    for _ in range(2):
        assert (await served.get(f"{PATH}/{answer['id']}"))[1]["status"] == status
    assert (await served.used(), await records(served), await holds(served)) == ((0, 0), [], ["released"])


@pytest.mark.parametrize("status", ["queued", "idle"])
async def test_a_run_that_waits_keeps_its_hold(served: Stage, status: str) -> None:
    answer, _ = await made(served, background=True)
    shows(served, answer["id"], status=status)
    assert (await served.get(f"{PATH}/{answer['id']}"))[1]["status"] == status
    assert (await records(served), await holds(served)) == ([], ["open"])
    shows(served, answer["id"], status="completed", usage=USAGE)
    assert (await served.get(f"{PATH}/{answer['id']}"))[0] == 200
    assert await served.used() == (150, 0)


@pytest.mark.parametrize("status", ["failed", "cancelled", "incomplete", "requires_action", "budget_exceeded"])
async def test_what_a_run_used_is_charged_however_it_ended(served: Stage, status: str) -> None:
    answer, _ = await made(served, background=True)
    shows(served, answer["id"], status=status, usage=USAGE)
    assert (await served.get(f"{PATH}/{answer['id']}"))[0] == 200
    assert await served.used() == (150, 0)


async def test_who_cancels_a_run_has_their_tokens_back(served: Stage) -> None:
    answer, _ = await made(served, background=True)
    path = f"{PATH}/{answer['id']}/cancel"
    assert (await served.get(path, method="POST", user="lee"))[0] == 404
    assert (await served.get(path, method="POST"))[1]["status"] == "cancelled"
    assert (await served.used(), await records(served)) == ((0, 0), [])


async def test_a_run_is_settled_before_it_is_deleted(served: Stage) -> None:
    answer, _ = await made(served, background=True)
    assert (await served.get(f"{PATH}/{answer['id']}", method="DELETE"))[0] == 200
    [record] = await records(served)
    assert await served.used() == (record.tokens, 0)
    assert record.tokens > 0
    assert (await served.get(f"{PATH}/{answer['id']}"))[0] == 404


async def test_a_run_that_has_not_ended_is_not_deleted(served: Stage) -> None:
    answer, headers = await made(served, background=True)
    path = f"{PATH}/{answer['id']}"
    shows(served, answer["id"], status="in_progress")
    status, refused = await served.get(path, method="DELETE")
    assert (status, refused["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert "cancel it first, then ask for its result" in refused["error"]["message"]
    assert not any(line.startswith("DELETE") for line in came(served))
    assert await holds(served) == ["open"]
    served.gemini.forget_behaviours()
    shows(served, answer["id"], status="cancelled", usage=USAGE)
    assert (await served.get(path, method="DELETE"))[0] == 200
    [record] = await records(served)
    assert (record.id, record.tokens, await holds(served)) == (headers["x-jangbu-call-id"], 150, [])


async def test_a_run_that_the_provider_lost_can_be_deleted(served: Stage) -> None:
    answer, _ = await made(served, background=True)
    served.gemini.when("404", path=answer["id"])
    for _ in range(2):
        assert (await served.get(f"{PATH}/{answer['id']}", method="DELETE"))[0] == 404
    assert await asked_database(served, "SELECT FROM jangbu.resources") == []


async def test_a_run_is_settled_when_it_is_gone_on_from(served: Stage) -> None:
    answer, headers = await made(served, background=True)
    shows(served, answer["id"], status="completed", usage=USAGE)
    later, _ = await made(served, input="and then?", previous_interaction_id=answer["id"])
    first, second = await records(served)
    assert (first.id, first.tokens) == (headers["x-jangbu-call-id"], 150)
    assert await served.used() == (150 + later["usage"]["total_tokens"], 0)
    assert second.tokens == later["usage"]["total_tokens"]
    assert (await holds(served), await findings(served)) == ([], [])


async def test_a_stream_is_recorded_once_and_owned(served: Stage) -> None:
    answer, _ = await made(served, stream=True)
    events = [json.loads(line[6:]) for line in answer.splitlines() if line.startswith(b"data: {")]
    last = events[-1]["interaction"]
    assert events[-1]["event_type"] == "interaction.completed"
    tokens = last["usage"]["total_tokens"]
    assert await served.used() == (tokens, 0)
    assert (await served.get(f"{PATH}/{last['id']}"))[0] == 200
    assert (await served.get(f"{PATH}/{last['id']}", user="lee"))[0] == 404
    await made(served, previous_interaction_id=last["id"])
    assert len(await records(served)) == 2


@pytest.mark.parametrize("after", range(1, 4))
async def test_a_stream_that_breaks_off_before_its_usage_is_settled_when_its_owner_asks(
    served: Stage, after: int
) -> None:
    served.gemini.next(f"cut={after}")
    headers = {"x-goog-api-key": served.key, "x-jangbu-user": "kim"}
    body = {"model": FLASH, "input": "hi", "stream": True}
    with pytest.raises(aiohttp.ClientPayloadError):
        async with served.http.post(served.url + PATH, json=body, headers=headers) as answer:
            await answer.read()
    assert (await holds(served), await findings(served)) == (["unknown"], ["unknown_outcome"])
    [row] = await asked_database(served, "SELECT name FROM jangbu.resources")
    status, shown = await served.get(f"/v1beta/{row['name']}")
    assert status == 200
    assert await served.used() == (shown["usage"]["total_tokens"], 0)
    assert await findings(served) == []


async def test_a_stream_that_ends_while_the_work_goes_on_leaves_the_rest_to_the_next(served: Stage) -> None:
    events = b"".join(
        b"event: x\ndata: " + json.dumps(event).encode() + b"\n\n"
        for event in (
            {
                "event_type": "interaction.created",
                "interaction": {"id": "v1_b", "status": "in_progress", "model": FLASH},
            },
            {"event_type": "interaction.status_update", "interaction_id": "v1_b", "status": "in_progress"},
        )
    )
    served.gemini.next(Behaviour(recorded=Recorded(events, "text/event-stream")))
    answer, _ = await made(served, stream=True, background=True)
    assert answer == events
    assert (await records(served), await holds(served)) == ([], ["open"])
    shows(served, "v1_b", status="completed", usage=USAGE)
    assert (await served.get(f"{PATH}/v1_b"))[0] == 200
    assert await served.used() == (150, 0)


async def test_a_run_may_be_watched_as_a_stream(served: Stage) -> None:
    answer, _ = await made(served, background=True)
    name = answer["id"]
    done = {"id": name, "status": "completed", "model": FLASH, "usage": USAGE}
    events = [
        b'event: step.delta\ndata: {"event_type":"step.delta","index":0,"delta":{"type":"text","text":"hi"}}\n\n',
        b"event: x\ndata: "
        + json.dumps({"event_type": "interaction.completed", "interaction": done}).encode()
        + b"\n\n",
        b"event: done\ndata: [DONE]\n\n",
    ]
    served.gemini.when(Behaviour(recorded=Recorded(b"".join(events), "text/event-stream"), chunk_delay=0.05), path=name)
    status, content = await served.get(f"{PATH}/{name}?stream=true")
    assert (status, content) == (200, b"".join(events))
    assert await served.used() == (150, 0)
    assert len(await records(served)) == 1


async def test_media_that_is_named_is_counted_before_it_is_paid_for(served: Stage) -> None:
    file = await uploaded(served, b"x" * 4_000)
    first, _ = await made(served)
    media = [
        {"type": "text", "text": "what is this?"},
        {"type": "document", "uri": f"https://generativelanguage.googleapis.com/v1beta/{file}"},
        {"type": "video", "uri": "https://www.youtube.com/watch?v=9hE5-98ZeCg"},
    ]
    answer, _ = await made(served, input=media, previous_interaction_id=first["id"])
    assert any(line.endswith(":countTokens") for line in came(served))
    assert await served.used() == (first["usage"]["total_tokens"] + answer["usage"]["total_tokens"], 0)


async def test_files_and_environments_that_an_interaction_made_are_its_owners(served: Stage) -> None:
    uri = "https://generativelanguage.googleapis.com/v1beta/files/painted:download?alt=media"
    steps = [{"type": "model_output", "content": [{"type": "image", "uri": uri}]}]
    shown = {"id": "v1_p", "status": "completed", "model": FLASH, "usage": USAGE, "environment_id": "env-1"}
    served.gemini.next(Behaviour(recorded=Recorded(json.dumps({**shown, "steps": steps}).encode())))
    await made(served)
    picture = [{"type": "image", "uri": uri}]
    for given in ({"environment": "env-1"}, {"environment": {"environment_id": "env-1"}}, {"input": picture}):
        body = {"model": FLASH, "input": "go on", **given}
        assert (await served.post(PATH, body, user="lee"))[0] == 404
        assert (await served.post(PATH, body))[0] == 200


async def test_an_error_costs_nothing(served: Stage) -> None:
    served.gemini.next("400")
    assert (await served.post(PATH, {"model": FLASH, "input": "hi"}))[0] == 400
    served.gemini.next("error_after=2")
    answer, _ = await made(served, stream=True)
    assert b'"error"' in answer
    assert (await served.used(), await records(served)) == ((0, 0), [])


async def test_who_has_nothing_interacts_with_nobody(served: Stage) -> None:
    await served.open("park", tokens=0)
    for given in ({}, {"background": True}, {"stream": True}):
        assert (await served.post(PATH, {"model": FLASH, "input": "hi", **given}, user="park"))[0] == 402
    assert came(served) == []


async def test_a_context_that_cannot_be_paid_for_is_refused_also_when_it_is_counted(served: Stage) -> None:
    served.gemini.next("prompt=40000; candidates=50")
    first, _ = await made(served, input="hi")
    balance = await served.ledger.accounts.balance("kim")
    await served.ledger.accounts.adjust("kim", 10_000 - balance.available, key="less", reason="a test")
    body = {"model": FLASH, "input": "and then?", "previous_interaction_id": first["id"]}
    assert (await served.post(PATH, body))[0] == 402


async def test_googles_client_interacts(served: Stage) -> None:
    options = types.HttpOptions(base_url=served.url, headers={"x-jangbu-user": "kim"})

    def interact(client: genai.Client) -> int:
        interactions: Any = client.interactions
        first = interactions.create(model=FLASH, input="hi")
        second = interactions.create(model=FLASH, input="go on", previous_interaction_id=first.id)
        last = list(interactions.create(model=FLASH, input="hi", stream=True))[-1].interaction
        running = interactions.create(model=FLASH, input="hi", background=True)
        shown = interactions.get(running.id)
        return sum(each.usage.total_tokens for each in (first, second, last, shown))

    with genai.Client(api_key=served.key, http_options=options) as client:
        total = await asyncio.to_thread(interact, client)
    assert await served.used() == (total, 0)
    assert len(await records(served)) == 4


LONG = {"total_input_tokens": 9_000, "total_output_tokens": 1_000, "total_tokens": 10_000}
UNFINISHED = {"object": "interaction", "model": FLASH, "status": "requires_continuation"}


def stops_short(served: Stage, token: str, **shown: Any) -> None:
    """Have the provider stop the next interaction in the middle, with a token to go on from."""
    body = json.dumps({"id": f"v1_{token}", **UNFINISHED, "continuation_token": token, **shown}).encode()
    served.gemini.next(Behaviour(recorded=Recorded(body)))


def stops_short_in_events(served: Stage, token: str) -> None:
    """Have the provider stream it, with the token beside a change of the status and in the last snapshot."""
    whole = {"id": f"v1_{token}", **UNFINISHED, "continuation_token": token, "usage": LONG}
    events: list[dict[str, Any]] = [
        {"event_type": "interaction.created", "interaction": {"id": f"v1_{token}", "status": "in_progress"}},
        {"event_type": "interaction.status_update", "status": "in_progress", "continuation_token": f"{token}-half"},
        {"event_type": "interaction.completed", "interaction": whole},
    ]
    body = "".join(f"event: {event['event_type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
    served.gemini.next(Behaviour(recorded=Recorded(body, "text/event-stream")))


@pytest.mark.parametrize("in_events", [False, True])
async def test_only_who_was_given_its_token_goes_on_with_a_decode(served: Stage, in_events: bool) -> None:
    if in_events:
        stops_short_in_events(served, "opaque")
        await served.post(PATH, {"model": FLASH, "input": "hi", "stream": True})
    else:
        stops_short(served, "opaque", usage=LONG)
        await made(served)
    before = len(served.gemini.requests())
    for token in ("opaque", "nobodys"):
        for spelling in ("continuation_token", "continuationToken"):
            body = {"model": FLASH, "input": "hi", spelling: token}
            status, answer, _ = await served.post(PATH, body, user="lee")
            assert (status, answer["error"]["status"]) == (404, "NOT_FOUND")
            assert token not in answer["error"]["message"]
    assert came(served, since=before) == []
    for token in ("opaque", "opaque-half") if in_events else ("opaque",):
        await made(served, continuation_token=token)
        assert json.loads(served.gemini.requests()[-1].body)["continuation_token"] == token


async def test_what_was_decoded_before_is_held_for(served: Stage) -> None:
    stops_short(served, "opaque", usage=LONG)
    first, _ = await made(served)
    gone_on_from: list[dict[str, Any]] = [{}, {"previous_interaction_id": first["id"]}]
    for given in gone_on_from:
        stops_short(served, "more", usage=LONG)
        await made(served, continuation_token="opaque", max_output_tokens=1_000, **given)
        assert await findings(served) == [], "the context was held for"


async def test_what_is_not_known_of_a_decode_is_as_much_as_its_model_takes_in(served: Stage) -> None:
    stops_short(served, "opaque", usage=LONG)
    await made(served)
    await asked_database(served, "DELETE FROM jangbu.resources WHERE name LIKE 'continuations/%'")
    stops_short(served, "opaque", status="in_progress")
    assert (await served.get(f"{PATH}/v1_opaque"))[0] == 200
    status, answer, _ = await served.post(PATH, {"model": FLASH, "input": "hi", "continuation_token": "opaque"})
    assert (status, answer["error"]["details"][0]["reason"]) == (402, "INSUFFICIENT_BALANCE")
    assert int(answer["error"]["details"][0]["metadata"]["needed"]) > 1_000_000
