"""Exports of who there is and of what was changed: the users with what they have and used, and the audit."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from jangbu.domain.amounts import Amounts
from jangbu.domain.windows import Window
from jangbu.metering import directory
from jangbu.metering.audit import Audit
from jangbu.metering.directory import EVERYBODY, Listed, Only, Order, Place
from jangbu.metering.exports.tables import Column, Kind, Page, Table
from jangbu.metering.snapshots import snapshot
from jangbu.storage.audit import AuditRow
from jangbu.storage.database import Database

__all__ = ["audited", "users"]

_ROWS = 1_000

_SUMS = ("calls", "total_tokens", "cost_nano", "charge_nano", "unpriced")
_USERS = (
    *(Column(name, Kind.TEXT) for name in ("user", "state")),
    *(Column(f"{name}_tokens", Kind.INTEGER) for name in ("available", "granted", "used", "held")),
    *(Column(f"{when}_{name}", Kind.INTEGER) for when in ("period", "lifetime") for name in _SUMS),
    Column("seen_at", Kind.MOMENT),
)
_AUDIT = (
    Column("at", Kind.MOMENT),
    *(Column(name, Kind.TEXT) for name in ("id", "actor_kind", "actor", "request_id")),
    *(Column(name, Kind.TEXT) for name in ("action", "target", "before", "after")),
)


async def users(
    database: Database,
    project: str,
    window: Window,
    prefix: str = "",
    low: int | None = None,
    only: Only = EVERYBODY,
    *,
    is_active: bool = False,
    is_anomalous: bool = False,
) -> Table:
    """Export the users whose names begin with a prefix, in the order of names, with what they used in a window; only
    those whom the list is narrowed to, and who called in the window where ``is_active``.

    ``low`` is below how many tokens a balance is low; None for a tenth of all that was granted.
    """

    async def pages() -> AsyncIterator[Page]:
        after: Place | None = None
        while True:
            async with snapshot(database, project) as look:
                found = await directory.page(
                    look, window, order=Order.USER, descending=False, prefix=prefix, after=after, limit=_ROWS, low=low,
                    is_anomalous=is_anomalous, only=only,
                )  # fmt: skip
            yield [_user(each) for each in found.users if each.period.calls or not is_active]
            after = found.next
            if after is None:
                return

    return Table("users", _USERS, window.zone, await database.now(), pages())


async def audited(
    audit: Audit, database: Database, zone: ZoneInfo, *, actor: UUID | None = None, target: str | None = None
) -> Table:
    """Export what was changed, newest first: all of it, what one actor did, or what was done to one target."""

    async def pages() -> AsyncIterator[Page]:
        before: tuple[datetime, UUID] | None = None
        while rows := await audit.page(_ROWS, before, actor=actor, target=target):
            yield [_line(row) for row in rows]
            before = (rows[-1].at, rows[-1].id)

    return Table("audit", _AUDIT, zone, await database.now(), pages())


def _user(each: Listed) -> tuple[Any, ...]:
    balance = each.balance
    has = (balance.available, balance.granted, balance.used, balance.held)
    return (each.user, each.state.value, *has, *_sums(each.period), *_sums(each.lifetime), each.seen_at)


def _sums(found: Amounts) -> tuple[int | None, ...]:
    """Give the figures of a user; money is None where none of the calls has a price."""
    money = (None, None) if found.calls and found.unpriced == found.calls else (found.cost_nano, found.charge_nano)
    return (found.calls, found.total_tokens, *money, found.unpriced)


def _line(row: AuditRow) -> tuple[Any, ...]:
    actor = row.actor
    what = (row.action, row.target, _written(row.before), _written(row.after))
    return (row.at, str(row.id), actor.kind.value, actor.name, actor.request_id, *what)


def _written(facts: Mapping[str, Any] | None) -> str | None:
    return None if facts is None else json.dumps(facts, ensure_ascii=False)
