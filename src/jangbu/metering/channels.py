"""Channels: how they stand, and tests of them, which nobody can make into a flood."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from jangbu.errors import AlertUndelivered, LimitReached
from jangbu.storage import channels
from jangbu.storage.channels import ChannelRow
from jangbu.storage.database import Database

__all__ = ["APP", "ChannelTest", "Channels"]

APP = "app"
"""The webhook to the app, among the channels of the operator: no channel of theirs is called so."""
_EVERY_SECONDS = 30
_ERROR_LENGTH_MAX = 500


@dataclass(frozen=True, slots=True)
class ChannelTest:
    """A test that began."""

    channel: str
    began_at: datetime


class Channels:
    """The channels of one project."""

    def __init__(self, database: Database, *, project: str) -> None:
        self._database = database
        self._project = project

    async def states(self, names: Sequence[str]) -> Sequence[ChannelRow]:
        """Give how channels stand."""
        return await channels.states(self._database, self._project, names)

    async def begin(self, channel: str, by: str) -> ChannelTest:
        """Begin a test of a channel, which may be done twice a minute, whoever wants it. Raises LimitReached."""
        began = await channels.begin_test(self._database, self._project, channel, by, _EVERY_SECONDS)
        if began is None:
            left = await channels.seconds_left(self._database, self._project, channel, _EVERY_SECONDS)
            raise LimitReached(f"{channel} was tested a moment ago", seconds=left, hint=f"wait {left} s")
        return ChannelTest(channel, began)

    async def finish(self, test: ChannelTest, send: Callable[[], Awaitable[AlertUndelivered | None]]) -> str | None:
        """Send the test and note how it ended; give why it did not arrive, None where it did."""
        refused = await send()
        error = None
        if refused is not None:
            error = "; ".join(filter(None, (refused.message, refused.hint)))[:_ERROR_LENGTH_MAX]
        await channels.end_test(self._database, self._project, test.channel, test.began_at, error)
        return error
