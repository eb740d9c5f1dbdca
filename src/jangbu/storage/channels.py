"""Channels of the operator: how they stand, and how they were tested."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jangbu.storage.database import Connection, Database
from jangbu.storage.statements import statement


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """How a channel stands. ``failing`` counts alerts of a day that it did not take yet, ``error`` says why the latest
    was not taken. Of the latest test, ``test_error`` is None where it arrived, or has not ended.
    """

    channel: str
    delivered_at: datetime | None
    failing: int
    error: str | None
    tested_at: datetime | None
    tested_by: str | None
    test_ended_at: datetime | None
    test_error: str | None


async def states(database: Database, project: str, channels: Sequence[str]) -> Sequence[ChannelRow]:
    """Give how channels stand, in the order of their names as they were given."""
    return [ChannelRow(*row.values()) for row in await database.rows("channel_list", project, list(channels))]


async def begin_test(connection: Connection, project: str, channel: str, by: str, seconds: int) -> datetime | None:
    """Begin a test of a channel; None where one began within so many seconds."""
    began: datetime | None = await connection.fetchval(statement("channel_test_begin"), project, channel, by, seconds)
    return began


async def seconds_left(connection: Connection, project: str, channel: str, seconds: int) -> int:
    """Give in how many seconds a channel may be tested again."""
    return int(await connection.fetchval(statement("channel_test_wait"), project, channel, seconds) or 1)


async def end_test(database: Database, project: str, channel: str, began: datetime, error: str | None) -> None:
    """Note how a test ended."""
    await database.rows("channel_test_end", project, channel, began, error)
