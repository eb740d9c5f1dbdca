"""Calls: what was recorded, and one of them from the provider's words to the debit."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query

from jangbu.api.rest.account_parts import EntryFacts
from jangbu.api.rest.asked import Ask, Somebody, Whose
from jangbu.api.rest.call_filters import SoughtCalls
from jangbu.api.rest.costs import shown, shown_call
from jangbu.api.rest.declared import READERS, USER, Routes
from jangbu.api.rest.paging import Cursor, Limit, place, place_of
from jangbu.api.rest.periods import Within
from jangbu.api.rest.values import Answer, Number, Part, example
from jangbu.metering.call_search import NAME_LENGTH_MAX, search
from jangbu.metering.facts import call_facts, explanation_facts, named_call_facts
from jangbu.metering.log_search import sought
from jangbu.metering.logs import Ending
from jangbu.metering.snapshots import snapshot

__all__ = ["calls"]

calls = Routes("calls")

_CALL = "0192f3a0-0000-7000-8000-000000000001"
_AT = "2026-01-31T09:00:00Z"
_ENTRY = {
    "seq": 2,
    "kind": "usage",
    "delta": -450,
    "balance_after": 999_550,
    "created_at": _AT,
    "reference": None,
    "posting": 1,
    "key": None,
    "reason": None,
}


class CallFacts(Part):
    """One recorded call. ``status`` is how it ended."""

    id: UUID
    created_at: datetime
    service: str
    model: str
    prompt_tokens: Number
    completion_tokens: Number
    total_tokens: Number
    cost_nano: Number | None
    status: Ending
    anomalies: list[str]


class CallList(Answer):
    """Calls, newest first.

    ``is_whole`` is false where so many calls were looked through as are for one answer before the page was full: there
    may be more of what is looked for, or none, and with ``next`` the older calls are looked through.
    """

    model_config = example(
        schema_version=1,
        user="kim",
        calls=[
            {
                "id": _CALL,
                "created_at": _AT,
                "service": "text_generation",
                "model": "gemini-2.5-flash",
                "prompt_tokens": 150,
                "completion_tokens": 300,
                "total_tokens": 450,
                "cost_nano": 795_000,
                "status": "recorded",
                "anomalies": [],
            }
        ],
        next=None,
        is_whole=True,
    )
    user: str
    calls: list[CallFacts]
    next: str | None
    is_whole: bool


class NamedCallFacts(Part):
    """A call that has the name, recorded or held for; ``GET /calls/{call}`` explains one that is recorded."""

    id: UUID
    user: str
    created_at: datetime


class NamedCalls(Answer):
    """The calls that have a name, newest first, or none.

    ``was_dropped`` tells that retention dropped the records of the name's time, so that nobody knows whether there was
    one. ``is_whole`` is false where there may be more.
    """

    model_config = example(
        schema_version=1,
        calls=[{"id": _CALL, "user": "kim", "created_at": _AT}],
        was_dropped=False,
        is_whole=True,
    )
    calls: list[NamedCallFacts]
    was_dropped: bool
    is_whole: bool


class PriceLineFacts(Part):
    """A quantity of one meter at a price, in nano-USD."""

    meter: str
    modality: str
    quantity: Number
    unit_size: Number
    unit_price_nano: Number
    amount_nano: Number


class UnpricedFacts(Part):
    """Why something has no price."""

    reason: str
    model: str | None
    meter: str | None
    modality: str | None
    quantity: Number


class Explained(Answer):
    """All that is known of a call. ``evidence`` is what the provider reported, word for word."""

    model_config = example(
        schema_version=1,
        account_id="0a9c8c3b-6f43-5d2d-9f2a-0c6b8d2b7f11",
        id=_CALL,
        user="kim",
        service="text_generation",
        model="gemini-2.5-flash",
        surface="generate_content",
        platform="gemini_api",
        tier=None,
        source="reported",
        prompt=150,
        candidates=300,
        thoughts=0,
        tool=0,
        cached=0,
        total=450,
        cost_nano=795_000,
        input_cost_nano=45_000,
        charge_nano=795_000,
        price_version=1,
        hold_amount=None,
        late=False,
        posting=1,
        money_posting=None,
        response_id="answer-1",
        anomalies=[],
        recorded_at=_AT,
        created_at=_AT,
        metadata=None,
        evidence={"usage": [{"promptTokenCount": 150, "candidatesTokenCount": 300, "totalTokenCount": 450}]},
        sum="prompt 150 + candidates 300 + thoughts 0 + tool 0 = 450, charged 450",
        price_lines=[
            {
                "meter": "input",
                "modality": "text",
                "quantity": 150,
                "unit_size": 1_000_000,
                "unit_price_nano": 300_000_000,
                "amount_nano": 45_000,
            }
        ],
        unpriced=[],
        overrun=0,
        entry=_ENTRY,
        money_entry=None,
        balance_after=999_550,
        returns=[],
        money_returns=[],
        net_tokens=450,
    )
    account_id: UUID
    id: UUID
    user: str
    service: str
    model: str
    surface: str
    platform: str
    tier: str | None
    source: str
    prompt: Number
    candidates: Number
    thoughts: Number
    tool: Number
    cached: Number
    total: Number
    cost_nano: Number | None
    input_cost_nano: Number | None
    charge_nano: Number | None
    price_version: Number | None
    hold_amount: Number | None
    late: bool
    posting: Number
    money_posting: Number | None
    response_id: str | None
    anomalies: list[str]
    recorded_at: datetime
    created_at: datetime
    metadata: dict[str, Any] | None
    evidence: Any
    sum: str
    price_lines: list[PriceLineFacts]
    unpriced: list[UnpricedFacts]
    overrun: Number
    entry: EntryFacts | None
    money_entry: EntryFacts | None
    balance_after: Number | None
    returns: list[EntryFacts]
    money_returns: list[EntryFacts]
    net_tokens: Number


@calls.get("/calls", roles=READERS | USER, answer=CallList)
async def list_calls(
    ask: Ask,
    user: Whose,
    what: SoughtCalls,
    within: Within,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List a user's calls with their ids, newest first: all, or those that are all of what is asked for."""
    (before,) = (None,) if cursor is None else place(cursor, UUID)
    async with snapshot(ask.ledger.database, ask.parts.project) as book:
        found = await sought(book, user, what, span=within, before=before, limit=limit)
    return {
        "user": user,
        "calls": [shown(ask, call_facts(each)) for each in found.calls],
        "next": None if found.next is None else place_of(found.next),
        "is_whole": found.is_whole,
    }


@calls.get("/calls/search", roles=READERS | USER, answer=NamedCalls)
async def search_calls(
    ask: Ask,
    name: Annotated[
        str,
        Query(
            min_length=1,
            max_length=NAME_LENGTH_MAX,
            description="A call's id, that of Google's answer, or the key that it was recorded under.",
            examples=["order-17"],
        ),
    ],
    user: Somebody,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Find the calls that have a name: everybody's, or those of a user. Keys are each user's own, so several may."""
    async with snapshot(ask.ledger.database, ask.parts.project) as book:
        found = await search(book, name, limit=limit, user=user)
    return {
        "calls": [named_call_facts(each) for each in found.calls],
        "was_dropped": found.was_dropped,
        "is_whole": len(found.calls) < limit,
    }


@calls.get("/calls/{call}", roles=READERS | USER, answer=Explained)
async def explain(ask: Ask, call: UUID, user: Somebody) -> dict[str, Any]:
    """Show a call from the provider's own words to the debit."""
    return shown_call(ask, explanation_facts(await ask.reports.explain(call, ask.ledger.pricing.lines, user=user)))
