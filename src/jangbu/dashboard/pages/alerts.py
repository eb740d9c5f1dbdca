"""The inbox: calls whose outcome nobody knows, and findings: what is new, who looks into it, and what came of it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from jangbu.api.rest.bodies import VALUES_MOST
from jangbu.dashboard.done import key_of, new_key
from jangbu.dashboard.fields import Wrong, chosen_of, id_of, place_of, placed, reason_of, require_one_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import MONEY, OPERATIONS, READERS, WRITERS, Action, Page
from jangbu.dashboard.pages.user import user_of
from jangbu.dashboard.why import why_finding
from jangbu.domain.usage import Usage
from jangbu.errors import InvalidInput, NoAccount, TooLarge
from jangbu.metering.inbox import FindingKind, Inbox, InboxState, resolves_itself, state_of
from jangbu.metering.reports import Reports
from jangbu.metering.resolving import OtherCallsAnswer, charge_hold, release_hold
from jangbu.metering.strict_json import holds_more_values
from jangbu.providers.gemini.parse import parse
from jangbu.storage.findings import Place
from jangbu.storage.holds import HoldRow

__all__ = ["PAGE"]

_SHOWN = 50
_ANSWER_BYTES_MAX = 20_000_000
"""As a form writes it. It is pasted as it came, and Google answers pictures within it."""
_CLEARED = dict.fromkeys(("state", "kind", "user", "after"))


async def show(look: Look) -> Mapping[str, Any]:
    """Read the unknown holds and a page of the findings: everybody's, or those of the user who is chosen."""
    ledger = look.ledger
    state = chosen_of(InboxState, look.asked("state")) or InboxState.OPEN
    kind, user = chosen_of(FindingKind, look.asked("kind")), look.asked("user")
    found = await _inbox(look).page(
        state=state, kind=kind, user=user, before=_place(look.asked("after")), limit=_SHOWN + 1
    )
    last = found[_SHOWN - 1] if len(found) > _SHOWN else None
    counts = await Reports(ledger.database, look.settings.project).findings(limit=1)
    holds = await _unknown(look, user)
    return {
        "user": user,
        "holds": holds[:_SHOWN],
        "has_more_holds": len(holds) > _SHOWN,
        "counts": counts.counts,
        "findings": [
            (row, state_of(row).value, why_finding(look, row), resolves_itself(row.kind)) for row in found[:_SHOWN]
        ],
        "next": None if last is None else f"{placed(last.created_at, last.call)}_{last.kind}",
        "states": [each.value for each in InboxState],
        "kinds": [each.value for each in FindingKind],
        "state": state.value,
        "clear": look.url(**_CLEARED) if any(look.asked(name) for name in ("state", "kind", "user")) else "",
        "may_resolve": look.may(OPERATIONS),
        "may_look_into": look.may(WRITERS),
        "may_price": look.may(MONEY),
        "form_key": new_key(look),
    }


async def acknowledge(look: Look) -> str:
    """Say that the member looks into a finding."""
    await _inbox(look).acknowledge(*_finding(look))
    return _back(look, "acknowledged")


async def resolve(look: Look) -> str:
    """Resolve a finding by the member's word, for a reason that stays with it."""
    user, call, kind = _finding(look)
    reason = reason_of(look)
    if resolves_itself(kind):
        raise Wrong("ends_itself")
    await _inbox(look).resolve(user, call, kind, reason=reason)
    return _back(look, "resolved")


async def release(look: Look) -> str:
    """Give held tokens back: there was no answer."""
    hold, reason = id_of(look.form.get("hold")), reason_of(look)
    await release_hold(look.ledger, hold, reason, key=key_of(look))
    return _back(look, "released")


async def charge(look: Look) -> str:
    """Charge a call by the answer of it that came after all."""
    hold, usage = id_of(look.form.get("hold")), await asyncio.to_thread(_read, look.form.get("answer", ""))
    try:
        await charge_hold(look.ledger, look.settings.project, hold, usage, key=key_of(look))
    except OtherCallsAnswer as error:
        raise Wrong("other_call", call=error.call) from None
    return _back(look, "charged")


def _read(answer: str) -> Usage:
    """Read what an answer used, as the API does: beside the loop, because one with a picture is long."""
    body = answer.encode()
    if holds_more_values(body, VALUES_MOST):
        raise TooLarge(f"the answer holds more than {VALUES_MOST:,} values")
    return parse(body)


async def _unknown(look: Look, user: str | None) -> Sequence[HoldRow]:
    """Read the unknown holds, oldest first, and one more than are shown. Who is no user has none."""
    try:
        account = None if user is None else look.ledger.accounts.id_of(user)
    except (InvalidInput, NoAccount):
        return ()
    return await look.ledger.holds.page(account, ["unknown"], _SHOWN + 1)


def _inbox(look: Look) -> Inbox:
    return Inbox(look.ledger.database, look.ledger.accounts, project=look.settings.project)


def _finding(look: Look) -> tuple[str, UUID, FindingKind]:
    """Give the finding that a form names: the user, the call and the kind."""
    kind = look.form.get("of_kind", "")
    require_one_of([each.value for each in FindingKind], kind)
    return user_of(look), id_of(look.form.get("call")), FindingKind(kind)


def _back(look: Look, notice: str) -> str:
    """Go on with the list as it was filtered."""
    kept = {name: look.form.get(name) or None for name in ("state", "kind")}
    return look.url("/alerts", **kept, user=look.form.get("of_user") or None, notice=notice)


def _place(text: str | None) -> Place | None:
    """Give the place after which the page of findings begins."""
    if text is None:
        return None
    rest, _, kind = text.rpartition("_")
    if kind == "outcome":
        rest, kind = rest.removesuffix("_unknown"), "unknown_outcome"
    require_one_of([each.value for each in FindingKind], kind)
    place = place_of(rest)
    return None if place is None else (*place, kind)


PAGE = Page(
    "/alerts",
    "alerts",
    READERS,
    show,
    {
        "acknowledge": Action(acknowledge, WRITERS),
        "resolve": Action(resolve, WRITERS),
        "release": Action(release, OPERATIONS),
        "charge": Action(charge, OPERATIONS, bytes_max=_ANSWER_BYTES_MAX),
    },
    lives=True,
)
