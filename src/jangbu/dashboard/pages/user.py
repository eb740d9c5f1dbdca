"""One user: what they have, what they used it for, and every call of theirs; grants and corrections are made here."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from jangbu.dashboard.done import done, key_of, new_key
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import MONEY, READERS, WRITERS, Action, Page
from jangbu.domain.windows import day_start, zone_named
from jangbu.errors import InvalidInput
from jangbu.metering.accounts import Posted
from jangbu.metering.reports import Reports, summed

__all__ = ["PAGE"]

_CALLS_SHOWN = 50
_ENTRIES_SHOWN = 20


async def show(look: Look) -> Mapping[str, Any]:
    """Read the account, its grants and entries, its use by service and model, and a page of its calls."""
    user = user_of(look)
    ledger, reports = look.ledger, Reports(look.ledger.database, look.settings.project)
    account = await ledger.accounts.find(user)
    after = look.asked("after")
    calls = await reports.calls(user, before=_call_id(after), limit=_CALLS_SHOWN + 1)
    totals = await reports.totals(user)
    return {
        "user": user,
        "account": account,
        "grants": await ledger.accounts.grants(user),
        "entries": await ledger.accounts.history(user, limit=_ENTRIES_SHOWN),
        "totals": totals,
        "sum": summed([line.figures for line in totals]),
        "calls": calls[:_CALLS_SHOWN],
        "next": calls[_CALLS_SHOWN - 1].id if len(calls) > _CALLS_SHOWN else None,
        "may_grant": look.may(MONEY),
        "may_block": look.may(WRITERS),
        "form_key": new_key(look),
    }


async def grant(look: Look) -> str:
    """Give the user tokens that were bought or are a gift."""
    user, amount, day = user_of(look), _whole(look, "amount"), look.form.get("expires_on")
    expires_at = None if not day else day_start(_day(day), zone_named(look.formats.zone))
    source = look.form.get("source") or "purchase"

    async def act() -> Posted:
        return await look.ledger.accounts.grant(user, amount, key=key_of(look), source=source, expires_at=expires_at)

    await done(look, "account.grant", target_of(user), act, lambda posted: _new(posted, amount=amount, source=source))
    return look.url("/user", user=user, notice="granted")


async def adjust(look: Look) -> str:
    """Correct the balance, for a reason that stays in the history."""
    user, delta, reason = user_of(look), _whole(look, "delta"), look.form.get("reason", "")

    async def act() -> Posted:
        return await look.ledger.accounts.adjust(user, delta, reason=reason, key=key_of(look))

    await done(look, "account.adjust", target_of(user), act, lambda posted: _new(posted, delta=delta, reason=reason))
    return look.url("/user", user=user, notice="adjusted")


async def block(look: Look) -> str:
    """Refuse the user's new calls."""
    return await _blocked(look, True)


async def unblock(look: Look) -> str:
    """Admit the user's calls again."""
    return await _blocked(look, False)


def user_of(look: Look) -> str:
    """Give the user that the URL or the form names. Raises InvalidInput."""
    user = look.form.get("user") or look.asked("user")
    if user is None:
        raise InvalidInput("no user is named", hint="choose one on the page of users")
    return user


def target_of(user: str) -> str:
    """Name a user's account in the audit."""
    return f"account:{user}"


async def _blocked(look: Look, blocked: bool) -> str:
    user = user_of(look)

    async def act() -> bool:
        return await look.ledger.accounts.block(user, blocked)

    await done(look, "account.block" if blocked else "account.unblock", target_of(user), act)
    return look.url("/user", user=user, notice="blocked" if blocked else "unblocked")


def _new(posted: Posted, **facts: object) -> Mapping[str, Any] | None:
    return None if posted.replayed else facts | {"id": str(posted.id)}


def _whole(look: Look, name: str) -> int:
    text = look.form.get(name, "").replace(",", "").replace("_", "")
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f"{text[:40]!r} is no whole number of tokens", hint="write it like 1,000,000") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text[:40]!r} is no date", hint="write it like 2027-01-31") from None


def _call_id(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        raise InvalidInput("this is no page of calls", hint="go back to the first one") from None


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
    },
    in_menu=False,
)
