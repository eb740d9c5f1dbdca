"""Alerts: what is wrong, and whether somebody was told."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query

from jangbu.alerts.texts import text_of
from jangbu.api.rest.asked import Ask
from jangbu.api.rest.declared import READERS, Routes
from jangbu.api.rest.paging import Cursor, Limit, moment_and_id, page
from jangbu.api.rest.values import Answer, Number, Part, example
from jangbu.metering.alert_facts import alert_facts

__all__ = ["alerts"]

alerts = Routes("alerts")

_AT = "2026-01-31T09:00:00Z"


class AlertFacts(Part):
    """What was told, and whether it arrived."""

    id: UUID
    condition: str
    phase: str
    severity: str
    node: str
    raised_at: datetime
    text: str
    facts: dict[str, str | Number | None]
    state: str
    attempts: Number
    delivered_to: list[str]
    errors: dict[str, str]
    delivered_at: datetime | None
    given_up_at: datetime | None
    muted_at: datetime | None


class AlertList(Answer):
    """Alerts, newest first."""

    model_config = example(
        schema_version=1,
        alerts=[
            {
                "id": "0192f3a0-0000-7000-8000-000000000004",
                "condition": "unpriced",
                "phase": "began",
                "severity": "warning",
                "node": "gateway-1",
                "raised_at": _AT,
                "text": "No price is known for 3 calls (gemini-9-pro).",
                "facts": {"models": "gemini-9-pro", "findings": 3},
                "state": "delivered",
                "attempts": 1,
                "delivered_to": ["webhook"],
                "errors": {},
                "delivered_at": _AT,
                "given_up_at": None,
                "muted_at": None,
            }
        ],
        next=None,
    )
    alerts: list[AlertFacts]
    next: str | None


@alerts.get("/alerts", roles=READERS, answer=AlertList)
async def list_alerts(
    ask: Ask,
    undelivered: Annotated[bool, Query(description="Only those that did not reach every channel.")] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List alerts, newest first."""
    before = moment_and_id(cursor)
    found = await ask.ledger.alerts.page(only_undelivered=undelivered, limit=limit + 1, before=before)
    rows, following = page(found, limit, lambda row: (row.created_at, row.alert.id))
    language, has_channels = ask.parts.language, ask.ledger.alerts.has_channels
    shown = [alert_facts(row, text_of(row.alert, language), has_channels=has_channels) for row in rows]
    return {"alerts": shown, "next": following}
