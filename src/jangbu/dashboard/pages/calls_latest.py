"""Everybody's calls, newest first: what came in just now, and the records that a figure of everybody's sums."""

from collections.abc import Mapping
from typing import Any

from jangbu.dashboard import files
from jangbu.dashboard.choices import chosen, filters_of, window_of
from jangbu.dashboard.fields import id_of
from jangbu.dashboard.look import FILTERS, Look
from jangbu.dashboard.page import READERS, Page
from jangbu.errors import NoAccount
from jangbu.metering.latest_calls import CallPage, latest_calls
from jangbu.metering.reports import Reports
from jangbu.metering.snapshots import Snapshot, snapshot
from jangbu.storage.usage import moment_of

__all__ = ["PAGE"]

_SHOWN = 50


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of calls."""
    async with snapshot(look.ledger.database, look.settings.project) as book:
        found = await _found(look, book)
        choices = await chosen(look, book)
    is_empty = not found.calls and found.next is None
    return {
        "as_of": book.as_of,
        "choices": choices,
        "calls": [(each, look.call(each.id, each.user)) for each in found.calls],
        "next": found.next,
        "looked_back_to": None if found.next is None else moment_of(found.next),
        "is_new": is_empty and not await Reports(look.ledger.database, look.settings.project).totals(),
        "clear": look.url(after=None, **dict.fromkeys(FILTERS)) if look.is_filtered else "",
    }


async def _found(look: Look, book: Snapshot) -> CallPage:
    """Read the calls that are shown. Whom nobody knows has none."""
    after = look.asked("after")
    before = None if after is None else id_of(after)
    try:
        return await latest_calls(book, window_of(look), filters_of(look), before, limit=_SHOWN)
    except NoAccount:
        return CallPage((), None)


PAGE = Page("/calls/latest", "calls_latest", READERS, show, lives=True, files={"calls": files.calls_summed})
