"""Mutes: for how long nobody is sent alerts of a condition."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from jangbu.domain.alerts import Condition
from jangbu.domain.mutes import Mute
from jangbu.storage.database import Connection, Database, Row
from jangbu.storage.statements import statement

_KNOWN = [condition.value for condition in Condition]


async def add(connection: Connection, project: str, mute: Mute) -> None:
    """Mute a condition from now on, by the database's clock."""
    what = mute.id, project, mute.condition.value, mute.until, mute.reason, mute.muted_by
    await connection.execute(statement("mute_add"), *what)


async def find(database: Database, project: str, mute: UUID) -> Mute | None:
    """Give a mute, also one that is over; None where there is none."""
    row = await database.row("mute_find", project, mute)
    return None if row is None else _mute(row)


async def end(connection: Connection, project: str, condition: Condition) -> int:
    """End what mutes a condition; give how many mutes did."""
    return len(await connection.fetch(statement("mute_end"), project, condition.value))


async def lately(database: Database, project: str, seconds: int) -> Sequence[Mute]:
    """Give what is muted, or was so long ago at most, newest first."""
    return [_mute(row) for row in await database.rows("mute_list", project, seconds, _KNOWN)]


def _mute(row: Row) -> Mute:
    id_: UUID = row["mute_id"]
    muted_at: datetime = row["muted_at"]
    return Mute(
        id_, Condition(row["condition"]), muted_at, row["until"], row["reason"], row["muted_by"], row["ended_at"]
    )
