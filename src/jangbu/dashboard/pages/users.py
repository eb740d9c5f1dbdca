"""All users: what each has left and used, and on which days, in any order, a page at a time; how many used how much."""

from collections.abc import Mapping, Sequence
from typing import Any

from jangbu.alerts.app_webhook import told_low
from jangbu.dashboard.choices import chosen, window_of
from jangbu.dashboard.fields import Wrong, chosen_of, require_one_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import MONEY, READERS, Page
from jangbu.dashboard.sparks import HEIGHT, drawn
from jangbu.dashboard.standings import low_how
from jangbu.domain.windows import Window
from jangbu.metering import directory
from jangbu.metering.directory import Listed, Order, Place
from jangbu.metering.exports import Table
from jangbu.metering.exports import users as exported_users
from jangbu.metering.snapshots import snapshot

__all__ = ["PAGE"]

_SHOWN = 50
_WAYS = ("down", "up")
_ANOMALOUS = "anomalous"
_PREFIX_LENGTH_MAX = 200
_OFFERED = {"orders": [each.value for each in Order], "ways": _WAYS, "states": (_ANOMALOUS,)}
_CLEARED = dict.fromkeys(("search", "active", "state", "after"))


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of users, and the histogram of all."""
    window = window_of(look)
    order, way = _order(look)
    prefix, is_active, is_anomalous = _prefix(look), look.asked("active") is not None, _is_anomalous(look)
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
            is_anomalous=is_anomalous,
        )
        users, is_over = _called(page, window, order, way) if is_active else (page.users, False)
        bins = await directory.histogram(book)
        sparks = await directory.sparks(book, [each.account for each in users])
        choices = await chosen(look, book)
    return {
        "choices": choices,
        "found": page,
        "users": users,
        "is_active": is_active,
        "clear": look.url(**_CLEARED) if prefix or is_active or is_anomalous else "",
        "sparks": {account: drawn(look, spark) for account, spark in sparks.items()},
        "spark_days": directory.SPARK_DAYS,
        "spark_height": HEIGHT,
        "next": None if page.next is None or is_over else f"{page.next.key}:{page.next.user}",
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

    Where asked, only those who called in the period, or of whom a finding is open.
    """
    settings, is_active = look.settings, look.asked("active") is not None
    return await exported_users(
        look.ledger.database,
        settings.project,
        window_of(look),
        _prefix(look),
        told_low(settings),
        is_active=is_active,
        is_anomalous=_is_anomalous(look),
    )


def _order(look: Look) -> tuple[Order, str]:
    """Give by what users are put in order, and which way round. Raises InvalidInput."""
    order = chosen_of(Order, look.asked("order")) or Order.USED
    way = look.asked("way") or ("up" if order is Order.USER else "down")
    require_one_of(_WAYS, way)
    return order, way


def _called(page: directory.Page, window: Window, order: Order, way: str) -> tuple[Sequence[Listed], bool]:
    """Give those of a page who called in a period, and whether nobody on a later page did."""
    users = [each for each in page.users if each.period.calls]
    # Who was seen last before the period began did not call in it, nor did anybody after them.
    seen_at = page.users[-1].seen_at if page.users and order is Order.SEEN and way == "down" else None
    return users, seen_at is not None and seen_at < window.start


def _is_anomalous(look: Look) -> bool:
    """Tell whether only those are asked for of whom a finding is open. Raises InvalidInput."""
    state = look.asked("state")
    if state is not None:
        require_one_of((_ANOMALOUS,), state)
    return state is not None


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
