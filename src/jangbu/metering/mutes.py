"""Muting: alerts of a condition are kept and not sent for a while, because somebody knows of it and said why."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from jangbu.clock import Clock, new_id
from jangbu.domain.alerts import Condition
from jangbu.domain.ledger import project_id
from jangbu.domain.mutes import MUTABLE, Mute, longest
from jangbu.domain.reasons import REASON_LENGTH_MAX, is_reason
from jangbu.errors import InvalidInput
from jangbu.metering.audit import Audit, Change, whoever_acts
from jangbu.metering.content import digest
from jangbu.metering.once import done_once
from jangbu.storage import mutes
from jangbu.storage.database import Connection, Database

__all__ = ["MuteTooLong", "Mutes"]

_SHOWN_SECONDS = 30 * 86_400


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
        self._audit = Audit(database, clock, project=project)

    async def mute(
        self, condition: Condition, until: datetime | timedelta, *, reason: str, key: str | None = None
    ) -> tuple[Mute, bool]:
        """Keep alerts of a condition unsent until a time, or for a span of it from now on. Raises InvalidInput.

        Under a ``key`` that is done once; tells whether it was done before.
        """
        if condition not in MUTABLE:
            raise InvalidInput("a test is never muted", hint=f"there are {', '.join(MUTABLE)}")
        why = reason.strip()
        if not is_reason(why):
            raise InvalidInput("a reason is missing", hint=f"give a reason of 1 to {REASON_LENGTH_MAX} characters")
        now, last = await self._database.now(), longest(condition)
        made, who = new_id(self._clock), whoever_acts().name
        end = until if isinstance(until, datetime) else now + until

        async def add(connection: Connection) -> None:
            # Looked at where it is done: the same request that is sent again later finds what it made.
            if not now < end <= now + last:
                raise MuteTooLong(condition, now + last)
            await mutes.add(connection, self._project, Mute(made, condition, now, end, why, who))
            facts = {"until": end.isoformat(), "reason": why}
            await self._audit.note(connection, Change("alerts.mute", _target(condition), after=facts))

        content = digest("alerts.mute", condition, str(until), reason)
        known = await done_once(self._database, project_id(self._project), key, content, made, add)
        found = await mutes.find(self._database, self._project, known)
        assert found is not None, "mutes are ended and never removed"
        return found, known != made

    async def unmute(self, condition: Condition, *, key: str | None = None) -> tuple[int, bool]:
        """Have alerts of a condition sent again, from now on; give how many mutes that ended.

        Under a ``key`` that is done once; tells whether it was done before.
        """
        ended = 0

        async def end(connection: Connection) -> None:
            nonlocal ended
            ended = await mutes.end(connection, self._project, condition)
            if ended:
                change = Change("alerts.unmute", _target(condition), after={"mutes": ended})
                await self._audit.note(connection, change)

        made, content = new_id(self._clock), digest("alerts.unmute", condition)
        known = await done_once(self._database, project_id(self._project), key, content, made, end)
        return ended, known != made

    async def now(self) -> dict[Condition, Mute]:
        """Give what is muted: of each condition the mute that lasts longest."""
        now = await self._database.now()
        found = [each for each in await mutes.lately(self._database, self._project, 0) if each.end > now]
        return {each.condition: each for each in sorted(found, key=lambda mute: mute.end)}

    async def lately(self) -> Sequence[Mute]:
        """Give what is muted or was within a month, newest first."""
        return await mutes.lately(self._database, self._project, _SHOWN_SECONDS)


def _target(condition: Condition) -> str:
    return f"condition:{condition}"
