"""Calls that were refused because a balance did not cover them, by user and minute, the latest first."""

from collections.abc import Mapping, Sequence
from typing import Any

from jangbu.dashboard.choices import chosen, window_asked
from jangbu.dashboard.fields import place_of, placed
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import READERS, Page
from jangbu.domain.windows import Window, zone_named
from jangbu.errors import NoAccount
from jangbu.metering.exports import Table
from jangbu.metering.exports import refused as exported
from jangbu.metering.refusals import refused_page
from jangbu.metering.snapshots import Snapshot, snapshot
from jangbu.storage.refusals import RefusedRow

__all__ = ["PAGE"]

_SHOWN = 50


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of refused calls."""
    window, user = window_asked(look), look.asked("user")
    async with snapshot(look.ledger.database, look.settings.project) as book:
        found = await _found(look, book, window)
        choices = await chosen(look, book)
    last = found[_SHOWN - 1] if len(found) > _SHOWN else None
    is_narrowed = window is not None or user is not None
    return {
        "as_of": book.as_of,
        "choices": choices,
        "range": choices["range"] if window is not None else "",
        "lines": found[:_SHOWN],
        "next": None if last is None else placed(last.at, last.account),
        "clear": look.url(user=None, range=None, from_=None, to=None, after=None) if is_narrowed else "",
    }


async def _found(look: Look, book: Snapshot, window: Window | None) -> Sequence[RefusedRow]:
    """Read as many lines as are shown, and one more. Whom nobody knows has none."""
    before = place_of(look.asked("after"))
    try:
        return await refused_page(book, window=window, user=look.asked("user"), before=before, limit=_SHOWN + 1)
    except NoAccount:
        return ()


async def refused(look: Look) -> Table:
    """Read all refused calls that the filters let through."""
    zone, project = zone_named(look.formats.zone), look.settings.project
    return await exported(look.ledger.database, project, zone, window_asked(look), look.asked("user"))


PAGE = Page(
    "/ledger/refused",
    "ledger_refused",
    READERS,
    show,
    in_menu=False,
    lives=True,
    files={"refused": refused},
)
