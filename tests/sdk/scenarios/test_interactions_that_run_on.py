"""Interactions that run on after their answer: settled once, for whoever began them, by whichever process asks."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from google import genai

from jangbu import Balance, MissingUser
from jangbu.errors import DatabaseUnreachable
from jangbu.metering.meter import Metering
from jangbu.testing import Behaviour, Recorded
from tests.sdk.scenarios.stage import BALANCE, MODEL, USER, Stage

pytestmark = [
    pytest.mark.skipif(not hasattr(genai.Client, "interactions"), reason="this google-genai has no interactions"),
    pytest.mark.filterwarnings("ignore:.*nteractions.*:UserWarning"),
]


def test_a_run_in_the_background_is_recorded_when_it_is_fetched(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        run: Any = stage.client.interactions.create(model=MODEL, input="research", background=True)
    assert run.status == "in_progress"
    assert stage.records() == []
    assert stage.balance.held > 0
    fetched: Any = stage.client.interactions.get(run.id)
    stage.client.interactions.get(run.id)
    (record,) = stage.records()
    assert record.total == fetched.usage.total_tokens
    assert stage.balance == Balance(BALANCE, record.total, 0)


def test_a_run_in_the_background_keeps_no_room_in_the_spool(stage: Stage) -> None:
    async def rooms(metering: Metering) -> int:
        assert metering.spooling is not None
        return len(metering.spooling.rooms)

    with stage.meter.attribute(user=USER):
        stage.client.interactions.create(model=MODEL, input="research", background=True)
    assert stage.balance.held > 0
    assert stage.meter._background.wait(rooms) == 0


def test_a_run_that_was_started_past_the_meter_is_recorded_for_whoever_fetches_it(stage: Stage) -> None:
    other = stage.new_client()
    run: Any = other.interactions.create(model=MODEL, input="research", background=True)
    with pytest.raises(MissingUser):
        stage.client.interactions.get(run.id)
    with stage.meter.attribute(user=USER):
        stage.client.interactions.get(run.id)
        stage.client.interactions.get(run.id)
    assert len(stage.records()) == 1


def test_a_stored_interaction_is_not_recorded_again_by_another_process(stage: Stage, elsewhere: Stage) -> None:
    with stage.meter.attribute(user=USER):
        made: Any = stage.client.interactions.create(model=MODEL, input="hello")
    with elsewhere.meter.attribute(user=USER):
        elsewhere.client.interactions.get(made.id)
    (record,) = stage.records()
    assert record.response_id == made.id
    assert stage.balance == Balance(BALANCE, record.total, 0)


def test_the_events_of_an_interaction_are_not_recorded_again_by_another_process(stage: Stage, elsewhere: Stage) -> None:
    with stage.meter.attribute(user=USER):
        events: Any = stage.client.interactions.create(model=MODEL, input="hello", stream=True)
    list(events)
    (record,) = stage.records()
    with elsewhere.meter.attribute(user=USER):
        elsewhere.client.interactions.get(record.response_id or "")
    assert stage.records() == [record]
    assert stage.balance == Balance(BALANCE, record.total, 0)


def test_a_run_in_the_background_is_settled_for_whoever_started_it_whichever_process_fetches_it(
    stage: Stage, elsewhere: Stage
) -> None:
    with stage.meter.attribute(user=USER, service="script", tags={"book": "7"}):
        run: Any = stage.client.interactions.create(model=MODEL, input="research", background=True)
    assert stage.balance.held > 0
    elsewhere.client.interactions.get(run.id)
    (record,) = stage.records()
    assert (record.user, record.service, record.tags) == (USER, "script", {"book": "7"})
    assert record.response_id == run.id
    with stage.meter.attribute(user="somebody else"):
        stage.client.interactions.get(run.id)
    assert stage.records() == [record]
    assert stage.balance == Balance(BALANCE, record.total, 0)


async def test_an_asynchronous_run_in_the_background_is_settled_when_it_is_fetched(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        run: Any = await stage.client.aio.interactions.create(model=MODEL, input="research", background=True)
    assert (await asyncio.to_thread(lambda: stage.balance)).held > 0
    await stage.client.aio.interactions.get(run.id)
    (record,) = await asyncio.to_thread(stage.records)
    assert await asyncio.to_thread(lambda: stage.balance) == Balance(BALANCE, record.total, 0)


def test_a_run_that_came_to_nothing_gives_back_what_was_held(stage: Stage, elsewhere: Stage) -> None:
    with stage.meter.attribute(user=USER):
        run: Any = stage.client.interactions.create(model=MODEL, input="research", background=True)
    stage.bare.interactions.cancel(run.id)
    elsewhere.client.interactions.get(run.id)
    assert stage.balance == Balance(BALANCE, 0, 0)
    assert stage.records() == []


def test_a_run_whose_owner_could_not_be_noted_is_settled_by_the_process_that_started_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise DatabaseUnreachable("the database is away")

    with monkeypatch.context() as away:
        away.setattr("jangbu.metering.resources.Resources.claim", fail)
        with stage.meter.attribute(user=USER):
            run: Any = stage.client.interactions.create(model=MODEL, input="research", background=True)
    assert stage.holds() == ["open"]
    stage.client.interactions.get(run.id)
    (record,) = stage.records()
    assert (record.response_id, stage.holds()) == (run.id, [])
    assert stage.balance == Balance(BALANCE, record.total, 0)


def test_events_that_were_left_early_are_settled_by_what_is_fetched_later(stage: Stage, elsewhere: Stage) -> None:
    stage.gemini.next("chunks=6; chunk_delay=0.1")
    with stage.meter.attribute(user=USER):
        events: Any = stage.client.interactions.create(model=MODEL, input="hello", stream=True)
    first = next(iter(events))
    events.close()
    assert stage.holds() == ["unknown"]
    elsewhere.client.interactions.get(first.interaction.id)
    (record,) = stage.records()
    assert (record.user, record.response_id) == (USER, first.interaction.id)
    assert stage.holds() == []
    assert stage.balance == Balance(BALANCE, record.total, 0)


RUN = {"id": "v1_run", "status": "in_progress", "object": "interaction", "model": MODEL}
USED = {"total_input_tokens": 5, "total_output_tokens": 7, "total_tokens": 12}


def events_of(*shown: Any, done: bool = True) -> Behaviour:
    said = [f"event: {event['event_type']}\ndata: {json.dumps(event)}\n\n" for event in shown]
    body = "".join([*said, "event: done\ndata: [DONE]\n\n" if done else ""])
    return Behaviour(recorded=Recorded(body.encode(), "text/event-stream"))


BEGUN = events_of({"event_type": "interaction.created", "interaction": RUN})
COMPLETED = {**RUN, "status": "completed", "usage": USED}
ENDED = events_of(
    {"event_type": "interaction.status_update", "interaction_id": RUN["id"], "status": "in_progress"},
    {"event_type": "interaction.completed", "interaction": COMPLETED},
)


@pytest.fixture
def running(stage: Stage) -> Stage:
    """A run of which the events have ended before it has."""
    stage.gemini.next(BEGUN)
    with stage.meter.attribute(user=USER):
        stream: Any = stage.client.interactions.create(model=MODEL, input="research", background=True, stream=True)
    list(stream)
    return stage


def test_events_that_end_before_the_run_has_leave_its_hold_until_it_is_fetched(running: Stage) -> None:
    assert (running.records(), running.holds()) == ([], ["open"])
    running.gemini.next(Behaviour(recorded=Recorded(json.dumps(COMPLETED).encode(), "application/json")))
    running.client.interactions.get(RUN["id"])
    assert [record.total for record in running.records()] == [12]
    assert running.balance == Balance(BALANCE, 12, 0)


def test_events_that_are_asked_for_again_settle_the_run_before_the_last_of_them(
    running: Stage, elsewhere: Stage
) -> None:
    seen = []
    for _ in range(2):
        elsewhere.gemini.next(ENDED)
        again: Any = elsewhere.client.interactions.get(RUN["id"], stream=True)
        seen.append([(event.event_type, len(running.records())) for event in again])
    assert [each[0][1] for each in seen] == [0, 1]
    assert [each[-1] for each in seen] == [("interaction.completed", 1)] * 2
    (record,) = running.records()
    assert (record.user, record.total, record.response_id) == (USER, 12, RUN["id"])
    assert running.balance == Balance(BALANCE, 12, 0)


async def test_asynchronous_events_that_are_asked_for_again_settle_the_run(running: Stage, elsewhere: Stage) -> None:
    elsewhere.gemini.next(ENDED)
    again: Any = await elsewhere.client.aio.interactions.get(RUN["id"], stream=True)
    assert [event.event_type async for event in again][-1] == "interaction.completed"
    assert await asyncio.to_thread(lambda: running.balance) == Balance(BALANCE, 12, 0)


def test_events_that_are_asked_for_again_and_left_settle_nothing(running: Stage, elsewhere: Stage) -> None:
    elsewhere.gemini.next(ENDED)
    again: Any = elsewhere.client.interactions.get(RUN["id"], stream=True)
    next(iter(again))
    again.close()
    assert (running.records(), running.holds()) == ([], ["open"])


def test_events_that_are_asked_for_again_charge_nobody_but_who_began_the_run(stage: Stage, elsewhere: Stage) -> None:
    elsewhere.meter.create("lee")
    stage.gemini.next(events_of({"event_type": "interaction.completed", "interaction": COMPLETED}))
    with stage.meter.attribute(user=USER):
        list(stage.client.interactions.create(model=MODEL, input="hello", stream=True))
    stage.gemini.next(ENDED)
    with elsewhere.meter.attribute(user="lee"):
        list(elsewhere.client.interactions.get(RUN["id"], stream=True))
    assert [(record.user, record.total) for record in stage.records()] == [(USER, 12)]


SOME = {"total_input_tokens": 2, "total_output_tokens": 3, "total_tokens": 5}
FAILED = {"event_type": "error", "error": {"code": "gateway_timeout", "message": "m"}}


def status(value: str, **more: Any) -> dict[str, Any]:
    return {"event_type": "interaction.status_update", "interaction_id": RUN["id"], "status": value, **more}


@pytest.mark.parametrize(
    "begun",
    [
        Behaviour(recorded=Recorded(json.dumps({**RUN, "usage": SOME}).encode(), "application/json")),
        events_of({"event_type": "interaction.created", "interaction": RUN}, status("in_progress", usage=SOME)),
        events_of({"event_type": "interaction.created", "interaction": RUN}, FAILED),
    ],
    ids=["whole", "events", "error"],
)
def test_what_a_run_reports_before_its_end_is_not_what_it_used(
    stage: Stage, elsewhere: Stage, begun: Behaviour
) -> None:
    is_stream = begun.recorded is not None and begun.recorded.content_type != "application/json"
    stage.gemini.next(begun)
    with stage.meter.attribute(user=USER), suppress(genai.errors.APIError):
        made: Any = stage.client.interactions.create(model=MODEL, input="r", background=True, stream=is_stream)
        list(made) if is_stream else None
    assert (stage.records(), stage.holds()) == ([], ["open"])
    stage.gemini.next(events_of({"event_type": "step.stop", "index": 1, "usage": SOME}, done=False))
    list(elsewhere.client.interactions.get(RUN["id"], stream=True))
    assert (stage.records(), stage.holds()) == ([], ["open"])
    stage.gemini.next(Behaviour(recorded=Recorded(json.dumps(COMPLETED).encode(), "application/json")))
    elsewhere.client.interactions.get(RUN["id"])
    assert [record.total for record in stage.records()] == [12]
    assert stage.balance == Balance(BALANCE, 12, 0)


def test_a_run_that_events_show_to_have_failed_gives_back_what_was_held(running: Stage, elsewhere: Stage) -> None:
    elsewhere.gemini.next(events_of(status("in_progress"), status("failed")))
    list(elsewhere.client.interactions.get(RUN["id"], stream=True))
    assert running.records() == []
    assert running.balance == Balance(BALANCE, 0, 0)


def test_words_about_errors_are_no_error(stage: Stage) -> None:
    said = {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "write event: error here"}}
    stage.gemini.next(events_of({"event_type": "interaction.created", "interaction": RUN}, said, done=False))
    with stage.meter.attribute(user=USER):
        list(stage.client.interactions.create(model=MODEL, input="hello", stream=True))
    assert stage.holds() == ["open"], "what it used is still to be seen"


def test_a_run_that_is_settled_is_shown_without_the_database(running: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise DatabaseUnreachable("the database is away")

    for _ in range(2):
        running.gemini.next(Behaviour(recorded=Recorded(json.dumps(COMPLETED).encode(), "application/json")))
    running.client.interactions.get(RUN["id"])
    with monkeypatch.context() as away:
        away.setattr("jangbu.metering.resources.Resources.begun", fail)
        assert running.client.interactions.get(RUN["id"]).status == "completed"
