"""Interactions: whole, as events, in the background, and fetched again."""

import asyncio
from typing import Any

import pytest
from google import genai

from jangbu import Balance, InsufficientBalance, MissingUser
from jangbu.errors import NotOffered, UncountedInput
from tests.sdk.scenarios.stage import BALANCE, MODEL, USER, Stage

pytestmark = [
    pytest.mark.skipif(not hasattr(genai.Client, "interactions"), reason="this google-genai has no interactions"),
    pytest.mark.filterwarnings("ignore:.*nteractions.*:UserWarning"),
]


def test_an_interaction_is_recorded(stage: Stage) -> None:
    with stage.meter.attribute(user=USER, tags={"page": "7"}):
        answer: Any = stage.client.interactions.create(model=MODEL, input="hello")
    (record,) = stage.records()
    assert (record.service, record.surface, record.response_id) == ("text_generation", "interactions", answer.id)
    assert (record.total, record.tags) == (answer.usage.total_tokens, {"page": "7"})
    stage.assert_the_book_equals_the_log()


async def test_an_asynchronous_interaction_is_recorded(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        await stage.client.aio.interactions.create(model=MODEL, input="hello")
    assert len(stage.records()) == 1
    stage.assert_the_book_equals_the_log()


def test_an_interaction_without_a_user_is_not_made(stage: Stage) -> None:
    with pytest.raises(MissingUser):
        stage.client.interactions.create(model=MODEL, input="hello")
    assert stage.gemini.requests() == []


def test_an_interaction_that_cannot_be_paid_for_is_not_made(stage: Stage) -> None:
    stage.meter.create("poor")
    with pytest.raises(InsufficientBalance), stage.meter.attribute(user="poor"):
        stage.client.interactions.create(model=MODEL, input="hello")
    assert stage.gemini.requests() == []


async def test_a_live_interaction_is_not_begun_past_the_meter(stage: Stage) -> None:
    interactions: Any = stage.client.aio.interactions
    if not hasattr(interactions, "connect"):
        pytest.skip("this google-genai has no live interactions")
    with stage.meter.attribute(user=USER):
        with pytest.raises(NotOffered, match="live interactions are not metered"):
            async with interactions.connect("v1_abc"):
                pass
        with pytest.raises(NotOffered):
            await interactions.connect("v1_abc")
    assert stage.gemini.requests() == []


def test_events_are_one_record_and_durable_before_the_last(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        events: Any = stage.client.interactions.create(model=MODEL, input="hello", stream=True)
    seen = [(event.event_type, len(stage.records())) for event in events]
    assert [count for kind, count in seen if kind.startswith("interaction.complete")] == [1]
    stage.assert_the_book_equals_the_log()
    assert len(stage.records()) == 1


async def test_asynchronous_events_are_one_record(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        events: Any = await stage.client.aio.interactions.create(model=MODEL, input="hello", stream=True)
    assert [event async for event in events]
    stage.assert_the_book_equals_the_log()
    assert len(stage.records()) == 1


def test_events_that_are_left_early_leave_nothing_lost(stage: Stage) -> None:
    stage.gemini.next("chunks=6; chunk_delay=0.1")
    with stage.meter.attribute(user=USER):
        events: Any = stage.client.interactions.create(model=MODEL, input="hello", stream=True)
    next(iter(events))
    events.close()
    assert stage.records() == []
    assert stage.holds() == ["unknown"]


async def test_asynchronous_events_that_are_left_early_leave_nothing_lost(stage: Stage) -> None:
    stage.gemini.next("chunks=6; chunk_delay=0.1")
    with stage.meter.attribute(user=USER):
        events: Any = await stage.client.aio.interactions.create(model=MODEL, input="hello", stream=True)
    await anext(aiter(events))
    await events.close()
    assert await asyncio.to_thread(stage.holds) == ["unknown"]


def test_an_interaction_that_is_refused_costs_nothing(stage: Stage) -> None:
    stage.gemini.when("400", path="interactions")
    with pytest.raises(Exception, match="400"), stage.meter.attribute(user=USER):
        stage.client.interactions.create(model=MODEL, input="hello")
    assert stage.records() == []
    assert stage.balance == Balance(BALANCE, 0, 0)


def test_an_output_limit_is_put_in(stage: Stage) -> None:
    stage.meter.create("modest")
    stage.meter.grant("modest", 20_000, key="gift")
    with stage.meter.attribute(user="modest"):
        stage.client.interactions.create(model=MODEL, input="hello")
    assert 1024 <= stage.sent()["generation_config"]["max_output_tokens"] <= 10_000


def test_an_interaction_that_goes_on_from_another_is_bounded_by_what_that_one_used(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        first: Any = stage.client.interactions.create(model=MODEL, input="hello")
        stage.client.interactions.create(model=MODEL, input="and then?", previous_interaction_id=first.id)
    assert [record.surface for record in stage.records()] == ["interactions", "interactions"]
    assert stage.holds() == []


FILM = [{"type": "video", "data": "AAAA", "mime_type": "video/mp4"}]
COUNT = f"{MODEL}:countTokens"


def test_a_film_is_counted_before_it_is_paid_for(stage: Stage) -> None:
    stage.meter.create("thrifty")
    stage.meter.grant("thrifty", 200_000, key="g")
    with stage.meter.attribute(user="thrifty"):
        first: Any = stage.client.interactions.create(model=MODEL, input="hello")
        stage.client.interactions.create(model=MODEL, input=FILM, previous_interaction_id=first.id)
    assert sum(request.path.endswith(f"/models/{COUNT}") for request in stage.gemini.requests()) == 1
    assert (len(stage.records()), stage.holds()) == (2, [])


async def test_a_film_that_is_not_counted_is_not_sent(stage: Stage) -> None:
    stage.meter.create("thrifty")
    stage.meter.grant("thrifty", 200_000, key="g")
    stage.gemini.when("503", path=":countTokens")
    with pytest.raises(UncountedInput), stage.meter.attribute(user="thrifty"):
        await stage.client.aio.interactions.create(model=MODEL, input=FILM)
    assert {request.path.rpartition("/")[2] for request in stage.gemini.requests()} == {COUNT}
    assert (stage.records(), stage.holds()) == ([], [])


def test_a_stored_interaction_is_not_recorded_again(stage: Stage) -> None:
    with stage.meter.attribute(user=USER):
        first: Any = stage.client.interactions.create(model=MODEL, input="hello")
    stage.client.interactions.get(first.id)
    assert len(stage.records()) == 1
