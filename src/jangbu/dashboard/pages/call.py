"""One call: why it was charged, from Google's own words over the price of each part to the entry in the ledger."""

import json
from collections.abc import Mapping
from typing import Any

from jangbu.dashboard.fields import id_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import READERS, Page
from jangbu.metering.reports import Reports

__all__ = ["PAGE"]


async def show(look: Look) -> Mapping[str, Any]:
    """Explain the call."""
    call = id_of(look.asked("call"))
    reports = Reports(look.ledger.database, look.settings.project)
    found = await reports.explain(call, look.ledger.pricing.lines, user=look.asked("user"))
    return {
        "found": found,
        "record": found.record,
        "evidence": _readable(found.evidence),
        "metadata": None if found.record.metadata is None else _readable(json.loads(found.record.metadata)),
    }


def _readable(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


PAGE = Page("/call", "call", READERS, show, in_menu=False)
