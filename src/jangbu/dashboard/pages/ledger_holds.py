"""Holds: what is held for calls now, and the calls that ended without anything being deducted."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

from jangbu.dashboard.choices import chosen, window_asked
from jangbu.dashboard.fields import chosen_of, place_of, placed
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import READERS, Page
from jangbu.domain.windows import zone_named
from jangbu.errors import NoAccount
from jangbu.metering.exports import Table, held
from jangbu.metering.snapshots import snapshot
from jangbu.storage.holds import HoldRow, Which

__all__ = ["PAGE"]

_SHOWN = 50


class State(StrEnum):
    """Which holds are shown."""

    HELD = "held"
    """Those that hold tokens now."""
    UNDEDUCTED = "undeducted"
    """Those of calls that ended, or were given up, without a deduction."""
    OPEN = "open"
    UNKNOWN = "unknown"
    RELEASED = "released"
    EXPIRED = "expired"


_STATES = {
    State.HELD: (State.OPEN, State.UNKNOWN),
    State.UNDEDUCTED: (State.UNKNOWN, State.RELEASED, State.EXPIRED),
}


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of holds, the oldest first."""
    state, _ = _states(look)
    found = await _found(look)
    last = found[_SHOWN - 1] if len(found) > _SHOWN else None
    async with snapshot(look.ledger.database, look.settings.project) as book:
        choices = await chosen(look, book)
    narrowed = ("user", "model", "service", "range", "from", "to")
    cleared: dict[str, object] = {"from_" if name == "from" else name: None for name in (*narrowed, "state", "after")}
    return {
        "as_of": book.as_of,
        "choices": choices,
        "range": choices["range"] if window_asked(look) is not None else "",
        "holds": found[:_SHOWN],
        "next": None if last is None else placed(last.taken_at, last.id),
        "state": state.value,
        "states": [each.value for each in State],
        "clear": look.url(**cleared) if state is not State.HELD or any(map(look.asked, narrowed)) else "",
    }


async def _found(look: Look) -> Sequence[HoldRow]:
    """Read as many holds as are shown, and one more. Whom nobody knows has none."""
    _, states = _states(look)
    after, which = place_of(look.asked("after")), _which(look)
    try:
        account = await _account(look)
    except NoAccount:
        return ()
    return await look.ledger.holds.page(account, states, _SHOWN + 1, after, which)


async def holds(look: Look) -> Table:
    """Read all holds that the filters let through."""
    _, states = _states(look)
    account, zone = await _account(look), zone_named(look.formats.zone)
    return await held(look.ledger.holds, look.ledger.database, zone, account, states, _which(look))


def _states(look: Look) -> tuple[State, tuple[State, ...]]:
    state = chosen_of(State, look.asked("state")) or State.HELD
    return state, _STATES.get(state, (state,))


async def _account(look: Look) -> UUID | None:
    """Give the account of the user that is chosen. Raises NotFound."""
    user = look.asked("user")
    return None if user is None else (await look.ledger.accounts.find(user)).id


def _which(look: Look) -> Which:
    window = window_asked(look)
    since, until = (None, None) if window is None else (window.start, window.end)
    return Which(since, until, look.asked("service"), look.asked("model"))


PAGE = Page(
    "/ledger/holds",
    "ledger_holds",
    READERS,
    show,
    in_menu=False,
    lives=True,
    files={"holds": holds},
)
