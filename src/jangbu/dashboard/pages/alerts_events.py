"""What the app was told of its users: what was sent, whether it arrived, and to send it again."""

import json
from collections.abc import Mapping
from typing import Any

from jangbu.alerts.app_webhook import event_body
from jangbu.dashboard.done import key_of, new_key
from jangbu.dashboard.fields import chosen_of, id_of, place_of, placed
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import OPERATIONS, READERS, Action, Page
from jangbu.domain.webhooks import EventKind, EventState
from jangbu.metering.alert_facts import event_state
from jangbu.storage.webhooks import EventRow

__all__ = ["PAGE"]

_SHOWN = 50
_FILTERS = ("kind", "state", "user")
KINDS = tuple(kind for kind in EventKind if kind is not EventKind.TEST)


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of events, and how many were given up."""
    webhooks = look.ledger.webhooks
    kind, state = chosen_of(EventKind, look.asked("kind")), chosen_of(EventState, look.asked("state"))
    found = await webhooks.page(
        kinds=tuple(EventKind) if kind is None else (kind,),
        state=state,
        user=look.asked("user"),
        limit=_SHOWN + 1,
        before=place_of(look.asked("after")),
    )
    last = found[_SHOWN - 1] if len(found) > _SHOWN else None
    return {
        "events": [(row, event_state(row), _sent(row)) for row in found[:_SHOWN]],
        "next": None if last is None else placed(last.event.created_at, last.event.id),
        "standing": await webhooks.standing(),
        "is_told": webhooks.is_told,
        "kinds": [each.value for each in KINDS],
        "states": [each.value for each in EventState],
        "clear": look.url(**dict.fromkeys((*_FILTERS, "after"))) if any(map(look.asked, _FILTERS)) else "",
        "is_part": bool(look.asked("kind") or look.asked("user")),
        "may_send": look.may(OPERATIONS),
        "form_key": new_key(look),
    }


async def again(look: Look) -> str:
    """Have one event sent again, whatever became of it."""
    await look.ledger.webhooks.send_again(id_of(look.form.get("event")), key=key_of(look))
    return _back(look)


async def again_all(look: Look) -> str:
    """Have all events that were given up sent again, of the kind and user that the page is filtered by."""
    kind = chosen_of(EventKind, look.form.get("kind") or None)
    await look.ledger.webhooks.send_all_again(kind, user=look.form.get("user") or None)
    return _back(look)


def _sent(row: EventRow) -> str:
    """Give the body that is sent, spread out for reading."""
    return json.dumps(json.loads(event_body(row.event)), ensure_ascii=False, indent=2)


def _back(look: Look) -> str:
    """Go on with the list as it was filtered."""
    kept = {name: look.form.get(name) or None for name in _FILTERS}
    return look.url("/alerts/events", **kept, notice="sent_again")


PAGE = Page(
    "/alerts/events",
    "alerts_events",
    READERS,
    show,
    {"again": Action(again, OPERATIONS), "again-all": Action(again_all, OPERATIONS)},
    in_menu=False,
    lives=True,
)
