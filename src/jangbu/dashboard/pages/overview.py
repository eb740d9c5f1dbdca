"""The overview: what was used and what it cost, who used most, and whether anything is wrong."""

from collections.abc import Mapping
from typing import Any

from jangbu import telemetry
from jangbu.dashboard import files
from jangbu.dashboard.choices import before_of, chosen, filters_of, metric_of, window_of
from jangbu.dashboard.done import new_key
from jangbu.dashboard.figures import kinds_figure, parts_figure
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import MONEY, OPERATIONS, READERS, Page
from jangbu.dashboard.top_users import BY_USER, top_users
from jangbu.dashboard.unmatched import or_nothing
from jangbu.domain.windows import Window
from jangbu.errors import NoAccount, SpoolUnusable
from jangbu.metering import directory, series
from jangbu.metering.refusals import refused_in
from jangbu.metering.reports import Reports
from jangbu.metering.snapshots import Snapshot, snapshot
from jangbu.metering.undeducted import undeducted

__all__ = ["PAGE"]

_TOP_USERS = 10
_FIRST_USER = "kim"
"""Who pays in the lines to begin with."""


async def show(look: Look) -> Mapping[str, Any]:
    """Read everything that is shown of one moment."""
    window, filters, metric = window_of(look), filters_of(look), metric_of(look)
    reports = Reports(look.ledger.database, look.settings.project)
    async with snapshot(look.ledger.database, look.settings.project) as book:
        by_model = await series.of(book, window, filters, "model")
        by_service = await series.of(book, window, filters, "service")
        before = None
        if look.asked("compare"):
            before = (await series.of(book, before_of(window, book.as_of), filters)).total
        failed = await undeducted(book, window, filters)
        active, refused = await _uncounted(look, book, window)
        choices = await chosen(look, book)
        users = await top_users(look, book, window, metric, _TOP_USERS)
    findings = await reports.findings(limit=10)
    is_new = not by_model.total.calls and not await reports.totals()
    return {
        "choices": choices,
        "series": by_model,
        "services": by_service.lines,
        "before": before,
        "top": users,
        "carried": _carried(look),
        "active": active,
        "undeducted": sum(failed.values()),
        "refused": refused,
        "findings": findings,
        "is_new": is_new,
        "may_call": is_new and await _may_call(look),
        "may_grant": look.may(MONEY),
        "may_record": look.may(OPERATIONS),
        "form_key": new_key(look),
        **await _unrecorded(look),
        "verified": await reports.verified(),
        "chart": parts_figure(look, "by-model", by_model, metric, look.texts(f"overview.by_model.{metric}")),
        "kinds": kinds_figure(look, "by-kind", by_model, look.texts("overview.by_kind")),
    }


def _carried(look: Look) -> Mapping[str, str]:
    """Give what the form of filters takes along."""
    asked = look.asked(BY_USER)
    return {} if asked is None else {BY_USER: asked}


async def _uncounted(look: Look, book: Snapshot, window: Window) -> tuple[int | None, int | None]:
    """Count who called, and which calls were refused.

    Of a part of the calls nobody keeps who made them, and a call that is refused names no model.
    """
    is_of_part = look.asked("service") or look.asked("model")
    refused = None if is_of_part else await refused_in(book, window, look.asked("user"))
    return None if look.is_filtered else await directory.called(book, window), refused


async def _may_call(look: Look) -> bool:
    """Tell whether the user of the lines to begin with can pay for a call."""
    try:
        return (await look.ledger.accounts.balance(_FIRST_USER)).available > 0
    except NoAccount:
        return False


async def _unrecorded(look: Look) -> Mapping[str, Any]:
    """Tell what lies on this machine's disk and is not in the ledger, whichever process wrote it.

    Where there is no spool nothing is known, and where it cannot be read nothing is well.
    """
    spooling = look.ledger.spooling
    if spooling is None:
        return {"spools": None, "is_spool_readable": True}
    try:
        return {"spools": await spooling.here.backlog(), "is_spool_readable": True}
    except SpoolUnusable as error:
        # Where on the machine something lies is for its log, not for everybody who may see this.
        telemetry.warn("spool.unreadable", str(error))
        return {"spools": None, "is_spool_readable": False}


PAGE = Page(
    "/",
    "overview",
    READERS,
    or_nothing(show, BY_USER),
    files={"calls": files.calls_summed, "usage": files.usage("model"), "services": files.parts("service")},
    lives=True,
)
