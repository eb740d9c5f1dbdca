"""Calls that were refused because a balance did not cover them, by user and minute, the latest first."""

from collections.abc import Mapping
from typing import Any

from jangbu.dashboard.choices import chosen, window_asked
from jangbu.dashboard.fields import place_of, placed
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import READERS, Page
from jangbu.dashboard.unmatched import or_nothing
from jangbu.domain.windows import zone_named
from jangbu.metering.exports import Table
from jangbu.metering.exports import refused as exported
from jangbu.metering.refusals import refused_page
from jangbu.metering.snapshots import snapshot

__all__ = ["PAGE"]

_SHOWN = 50


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of refused calls."""
    window, user = window_asked(look), look.asked("user")
    async with snapshot(look.ledger.database, look.settings.project) as book:
        found = await refused_page(
            book, window=window, user=user, before=place_of(look.asked("after")), limit=_SHOWN + 1
        )
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


async def refused(look: Look) -> Table:
    """Read all refused calls that the filters let through."""
    zone, project = zone_named(look.formats.zone), look.settings.project
    return await exported(look.ledger.database, project, zone, window_asked(look), look.asked("user"))


PAGE = Page(
    "/ledger/refused",
    "ledger_refused",
    READERS,
    or_nothing(show),
    in_menu=False,
    lives=True,
    files={"refused": refused},
)
