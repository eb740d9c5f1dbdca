"""The audit: who changed what. A change and its line are one transaction, so neither is ever without the other."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from jangbu.clock import Clock, new_id
from jangbu.domain.members import Actor
from jangbu.metering.content import storable
from jangbu.storage import audit
from jangbu.storage.audit import AuditRow
from jangbu.storage.database import Connection, Database
from jangbu.storage.failures import translated

__all__ = ["Audit", "Change"]

Result = TypeVar("Result")

_BYTES_MAX = 4_096
_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to what: ``members.block`` to ``member:kim``, with what it was before and is after, in short."""

    action: str
    target: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class Audit:
    """What was changed in one project, and by whom."""

    def __init__(self, database: Database, clock: Clock, *, project: str) -> None:
        self._database = database
        self._clock = clock
        self._project = project

    async def done(
        self,
        actor: Actor,
        change: Change,
        act: Callable[[], Awaitable[Result]],
        after: Callable[[Result], Mapping[str, Any] | None] | None = None,
    ) -> Result:
        """Do something in an actor's name and write it down, both or neither; give what it gave.

        ``act`` may be any use case of the ledger that needs no other task to write for it: what it asks of the database
        is part of the transaction. ``after`` tells what came of it, or None where nothing was changed (an old request
        that was sent again): then nothing is written down. Raises what ``act`` raises, and DatabaseUnreachable.
        """
        with translated():
            async with self._database.together() as connection:
                result = await act()
                found = change if after is None else replace(change, after=after(result))
                if after is None or found.after is not None:
                    await self.write(connection, actor, found)
                return result

    async def write(self, connection: Connection, actor: Actor, change: Change) -> None:
        """Write down a change in the transaction that makes it."""
        await audit.write(
            connection,
            self._project,
            new_id(self._clock),
            actor,
            change.action,
            change.target,
            before=_shortened(change.before),
            after=_shortened(change.after),
        )

    async def page(
        self,
        limit: int = 100,
        before: tuple[datetime, UUID] | None = None,
        *,
        actor: UUID | None = None,
        target: str | None = None,
    ) -> Sequence[AuditRow]:
        """Give what was done, newest first, from the one before that of this time and id; by one actor or to one
        target, where that is asked for.
        """
        return await audit.page(self._database, self._project, limit, before, actor=actor, target=target)


def _shortened(facts: Mapping[str, Any] | None) -> str | None:
    """Give facts as JSON. A change is never refused because there is too much to say about it."""
    if facts is None:
        return None
    text = storable(dict(facts))
    return text if len(text) <= _BYTES_MAX else storable({"shortened": text[:_KEPT]})
