"""Mutes: for how long nobody is sent alerts of a condition."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from jangbu.domain.alerts import Condition
from jangbu.domain.mutes import Mute
from jangbu.storage.database import Database, Row

_KNOWN = [condition.value for condition in Condition]


async def add(database: Database, project: str, mute: Mute) -> Mute:
    """Mute a condition from now on, by the database's clock."""
    row = await database.row("mute_add", mute.id, project, mute.condition.value, mute.until, mute.reason, mute.muted_by)
    assert row is not None, "what is written is given back"
    return _mute(row)


async def end(database: Database, project: str, condition: Condition) -> Sequence[Mute]:
    """End what mutes a condition; give what did."""
    return [_mute(row) for row in await database.rows("mute_end", project, condition.value)]


async def lately(database: Database, project: str, seconds: int) -> Sequence[Mute]:
    """Give what is muted, or was so long ago at most, newest first."""
    return [_mute(row) for row in await database.rows("mute_list", project, seconds, _KNOWN)]


def _mute(row: Row) -> Mute:
    id_: UUID = row["mute_id"]
    muted_at: datetime = row["muted_at"]
    return Mute(
        id_, Condition(row["condition"]), muted_at, row["until"], row["reason"], row["muted_by"], row["ended_at"]
    )
