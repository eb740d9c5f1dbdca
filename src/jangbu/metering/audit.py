"""The audit: who changed what. A change and its line are one transaction, so neither is ever without the other.

A use case that changes something notes it where it does so, by whichever door it was reached: it alone knows whether
there was something left to do. The door says who acts, once for all that is done behind it.
"""

import getpass
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from jangbu.clock import Clock, new_id
from jangbu.domain.members import Actor
from jangbu.metering.content import storable
from jangbu.storage import audit
from jangbu.storage.audit import AuditRow
from jangbu.storage.database import Connection, Database

__all__ = ["Audit", "Change", "acting_as", "note_beside", "whoever_acts"]

_BYTES_MAX = 4_096
_KEPT = 1_000

_actor: ContextVar[Actor | None] = ContextVar("jangbu_actor", default=None)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Have all that is done meanwhile be done in an actor's name."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def whoever_acts() -> Actor:
    """Give in whose name something is done: where no door says it, whoever runs the process, as the machine has it."""
    named = _actor.get()
    if named is not None:
        return named
    try:
        return Actor.of_command(getpass.getuser())
    except (OSError, KeyError, ImportError):
        return Actor.of_command("somebody at the machine")


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

    async def note(self, connection: Connection, change: Change) -> None:
        """Write down a change in the name of whoever acts, in the transaction that makes it."""
        await self.write(connection, whoever_acts(), change)

    async def write(self, connection: Connection, actor: Actor, change: Change) -> None:
        """Write down a change in the transaction that makes it."""
        await _write(connection, self._clock, self._project, actor, change)

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


async def note_beside(connection: Connection, clock: Clock, project: str, change: Change) -> None:
    """Write down a change of the database itself, which is made beside any ledger that is open."""
    await _write(connection, clock, project, whoever_acts(), change)


async def _write(connection: Connection, clock: Clock, project: str, actor: Actor, change: Change) -> None:
    await audit.write(
        connection,
        project,
        new_id(clock),
        actor,
        change.action,
        change.target,
        before=_shortened(change.before),
        after=_shortened(change.after),
    )


def _shortened(facts: Mapping[str, Any] | None) -> str | None:
    """Give facts as JSON. A change is never refused because there is too much to say about it."""
    if facts is None:
        return None
    text = storable(dict(facts))
    return text if len(text) <= _BYTES_MAX else storable({"shortened": text[:_KEPT]})
