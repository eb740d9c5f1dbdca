"""Muting: alerts of a condition are kept and not sent for a while, because somebody knows of it and said why."""

from collections.abc import Sequence
from datetime import datetime

from jangbu.clock import Clock, new_id
from jangbu.domain.alerts import Condition
from jangbu.domain.mutes import MUTABLE, Mute, longest
from jangbu.errors import InvalidInput
from jangbu.storage import mutes
from jangbu.storage.database import Database

__all__ = ["MuteTooLong", "Mutes"]

_SHOWN_SECONDS = 30 * 86_400
_REASON_LENGTH_MAX = 500


class MuteTooLong(InvalidInput):
    """A condition would be muted for longer than it may be, or until a time that is over."""

    def __init__(self, condition: Condition, last: datetime) -> None:
        super().__init__(
            f"{condition.value} cannot be muted until then",
            hint=f"give a later time than now, at the most {last:%Y-%m-%d %H:%M} UTC",
        )
        self.last = last


class Mutes:
    """The mutes of one project."""

    def __init__(self, database: Database, clock: Clock, *, project: str) -> None:
        self._database = database
        self._clock = clock
        self._project = project

    async def mute(self, condition: Condition, until: datetime, *, reason: str, by: str) -> Mute:
        """Keep alerts of a condition unsent until a time. Raises InvalidInput."""
        now = await self._database.now()
        if condition not in MUTABLE:
            raise InvalidInput("a test is never muted", hint=f"there are {', '.join(MUTABLE)}")
        if not now < until <= now + longest(condition):
            raise MuteTooLong(condition, now + longest(condition))
        if not 0 < len(reason.strip()) <= _REASON_LENGTH_MAX or "\x00" in reason:
            raise InvalidInput("a reason is missing", hint=f"give a reason of 1 to {_REASON_LENGTH_MAX} characters")
        return await mutes.add(
            self._database, self._project, Mute(new_id(self._clock), condition, now, until, reason.strip(), by)
        )

    async def unmute(self, condition: Condition) -> Sequence[Mute]:
        """Have alerts of a condition sent again, from now on; give what muted it."""
        return await mutes.end(self._database, self._project, condition)

    async def now(self) -> dict[Condition, Mute]:
        """Give what is muted: of each condition the mute that lasts longest."""
        now = await self._database.now()
        found = [each for each in await mutes.lately(self._database, self._project, 0) if each.end > now]
        return {each.condition: each for each in sorted(found, key=lambda mute: mute.end)}

    async def lately(self) -> Sequence[Mute]:
        """Give what is muted or was within a month, newest first."""
        return await mutes.lately(self._database, self._project, _SHOWN_SECONDS)
