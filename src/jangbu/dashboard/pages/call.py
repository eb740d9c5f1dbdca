"""One call: why it was charged, from Google's own words over the price of each part to the entry in the ledger."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from jangbu.dashboard.look import Look
from jangbu.dashboard.page import READERS, Page
from jangbu.errors import InvalidInput
from jangbu.metering.reports import Reports

__all__ = ["PAGE"]


async def show(look: Look) -> Mapping[str, Any]:
    """Explain the call."""
    asked = look.asked("call") or ""
    try:
        call = UUID(asked)
    except ValueError:
        raise InvalidInput(f"{asked[:40]!r} is no id of a call", hint="choose one on a user's page") from None
    reports = Reports(look.ledger.database, look.settings.project)
    found = await reports.explain(call, look.ledger.pricing.lines, user=look.asked("user"))
    return {
        "found": found,
        "record": found.record,
        "evidence": json.dumps(found.evidence, ensure_ascii=False, indent=2),
        "metadata": None if found.record.metadata is None else json.dumps(json.loads(found.record.metadata), indent=2),
    }


PAGE = Page("/call", "call", READERS, show, in_menu=False)
