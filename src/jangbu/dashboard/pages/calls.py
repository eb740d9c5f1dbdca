"""The call that somebody knows one name of: if only one is meant it leads there, else it says what was looked for."""

from collections.abc import Mapping
from typing import Any

from jangbu.dashboard.look import Look
from jangbu.dashboard.page import READERS, Page
from jangbu.metering.call_search import search
from jangbu.metering.snapshots import snapshot

__all__ = ["PAGE"]

_SHOWN = 20
"""A key that an app used for so many users' calls tells none of them apart."""


async def show(look: Look) -> Mapping[str, Any] | str:
    """Look for what is asked for; without anything, say what can be asked for."""
    asked = look.asked("find") or ""
    async with snapshot(look.ledger.database, look.settings.project) as book:
        found = await search(book, asked, limit=_SHOWN)
    if len(found.calls) == 1:
        return look.call(found.calls[0].id, found.calls[0].user)
    return {
        "asked": asked.strip(),
        "was_dropped": found.was_dropped,
        "calls": [(each, look.call(each.id, each.user)) for each in found.calls],
        "are_ids": all(str(each.id) in asked.lower() for each in found.calls),
        "is_cut": len(found.calls) == _SHOWN,
        "most": look.formats.number(_SHOWN),
    }


PAGE = Page("/calls", "calls", READERS, show, in_menu=False)
