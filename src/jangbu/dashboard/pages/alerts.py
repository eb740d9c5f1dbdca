"""What is wrong or may be: open findings, calls whose outcome nobody knows, and whether alerts arrived."""

from collections.abc import Mapping
from typing import Any

from jangbu.alerts.texts import text_of
from jangbu.dashboard.done import done, key_of, new_key
from jangbu.dashboard.fields import id_of, reason_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import OPERATIONS, READERS, Action, Page
from jangbu.domain.flow import Receipt
from jangbu.metering.facts import alert_state
from jangbu.metering.reports import Reports
from jangbu.metering.resolving import charge_hold, release_hold
from jangbu.providers.gemini.parse import parse

__all__ = ["PAGE"]

_SHOWN = 50


async def show(look: Look) -> Mapping[str, Any]:
    """Read the findings, the unknown holds and the last alerts."""
    ledger = look.ledger
    reports = Reports(ledger.database, look.settings.project)
    alerts = await ledger.alerts.page(only_undelivered=False, limit=_SHOWN)
    return {
        "findings": await reports.findings(limit=_SHOWN),
        "holds": await ledger.holds.page(None, ["unknown"], _SHOWN),
        "alerts": [(row, text_of(row.alert, look.texts.language), alert_state(row)) for row in alerts],
        "may_resolve": look.may(OPERATIONS),
        "form_key": new_key(look),
    }


async def release(look: Look) -> str:
    """Give held tokens back: there was no answer."""
    hold, reason = id_of(look.form.get("hold")), reason_of(look)

    async def act() -> tuple[bool, bool]:
        return await release_hold(look.ledger, hold, reason, key=key_of(look))

    await done(look, "hold.release", f"hold:{hold}", act, lambda found: {"reason": reason} if found[0] else None)
    return look.url("/alerts", notice="released")


async def charge(look: Look) -> str:
    """Charge a call by the answer of it that came after all.

    The record goes its own way, so that it is durable whatever becomes of the audit's line, which follows it.
    """
    hold, usage = id_of(look.form.get("hold")), parse(look.form.get("answer", "").encode())
    receipt = await charge_hold(look.ledger, look.settings.project, hold, usage, key=key_of(look))

    async def act() -> Receipt:
        return receipt

    await done(
        look, "hold.charge", f"hold:{hold}", act,
        lambda found: None if found.replayed else {"charged_tokens": found.charged_tokens},
    )  # fmt: skip
    return look.url("/alerts", notice="charged")


PAGE = Page(
    "/alerts", "alerts", READERS, show, {"release": Action(release, OPERATIONS), "charge": Action(charge, OPERATIONS)}
)
