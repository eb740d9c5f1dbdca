"""Channels: how they stand, and tests of them, which nobody can make into a flood."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from jangbu.clock import Clock, new_id
from jangbu.domain.ledger import project_id
from jangbu.errors import AlertUndelivered, LimitReached
from jangbu.metering.audit import Audit, Change, whoever_acts
from jangbu.metering.content import digest
from jangbu.metering.once import done_once
from jangbu.storage import channels
from jangbu.storage.channels import ChannelRow
from jangbu.storage.database import Connection, Database

__all__ = ["APP", "Channels"]

APP = "app"
"""The webhook to the app, among the channels of the operator: no channel of theirs is called so."""
_EVERY_SECONDS = 30
_ERROR_LENGTH_MAX = 500


class Channels:
    """The channels of one project."""

    def __init__(self, database: Database, clock: Clock, *, project: str) -> None:
        self._database = database
        self._clock = clock
        self._project = project
        self._audit = Audit(database, clock, project=project)

    async def states(self, names: Sequence[str]) -> Sequence[ChannelRow]:
        """Give how channels stand."""
        return await channels.states(self._database, self._project, names)

    async def test(
        self,
        channel: str,
        send: Callable[[], Awaitable[AlertUndelivered | None]],
        *,
        key: str | None = None,
        every_seconds: int | None = None,
    ) -> tuple[ChannelRow, bool]:
        """Send a test through a channel, which may be done twice a minute, whoever wants it, unless another span is
        given; give how the channel stands then. Raises LimitReached.

        That it was wanted is written down before anything leaves. Under a ``key`` that is done once; tells whether it
        was done before.
        """
        began: datetime | None = None
        every = _EVERY_SECONDS if every_seconds is None else every_seconds

        async def begin(connection: Connection) -> None:
            nonlocal began
            who = whoever_acts().name
            began = await channels.begin_test(connection, self._project, channel, who, every)
            if began is None:
                left = await channels.seconds_left(connection, self._project, channel, every)
                raise LimitReached(f"{channel} was tested a moment ago", seconds=left, hint=f"wait {left} s")
            await self._audit.note(connection, Change("channel.test", f"channel:{channel}"))

        made, content = new_id(self._clock), digest("channels.test", channel)
        await done_once(self._database, project_id(self._project), key, content, made, begin)
        if began is not None:
            refused = await send()
            await channels.end_test(self._database, self._project, channel, began, _why(refused))
        (row,) = await self.states((channel,))
        return row, began is None


def _why(refused: AlertUndelivered | None) -> str | None:
    if refused is None:
        return None
    return "; ".join(filter(None, (refused.message, refused.hint)))[:_ERROR_LENGTH_MAX]
