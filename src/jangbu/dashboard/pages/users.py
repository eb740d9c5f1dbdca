"""All users: what each has left and used, and on which days, in any order, a page at a time; how many used how much."""

from collections.abc import Mapping
from typing import Any

from jangbu.alerts.app_webhook import told_low
from jangbu.dashboard.choices import chosen, window_of
from jangbu.dashboard.done import key_of, new_key
from jangbu.dashboard.fields import SOURCES, Barred, Wrong, chosen_of, require_one_of, source_of, whole_or_none
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import MONEY, READERS, Action, Page
from jangbu.dashboard.sparks import HEIGHT, drawn
from jangbu.dashboard.standings import low_how
from jangbu.domain.ledger import USER_LENGTH_MAX, is_erased
from jangbu.errors import JangbuError
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
_ID_SHOWN = 40
_OFFERED = {"orders": [each.value for each in Order], "ways": _WAYS, "states": _STATES}
_SPARKS = {"spark_days": directory.SPARK_DAYS, "spark_height": HEIGHT}
_CLEARED = dict.fromkeys(("search", "active", "state", "after"))


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of users, and the histogram of all."""
    window, (order, way), prefix = window_of(look), _order(look), _prefix(look)
    is_active, state = _is_active(look), _state(look)
    is_narrowed = bool(prefix or is_active or state)
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
            is_anomalous=state == _ANOMALOUS,
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
        "clear": look.url(**_CLEARED) if is_narrowed else "",
        "sparks": {account: drawn(look, spark) for account, spark in sparks.items()},
        "next": None if page.next is None else f"{page.next.key}:{page.next.user}",
        "bins": [each for each in bins if each.users],
        "low_how": low_how(look),
        "most": max((each.users for each in bins), default=1) or 1,
        "order": order.value,
        "way": way,
        "search": prefix,
        **_OFFERED,
        **_SPARKS,
        **_opening(look, is_first=not (users or is_narrowed or look.asked("after"))),
    }


async def open_account(look: Look) -> str:
    """Open an account for a user who has none, and give the tokens to begin with."""
    user, amount, key = _new_user(look), whole_or_none(look, "amount"), key_of(look)
    source = source_of(look)
    if not await look.ledger.accounts.open_new(user, key=key):
        raise await _has_one(look, user)
    if amount is not None:
        await look.ledger.accounts.grant(user, amount, key=f"{key}-first", source=source)
    return look.url("/user", user=user, notice="opened" if amount is None else "opened_granted")


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


def _opening(look: Look, *, is_first: bool) -> Mapping[str, Any]:
    """Give the form that opens an account: for whom the address says, and open where there is nobody yet."""
    return {
        "may_grant": look.may(MONEY),
        "form_key": new_key(look),
        "opening": look.asked("open") or "",
        "opening_tokens": look.asked("amount") or "",
        "is_opening": "open" in look.query or is_first,
        "user_length": USER_LENGTH_MAX,
        "sources": SOURCES,
    }


def _new_user(look: Look) -> str:
    """Give the id of a form under which an app will know a user, as it stands. Raises Wrong.

    A blank at an end is mostly one that was copied along, and an account is never closed again.
    """
    user = look.form.get("user", "")
    if not (0 < len(user) <= USER_LENGTH_MAX and user.isprintable() and user == user.strip()):
        raise Wrong("user_id", text=user[:_ID_SHOWN], most=look.formats.number(USER_LENGTH_MAX))
    return user


async def _has_one(look: Look, user: str) -> JangbuError:
    """Say that a user has an account, and lead to it; nobody is let in again under the id of who was erased."""
    if is_erased((await look.ledger.accounts.find(user)).user):
        return Barred("was_erased")
    wrong = Wrong("has_account", user=user)
    wrong.leads_to = look.url("/user", user=user)
    return wrong


PAGE = Page("/users", "users", READERS, show, {"open": Action(open_account, MONEY)}, lives=True, files={"users": users})
