"""Bugs put into all processes on purpose: a torture that does not find them proves nothing."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from jangbu.metering.draining import Draining
from jangbu.metering.endings import Endings
from jangbu.metering.recorder import InSpool, Named, Recorder

__all__ = ["MUTANTS"]


def _acknowledged_too_early() -> None:
    """Tell the app that its record is durable while it is still on its way."""
    record = Recorder.record
    on_their_way: set[asyncio.Task[Any]] = set()

    async def mutant(self: Recorder, named: Named) -> Any:
        task = asyncio.create_task(record(self, named))
        on_their_way.add(task)
        return InSpool()

    Recorder.record = mutant  # type: ignore[method-assign]


def _drained_into_nothing() -> None:
    """Say that the database has what was spooled."""

    async def mutant(_self: Draining, spooled: Sequence[Any]) -> Sequence[str | None]:
        return [None] * len(spooled)

    Draining.write = mutant  # type: ignore[assignment,method-assign]


def _lost_calls_given_back() -> None:
    """Give the hold of a call back whose outcome nobody knows."""
    end = Endings.end

    async def mutant(self: Endings, account: UUID, hold: UUID, reason: str, *, is_unknown: bool) -> None:
        del is_unknown
        await end(self, account, hold, reason, is_unknown=False)

    Endings.end = mutant  # type: ignore[method-assign]


MUTANTS: Mapping[str, Callable[[], None]] = {
    "a record is acknowledged too early": _acknowledged_too_early,
    "the spool is drained into nothing": _drained_into_nothing,
    "a lost call is given back": _lost_calls_given_back,
}
