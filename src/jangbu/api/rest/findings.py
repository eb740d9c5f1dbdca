"""Findings: what somebody should look at, who looks into it, and what came of it."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query

from jangbu.api.rest.asked import Account, Ask, Asked, Somebody
from jangbu.api.rest.declared import READERS, WRITERS, Routes
from jangbu.api.rest.paging import Cursor, Limit, page, place
from jangbu.api.rest.values import Answer, Body, Number, Part, Reason, example
from jangbu.metering.alert_facts import finding_facts
from jangbu.metering.inbox import FindingKind, Inbox, InboxState

__all__ = ["findings"]

findings = Routes("findings")

_AT = "2026-01-31T09:00:00Z"
_FINDING = {
    "call": "0192f3a0-0000-7000-8000-000000000001",
    "user": "kim",
    "kind": "overrun",
    "state": "acknowledged",
    "detail": "100 tokens held, 250 used",
    "held": 100,
    "used": 250,
    "created_at": _AT,
    "acknowledged_at": _AT,
    "acknowledged_by": "support",
    "resolved_at": None,
    "resolved_by": None,
    "resolution": None,
}
_RESOLVED = {
    **_FINDING,
    "state": "resolved",
    "resolved_at": _AT,
    "resolved_by": "support",
    "resolution": "the model was told to think longer",
}


class Resolution(Body):
    """Why a finding is resolved; the reason stays with it."""

    model_config = example(reason="the model was told to think longer")
    reason: Reason


class FindingFacts(Part):
    """A finding of a call. What was ``held`` and ``used`` is null where the call has no record, or nothing was held."""

    call: UUID
    user: str
    kind: FindingKind
    state: Literal["new", "acknowledged", "resolved"]
    detail: str
    held: Number | None
    used: Number | None
    created_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class FindingList(Answer):
    """Findings, newest first."""

    model_config = example(schema_version=1, findings=[_FINDING], next=None)
    findings: list[FindingFacts]
    next: str | None


class Acknowledged(Answer, FindingFacts):
    """The finding. ``is_new`` tells that nobody looked into it so far; ``replayed`` that the key stands for it."""

    model_config = example(schema_version=1, **_FINDING, is_new=True, replayed=False)
    is_new: bool
    replayed: bool


class Resolved(Answer, FindingFacts):
    """The finding. ``is_new`` tells that it was open until now; ``replayed`` that the key stands for it."""

    model_config = example(schema_version=1, **_RESOLVED, is_new=True, replayed=False)
    is_new: bool
    replayed: bool


@findings.get("/findings", roles=READERS, answer=FindingList)
async def list_findings(
    ask: Ask,
    user: Somebody,
    state: Annotated[
        InboxState | None, Query(description="Only those in one state; `open` is what is new or acknowledged.")
    ] = None,
    kind: Annotated[FindingKind | None, Query(description="Only those of one kind.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List findings, newest first, whatever became of them."""
    before = None if cursor is None else place(cursor, datetime, UUID, FindingKind)
    found = await _inbox(ask).page(state=state, kind=kind, user=user, before=before, limit=limit + 1)
    rows, following = page(found, limit, lambda row: (row.created_at, row.call, row.kind))
    return {"findings": [finding_facts(row) for row in rows], "next": following}


@findings.post("/accounts/{user}/findings/{call}/{kind}/acknowledge", roles=WRITERS, answer=Acknowledged)
async def acknowledge(ask: Ask, user: Account, call: UUID, kind: FindingKind) -> dict[str, Any]:
    """Say that whoever has the key looks into a finding."""
    looked = await _inbox(ask).acknowledge(user, call, kind, key=ask.once)
    return {**finding_facts(looked.finding), "is_new": looked.is_new, "replayed": looked.replayed}


@findings.post("/accounts/{user}/findings/{call}/{kind}/resolve", roles=WRITERS, answer=Resolved)
async def resolve(ask: Ask, user: Account, call: UUID, kind: FindingKind, body: Resolution) -> dict[str, Any]:
    """Resolve a finding by the word of whoever has the key; some kinds end only by what is done about them."""
    looked = await _inbox(ask).resolve(user, call, kind, reason=body.reason, key=ask.once)
    return {**finding_facts(looked.finding), "is_new": looked.is_new, "replayed": looked.replayed}


def _inbox(ask: Asked) -> Inbox:
    return Inbox(ask.ledger.database, ask.ledger.accounts, project=ask.parts.project)
