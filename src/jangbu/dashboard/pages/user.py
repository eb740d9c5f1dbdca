"""One user: what they have, what they used it for, and every call of theirs; grants and corrections are made here."""

from collections.abc import Mapping
from typing import Any

from jangbu.alerts.app_webhook import told_low
from jangbu.dashboard import files
from jangbu.dashboard.calendar import calendar_of
from jangbu.dashboard.choices import chosen, window_asked, window_of
from jangbu.dashboard.done import key_of, new_key, order_of
from jangbu.dashboard.expiring import expiring_words
from jangbu.dashboard.fields import Used, Wrong, expiry_of, id_of, reason_of, source_of, whole
from jangbu.dashboard.figures import parts_figure
from jangbu.dashboard.look import Look
from jangbu.dashboard.matrix import matrix_of
from jangbu.dashboard.page import MONEY, OWNERS, READERS, WRITERS, Action, Page
from jangbu.dashboard.sought import SEARCHES, key_sought, sought_of
from jangbu.dashboard.standings import low_how
from jangbu.domain.ledger import is_erased
from jangbu.domain.standing import LATELY_DAYS
from jangbu.errors import IdempotencyConflict
from jangbu.metering import tops
from jangbu.metering.calendars import year_of
from jangbu.metering.directory import state_of
from jangbu.metering.erasing import erase as forget
from jangbu.metering.log_search import KEYLESS, STEP, Found, keys_offered, sought
from jangbu.metering.logs import Ending
from jangbu.metering.reports import summed
from jangbu.metering.snapshots import Filters, Snapshot, Span, snapshot
from jangbu.metering.statements import Statement, statement_of

__all__ = ["PAGE", "user_of"]

_CALLS_SHOWN = 50
_ENTRIES_SHOWN = 20
_DAYS_MOST = 3_650
"""For how many days a forecast from one week says anything: ten years."""
_ORDER_SHOWN = 40
_PRIORITIES = 2**31


async def show(look: Look) -> Mapping[str, Any]:
    """Read the account, its grants and entries, its use and a page of its calls, all of one moment.

    The matrix is of the period that is chosen, the last 30 days where none is. The calls are all of them, as long as
    nothing is chosen.
    """
    user, window = user_of(look), window_of(look)
    async with snapshot(look.ledger.database, look.settings.project) as book:
        found = await statement_of(book, user, window.zone, entries_shown=_ENTRIES_SHOWN)
        used = await tops.breakdown(book, window, Filters(user))
        spreads = await tops.spreads(book, window, Filters(user))
        year = await year_of(book, user, window.zone)
        calls = await _calls(look, book)
        choices = await chosen(look, book)
        keys = {"keys": await keys_offered(book, user, key_sought(look)), "keyless": KEYLESS}
    gone = is_erased(found.account.user)
    return {
        "user": user,
        "as_of": book.as_of,
        "account": found.account,
        "state": state_of(found.account.state, found.account.balance, told_low(look.settings)).value,
        "low_how": low_how(look),
        "grants": found.grants,
        "entries": [(each, "tokens") for each in found.entries],
        **_lasting(look, found),
        "chart": parts_figure(look, "by-day", found.used, "tokens", look.texts("user.by_day"), path="/"),
        "choices": choices,
        **keys,
        "window": window,
        "matrix": matrix_of(look, used, spreads),
        "sampled": look.formats.number(tops.SPREAD_CALLS_MAX),
        "year": calendar_of(look, year),
        "totals": found.totals,
        "sum": summed([line.figures for line in found.totals]),
        "calls": calls.calls,
        "next": calls.next,
        "looked_through": look.formats.number(STEP),
        "endings": [each.value for each in Ending],
        "is_narrowed": _is_narrowed(look),
        "has_window": window_asked(look) is not None,
        "may_grant": look.may(MONEY) and not gone,
        "may_block": look.may(WRITERS) and not gone,
        "may_erase": look.may(OWNERS),
        "form_key": new_key(look),
    }


