"""Exports of what was not deducted: holds, and calls that were refused for balance."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from jangbu.domain.windows import Window
from jangbu.metering.exports.tables import Column, Kind, Page, Table
from jangbu.metering.holds import Holds
from jangbu.metering.refusals import refused_page
from jangbu.metering.snapshots import snapshot
from jangbu.storage.database import Database
from jangbu.storage.holds import HoldRow, Which

__all__ = ["held", "refused"]

_ROWS = 1_000
_HOLDS = (
    *(Column(name, Kind.TEXT) for name in ("user", "id", "service", "model")),
    Column("held_tokens", Kind.INTEGER),
    Column("state", Kind.TEXT),
    *(Column(name, Kind.MOMENT) for name in ("taken_at", "expires_at", "closed_at")),
    Column("reason", Kind.TEXT),
)
_REFUSED = (Column("at", Kind.MOMENT), Column("user", Kind.TEXT), Column("calls", Kind.INTEGER))


async def held(
    holds: Holds, database: Database, zone: ZoneInfo, account: UUID | None, states: Sequence[str], which: Which
) -> Table:
    """Export holds, oldest first."""

    async def pages() -> AsyncIterator[Page]:
        after: tuple[datetime, UUID] | None = None
        while rows := await holds.page(account, states, _ROWS, after, which):
            yield [_hold(each) for each in rows]
            after = (rows[-1].taken_at, rows[-1].id)

    return Table("holds", _HOLDS, zone, await database.now(), pages())


async def refused(database: Database, project: str, zone: ZoneInfo, window: Window | None, user: str | None) -> Table:
    """Export refused calls by user and minute, the latest first. Raises NotFound for a user without an account."""

    async def pages() -> AsyncIterator[Page]:
        before: tuple[datetime, UUID] | None = None
        while True:
            async with snapshot(database, project) as look:
                rows = await refused_page(look, window=window, user=user, before=before, limit=_ROWS)
            if not rows:
                return
            yield [(each.at, each.user, each.calls) for each in rows]
            before = (rows[-1].at, rows[-1].account)

    return Table("refused", _REFUSED, zone, await database.now(), pages())


def _hold(each: HoldRow) -> tuple[Any, ...]:
    ends = (each.taken_at, each.expires_at, each.closed_at, each.reason)
    return (each.user, str(each.id), each.service, each.model, each.amount, each.state, *ends)
