"""Holds: what is held for calls under way, and how those end whose outcome nobody knows."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field

from jangbu.api.rest.asked import Ask, Somebody
from jangbu.api.rest.declared import OPERATIONS, READERS, Routes
from jangbu.api.rest.paging import Cursor, Limit, moment_and_id, page
from jangbu.api.rest.records import AnswerText, ReceiptFacts, read_answer
from jangbu.api.rest.values import Answer, Body, Name, Number, Part, Reason, example
from jangbu.domain.usage import Surface
from jangbu.metering.facts import receipt_facts
from jangbu.metering.resolving import charge_hold, release_hold

__all__ = ["holds"]

holds = Routes("holds")

_HOLD = "0192f3a0-0000-7000-8000-000000000002"
_AT = "2026-01-31T09:00:00Z"

State = Literal["open", "unknown", "released", "expired"]


class Charge(Body):
    """The answer that came after all."""

    model_config = example(answer={"usageMetadata": {"promptTokenCount": 150, "totalTokenCount": 150}})
    answer: AnswerText
    surface: Surface | None = Field(None, description="Where the answer came from, if it does not show.")
    model: Name | None = Field(None, description="The model, where the answer names none.")


class Release(Body):
    """Why held tokens are given back."""

    model_config = example(reason="the provider confirms that there was no answer")
    reason: Reason


class HoldFacts(Part):
    """A hold."""

    id: UUID
    user: str
    amount: Number
    state: State
    service: str
    model: str
    owner: str
    reason: str | None
    taken_at: datetime
    expires_at: datetime
    closed_at: datetime | None


class HoldList(Answer):
    """Holds, oldest first."""

    model_config = example(
        schema_version=1,
        holds=[
            {
                "id": _HOLD,
                "user": "kim",
                "amount": 8_342,
                "state": "unknown",
                "service": "text_generation",
                "model": "gemini-2.5-flash",
                "owner": "gateway-1:4711",
                "reason": "the connection broke off",
                "taken_at": _AT,
                "expires_at": _AT,
                "closed_at": None,
            }
        ],
        next=None,
    )
    holds: list[HoldFacts]
    next: str | None


class Charged(Answer, ReceiptFacts):
    """What was charged for the call."""

    model_config = example(
        schema_version=1,
        id=_HOLD,
        user="kim",
        model="gemini-2.5-flash",
        charged_tokens=150,
        cost_nano=45_000,
        available=999_850,
        held_before=8_342,
        overrun=0,
        replayed=False,
        anomalies=[],
    )


class Released(Answer):
    """Whether the hold was held until now, and whether this was asked for before with the same key."""

    model_config = example(schema_version=1, id=_HOLD, released=True, replayed=False)
    id: UUID
    released: bool
    replayed: bool


@holds.get("/holds", roles=READERS, answer=HoldList)
async def list_holds(
    ask: Ask,
    user: Somebody,
    state: Annotated[
        list[State] | None, Query(max_length=4, description="Again for each; without it open and unknown ones.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List holds, oldest first: those that hold tokens now, unless others are asked for."""
    account = None if user is None else (await ask.ledger.accounts.find(user)).id
    after = moment_and_id(cursor)
    found = await ask.ledger.holds.page(account, state or ["open", "unknown"], limit + 1, after)
    rows, following = page(found, limit, lambda row: (row.taken_at, row.id))
    return {"holds": [asdict(row) for row in rows], "next": following}


@holds.post("/holds/{hold}/charge", roles=OPERATIONS, answer=Charged, body_bytes=None)
async def charge(ask: Ask, hold: UUID, body: Charge) -> dict[str, Any]:
    """Charge a call for which tokens are still held by its answer, which came after all."""
    usage = await read_answer(ask, body.answer, body.surface, body.model)
    receipt = await charge_hold(ask.ledger, ask.parts.project, hold, usage, key=ask.once)
    return receipt_facts(receipt, usage)


@holds.post("/holds/{hold}/release", roles=OPERATIONS, answer=Released)
async def release(ask: Ask, hold: UUID, body: Release) -> dict[str, Any]:
    """Give held tokens back: there was no answer."""
    released, replayed = await release_hold(ask.ledger, hold, body.reason, key=ask.once)
    return {"id": hold, "released": released, "replayed": replayed}
