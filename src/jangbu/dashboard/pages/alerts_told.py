"""The alerts that were raised: why, through which channels they went, and which were muted."""

from collections.abc import Mapping
from typing import Any

from jangbu.dashboard.fields import place_of, placed
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import READERS, Page
from jangbu.dashboard.why import why_alert
from jangbu.metering.alert_facts import alert_state

__all__ = ["PAGE"]

_SHOWN = 50


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of alerts: all, or those that did not reach everybody."""
    only_undelivered = bool(look.asked("undelivered"))
    found = await look.ledger.alerts.page(
        only_undelivered=only_undelivered, limit=_SHOWN + 1, before=place_of(look.asked("after"))
    )
    last = found[_SHOWN - 1] if len(found) > _SHOWN else None
    has_channels = look.ledger.alerts.has_channels
    return {
        "alerts": [
            (row, why_alert(look, row.alert), alert_state(row, has_channels=has_channels)) for row in found[:_SHOWN]
        ],
        "next": None if last is None else placed(last.created_at, last.alert.id),
        "only_undelivered": only_undelivered,
    }


PAGE = Page("/alerts/told", "alerts_told", READERS, show, in_menu=False, lives=True)
