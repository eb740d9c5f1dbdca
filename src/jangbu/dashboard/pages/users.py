"""All users: what each has left and used, and on which days, in any order, a page at a time; how many used how much."""

from collections.abc import Mapping
from typing import Any

from jangbu.alerts.app_webhook import told_low
from jangbu.dashboard.choices import chosen, window_of
from jangbu.dashboard.fields import Wrong, chosen_of, require_one_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import MONEY, READERS, Page
from jangbu.dashboard.sparks import HEIGHT, drawn
from jangbu.dashboard.standings import low_how
from jangbu.metering import directory
from jangbu.metering.directory import Only, Order, Place, State
from jangbu.metering.exports import Table
from jangbu.metering.exports import users as exported_users
from jangbu.metering.snapshots import snapshot

__all__ = ["PAGE"]

_SHOWN = 50
_WAYS = ("down", "up")
_ANOMALOUS = "anomalous"
_SHORT = (State.LOW.value, State.EMPTY.value)
_STATES = (State.BLOCKED.value, *_SHORT, _ANOMALOUS)
_PREFIX_LENGTH_MAX = 200
_OFFERED = {"orders": [each.value for each in Order], "ways": _WAYS, "states": _STATES}
_CLEARED = dict.fromkeys(("search", "active", "state", "after"))


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of users, and the histogram of all."""
    window, (order, way), prefix = window_of(look), _order(look), _prefix(look)
    is_active, state = _is_active(look), _state(look)
    async with snapshot(look.ledger.database, look.settings.project) as book:
        page = await directory.page(
            book,
            window,
            order=order,
            descending=way == "down",
            prefix=prefix,
            after=_place(look),
            limit=_SHOWN,
            low=told_low(look.settings),
            is_anomalous=_state(look) == _ANOMALOUS,
            only=_only(look),
        )
        # Who called after the period need not have called in it.
        users = [each for each in page.users if each.period.calls or not is_active]
        bins = await directory.histogram(book)
        sparks = await directory.sparks(book, [each.account for each in users])
        choices = await chosen(look, book)
    return {
        "choices": choices,
        "found": page,
        "users": users,
        "is_active": is_active,
        "clear": look.url(**_CLEARED) if prefix or is_active or state else "",
        "sparks": {account: drawn(look, spark) for account, spark in sparks.items()},
        "spark_days": directory.SPARK_DAYS,
        "spark_height": HEIGHT,
        "next": None if page.next is None else f"{page.next.key}:{page.next.user}",
        "bins": [each for each in bins if each.users],
        "low_how": low_how(look),
        "most": max((each.users for each in bins), default=1) or 1,
        "order": order.value,
        "way": way,
        **_OFFERED,
        "search": prefix,
        "may_grant": look.may(MONEY),
    }


async def users(look: Look) -> Table:
    """Read all users whose names begin as is searched for, in the order of their names.

    Where asked, only those who called in the period, are in a state, or of whom a finding is open.
    """
    settings = look.settings
    return await exported_users(
        look.ledger.database,
        settings.project,
        window_of(look),
        _prefix(look),
        told_low(settings),
        _only(look),
        is_active=_is_active(look),
        is_anomalous=_state(look) == _ANOMALOUS,
    )


def _order(look: Look) -> tuple[Order, str]:
    """Give by what users are put in order, and which way round. Raises InvalidInput.

    Where no order is chosen it is the one in which those who are asked for come first.
    """
    state = _state(look)
    is_short = state in _SHORT
    by_state = Order.LEFT if is_short else Order.USER if state == State.BLOCKED.value else Order.USED
    order = chosen_of(Order, look.asked("order")) or (Order.SEEN if _is_active(look) else by_state)
    way = look.asked("way") or ("up" if order is Order.USER or (order is Order.LEFT and is_short) else "down")
    require_one_of(_WAYS, way)
    return order, way


def _only(look: Look) -> Only:
    """Give whom the list is narrowed to. Raises InvalidInput."""
    state = _state(look)
    return Only(
        State(state) if state not in {None, _ANOMALOUS} else None, window_of(look).start if _is_active(look) else None
    )


def _is_active(look: Look) -> bool:
    return look.asked("active") is not None


def _state(look: Look) -> str | None:
    """Give the state that is asked for. Raises InvalidInput."""
    state = look.asked("state")
    if state is not None:
        require_one_of(_STATES, state)
    return state


def _prefix(look: Look) -> str:
    prefix = look.asked("search") or ""
    if len(prefix) > _PREFIX_LENGTH_MAX or "\x00" in prefix:
        raise Wrong("choice", text=prefix[:40], names=look.texts("users.search"))
    return prefix


def _place(look: Look) -> Place | None:
    """Give where the last page ended, as its link says."""
    text = look.asked("after")
    if text is None:
        return None
    number, found, user = text.partition(":")
    digits = number.removeprefix("-")
    if not (found and digits.isascii() and digits.isdecimal() and len(digits) <= 18) or "\x00" in user:
        raise Wrong("id", text=text[:40])
    return Place(int(number), user)


PAGE = Page("/users", "users", READERS, show, lives=True, files={"users": users})