async def grant(look: Look) -> str:
    """Give the user tokens that were bought or are a gift, once for the order that is named."""
    user, amount, expires_at = user_of(look), whole(look, "amount", least=1), expiry_of(look)
    source = source_of(look)
    priority = whole(look, "priority", least=-_PRIORITIES, most=_PRIORITIES - 1) if look.form.get("priority") else 0
    key, order = key_of(look), order_of(look)
    try:
        posted = await look.ledger.accounts.grant(
            user, amount, key=order or key, source=source, expires_at=expires_at, priority=priority
        )
    except IdempotencyConflict:
        if order is None:
            raise
        raise Used("order_used", order=order[:_ORDER_SHOWN]) from None
    # Who names an order and sends the form twice is told so, too: nobody else knows whose grant of it came first.
    was_granted = order is not None and posted.replayed
    return look.url("/user", user=user, notice="granted_before" if was_granted else "granted")


async def adjust(look: Look) -> str:
    """Correct the balance, for a reason that stays in the history."""
    user, delta, reason = user_of(look), whole(look, "delta"), reason_of(look)
    if delta == 0:
        raise Wrong("zero")
    await look.ledger.accounts.adjust(user, delta, reason=reason, key=key_of(look))
    return look.url("/user", user=user, notice="adjusted")


async def block(look: Look) -> str:
    """Refuse the user's new calls."""
    return await _blocked(look, True)


async def unblock(look: Look) -> str:
    """Admit the user's calls again."""
    return await _blocked(look, False)


async def erase(look: Look) -> str:
    """Forget who the user was, where their id was written once more."""
    user = user_of(look)
    if look.form.get("again") != user.strip():
        raise Wrong("again")
    await forget(look.ledger, look.settings.project, user)
    return look.url("/users", notice="erased")


async def _calls(look: Look, book: Snapshot) -> Found:
    """Read a page of the calls that are chosen."""
    after, span = look.asked("after"), Span.of(window_asked(look))
    before = None if after is None else id_of(after)
    return await sought(book, user_of(look), sought_of(look), span=span, before=before, limit=_CALLS_SHOWN)


def _is_narrowed(look: Look) -> bool:
    return window_asked(look) is not None or any(look.asked(name) for name in ("service", "model", *SEARCHES))


def _lasting(look: Look, found: Statement) -> Mapping[str, str]:
    """Say for how many days the balance lasts, how many tokens will have expired by then, and how many expire soon,
    where any do.
    """
    t, shown, lasts = look.texts, look.formats.number, found.lasts
    soon = expiring_words(found.expiring, t, look.formats)
    if lasts is None:
        return {"lasts": t("user.not_lately", days=LATELY_DAYS), "expiring": "", "expiring_soon": soon}
    count = lasts.expiring
    expiring = t("user.expiring", count=count, shown=shown(count)) if count else ""
    if lasts.days > _DAYS_MOST:
        said = t("user.lasts_long", days=LATELY_DAYS)
    else:
        said = t("user.lasts", count=lasts.days, shown=shown(lasts.days), days=LATELY_DAYS)
    return {"lasts": said, "expiring": expiring, "expiring_soon": soon}


def user_of(look: Look) -> str:
    """Give the user that the URL or the form names. Raises InvalidInput."""
    user = look.form.get("user") or look.asked("user")
    if user is None:
        raise Wrong("user")
    return user


async def _blocked(look: Look, blocked: bool) -> str:
    user = user_of(look)
    await look.ledger.accounts.block(user, blocked)
    return look.url("/user", user=user, notice="blocked" if blocked else "unblocked")


PAGE = Page(
    "/user",
    "user",
    READERS,
    show,
    {
        "grant": Action(grant, MONEY),
        "adjust": Action(adjust, MONEY),
        "block": Action(block, WRITERS),
        "unblock": Action(unblock, WRITERS),
        "erase": Action(erase, OWNERS),
    },
    in_menu=False,
    files={"calls": files.calls, "entries": files.all_entries},
    lives=True,
)
