"""What the app was told of its users by the webhook, whether that arrived, and to have it sent again."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field

from jangbu.api.rest.asked import Ask
from jangbu.api.rest.declared import OPERATIONS, READERS, Routes
from jangbu.api.rest.paging import Cursor, Limit, moment_and_id, page
from jangbu.api.rest.values import Answer, Body, Number, Part, Text, example
from jangbu.domain.webhooks import EventKind, EventState
from jangbu.metering.alert_facts import event_facts

__all__ = ["webhooks"]

webhooks = Routes("webhooks")

_EVENT = {
    "id": "3f0c7c0e-9d3b-4b0f-8a8e-1f2d3c4b5a69",
    "type": "call.refused",
    "created_at": "2026-01-31T09:00:00Z",
    "data": {"user": "kim", "calls": 3, "since": "2026-01-31T08:10:00Z", "available": 12},
    "state": "waiting",
    "attempts": 1,
    "error": "the receiver answered 503",
    "delivered_at": None,
    "given_up_at": None,
}


class EventFacts(Part):
    """What the app is told, and whether it arrived; ``error`` is why the latest attempt failed."""

    id: UUID
    type: str
    created_at: datetime
    data: dict[str, str | Number | list[str]]
    state: Literal["waiting", "delivered", "given_up"]
    attempts: Number
    error: str | None
    delivered_at: datetime | None
    given_up_at: datetime | None


class EventList(Answer):
    """Events, newest first."""

    model_config = example(schema_version=1, events=[_EVENT], next=None)
    events: list[EventFacts]
    next: str | None


class SentAgain(Answer, EventFacts):
    """An event that is sent again; ``replayed`` tells that it was, before, with this key."""

    model_config = example(schema_version=1, **_EVENT, replayed=False)
    replayed: bool


class Given(Body):
    """Which of the events that were given up: those of one type or user, else all."""

    model_config = example(type="call.refused", user="kim")
    kind: EventKind | None = Field(None, alias="type")
    user: Text | None = None


class AllSentAgain(Answer):
    """How many events this sends again; ``replayed`` tells that the key stands for it since before."""

    model_config = example(schema_version=1, sent_again=3, replayed=False)
    sent_again: Number
    replayed: bool


@webhooks.get("/webhooks/events", roles=READERS, answer=EventList)
async def list_events(
    ask: Ask,
    undelivered: Annotated[bool, Query(description="Only those that did not arrive.")] = False,
    kind: Annotated[EventKind | None, Query(alias="type", description="Only those of one type.")] = None,
    user: Annotated[str | None, Query(description="Only those of one user.", max_length=200)] = None,
    state: Annotated[EventState | None, Query(description="Only those in one state.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List what the app was told by the webhook, newest first."""
    before = moment_and_id(cursor)
    kinds = tuple(EventKind) if kind is None else (kind,)
    found = await ask.ledger.webhooks.page(
        kinds=kinds, only_undelivered=undelivered, state=state, user=user, limit=limit + 1, before=before
    )
    rows, following = page(found, limit, lambda row: (row.event.created_at, row.event.id))
    return {"events": [event_facts(row) for row in rows], "next": following}


@webhooks.post("/webhooks/events/{event}/send-again", roles=OPERATIONS, answer=SentAgain)
async def send_again(ask: Ask, event: UUID) -> dict[str, Any]:
    """Have an event sent again under its id, whatever became of it."""
    row, replayed = await ask.ledger.webhooks.send_again(event, key=ask.once)
    return event_facts(row) | {"replayed": replayed}


@webhooks.post("/webhooks/events/send-again", roles=OPERATIONS, answer=AllSentAgain)
async def send_all_again(ask: Ask, body: Given) -> dict[str, Any]:
    """Have the events that were given up sent again under their ids, up to 10,000 at once."""
    sent, replayed = await ask.ledger.webhooks.send_all_again(body.kind, user=body.user, key=ask.once)
    return {"sent_again": sent, "replayed": replayed}
