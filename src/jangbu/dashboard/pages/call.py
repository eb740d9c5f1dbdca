"""One call: why it was charged, from Google's own words over the price of each part to the entry in the ledger; of one
that was not recorded, what is held for it, or why nothing was deducted.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from jangbu.dashboard.done import key_of
from jangbu.dashboard.fields import id_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import MONEY, OPERATIONS, READERS, Action, Answered, Page
from jangbu.errors import NotFound
from jangbu.metering.explain import Explanation
from jangbu.metering.keyed import key_of as key_of_record
from jangbu.metering.lacks import Lack, lacks_of
from jangbu.metering.reports import Reports
from jangbu.metering.tags import keys_by_id
from jangbu.metering.trial_records import TRIAL_USER, record_trial
from jangbu.storage.entries import EntryRow

__all__ = ["PAGE"]


async def show(look: Look) -> Mapping[str, Any] | Answered:
    """Explain the call. Raises NotFound."""
    call = id_of(look.asked("call"))
    try:
        found = await _explained(look, call)
    except NotFound:
        held = await _held(look, call)
        if held is not None:
            return held
        # A hold goes with its call's record, which may have come between the two looks.
        found = await _explained(look, call)
    came_by = key_of_record(found.record.metadata)
    key_id = None if came_by is None else str(came_by)
    keys = await keys_by_id(look.ledger.database, look.settings.project, (key_id,))
    return {
        "found": found,
        "record": found.record,
        "user": found.record.user,
        "key_id": key_id,
        "key": keys.get(key_id) if key_id else None,
        "lacks": _lacks(found),
        "may_price": look.may(MONEY),
        "entries": _entries(found),
        "evidence": _readable(found.evidence),
        "metadata": None if found.record.metadata is None else _readable(json.loads(found.record.metadata)),
    }


async def _explained(look: Look, call: UUID) -> Explanation:
    reports = Reports(look.ledger.database, look.settings.project)
    return await reports.explain(call, look.ledger.pricing.lines, user=look.asked("user"))


async def _held(look: Look, call: UUID) -> Answered | None:
    """Show what is known of a call that was held for and not recorded; None where there is none, or it is another's."""
    hold, user = await look.ledger.holds.show(call), look.asked("user")
    if hold is None or user not in {None, hold.user}:
        return None
    return Answered("call_held.html", {"hold": hold})


async def record_test(look: Look) -> str:
    """Record a call that was never made, to see that records arrive."""
    receipt = await record_trial(look.ledger, key=key_of(look))
    return look.url("/call", call=receipt.id, user=TRIAL_USER, notice="test_recorded")


def _entries(found: Explanation) -> Sequence[tuple[EntryRow, str]]:
    """Give the entries of the call, what was debited and then what was given back, each with what it is of."""
    debits = ((found.entry, "tokens"), (found.money_entry, "money"))
    returns = [*((each, "tokens") for each in found.returns), *((each, "money") for each in found.money_returns)]
    return [(entry, asset) for entry, asset in (*debits, *returns) if entry]


def _lacks(found: Explanation) -> Sequence[Lack]:
    """Say why nobody knows what the call cost; nothing where that is known, or would be by the book in force."""
    if found.record.cost_nano is not None or found.price is None or not found.price.unpriced:
        return ()
    return sorted(lacks_of(found.price), key=str)


def _readable(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


PAGE = Page("/call", "call", READERS, show, {"record-test": Action(record_test, OPERATIONS)}, in_menu=False)
