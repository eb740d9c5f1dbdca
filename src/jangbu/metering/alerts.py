"""Alerts: somebody is told when something is wrong, also when the database is what is wrong.

An alert that an event causes is logged and written to the local outbox, synced, before ``raise_`` returns: a process
that is killed then has told. From there it goes to the outbox in the database, where any node delivers it; while the
database is away it is delivered from the local outbox itself. A finding needs no second record: its row was written in
the transaction that caused it, and alerts are made of such rows. So what is raised is delivered at least once, under
an id by which a receiver knows it again.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from jangbu import telemetry
from jangbu.alerts.channels import Log
from jangbu.alerts.local_outbox import LocalOutbox, Waiting
from jangbu.clock import Clock, new_id
from jangbu.domain.alerts import RULES, Alert, Condition, Fact, Phase
from jangbu.domain.budgets import Budget
from jangbu.errors import AlertUndelivered, NotFound
from jangbu.metering.alert_bounds import AlertBounds
from jangbu.metering.alert_delivery import Delivery, attempted, told_as
from jangbu.metering.alert_events import AlertEvents
from jangbu.storage import alerts
from jangbu.storage.alerts import AlertRow
from jangbu.storage.database import Database

__all__ = ["Alerts"]

_LOCAL_SECONDS = 1
_SHARED_SECONDS = 5
_STOP_SECONDS = 5


class Alerts:
    """Raises alerts of one project and has them delivered. Belongs to one event loop, but for ``raise_``."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        project: str,
        node: str,
        outbox: LocalOutbox,
        log: Log,
        bounds: AlertBounds,
        delivery: Delivery,
    ) -> None:
        self._database = database
        self._clock = clock
        self._project = project
        self._node = node
        self._outbox = outbox
        self._log = log
        self._bounds = bounds
        self._loop = asyncio.get_running_loop()
        self._raised = asyncio.Event()
        self._stopping = False
        self._has_raised = False
        self._tasks: list[asyncio.Task[None]] = []
        self._events = AlertEvents(self.raise_, delay_seconds=bounds.delay_seconds)
        self._delivery = delivery

    def raise_(
        self, condition: Condition, facts: Mapping[str, Fact] | None = None, *, phase: Phase = Phase.BEGAN
    ) -> Alert | None:
        """Tell somebody that something is wrong; give the alert, or None where the same was told a moment ago.

        It is logged and on disk when this returns, which takes as long as the disk does. Callable from any thread,
        also where nothing is delivered; what cannot be kept is logged all the same, and nothing is ever raised.
        """
        key = f"{condition.value}@{self._node}" if RULES[condition].is_of_node else condition.value
        now = self._clock.now()
        alert = Alert(new_id(self._clock), self._project, condition, phase, key, self._node, now, dict(facts or {}))
        repeat_ms = self._bounds.repeat_ms(condition)
        mutes = [mute for mute in self._delivery.mutes if mute.condition is condition]
        if not self._outbox.is_due(told_as(alert), now_ns=time.time_ns(), repeat_ms=repeat_ms, mutes=mutes):
            return None
        self._has_raised = True
        self._log.write(alert)
        if not self._outbox.put(Waiting(alert)):
            telemetry.warn("alerts.dropped", f"alert {alert.id} is logged only: too many wait", id=str(alert.id))
        telemetry.emit("alerts.raised", condition=condition.value)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._raised.set)
        return alert

    def listen(self) -> None:
        """Raise alerts about what the parts of this process tell, until ``stop``."""
        self._events.listen()

    def start(self) -> None:
        """Deliver, and look for what is wrong in the database, until ``stop``."""
        self._tasks = [asyncio.create_task(self._run_local()), asyncio.create_task(self._run_shared())]

    async def stop(self) -> None:
        """Raise nothing more and let what is being sent arrive, for a few seconds; the rest is delivered by others."""
        self._events.stop()
        self._stopping = True
        self._raised.set()
        self._delivery.handed_over.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._has_raised:
            await self._delivery.hand_over()
        self._delivery.close()

    @property
    def channels(self) -> Sequence[str]:
        """The names of the channels that this process has, the log's first."""
        return self._delivery.names

    @property
    def budget(self) -> Budget | None:
        """What the calls of a month may cost before somebody is told, None where nothing is set."""
        return self._bounds.budget

    @property
    def has_channels(self) -> bool:
        """Whether this process has a channel beyond the log, which every alert reaches."""
        return len(self.channels) > 1

    async def test(self, channel: str) -> AlertUndelivered | None:
        """Send a test alert through one channel now; give why it did not arrive, None where it did. Raises NotFound."""
        results = await self._delivery.test(channel)
        if channel not in results:
            raise NotFound(f"there is no channel {channel[:40]!r}", hint=f"there are {', '.join(self.channels)}")
        return results[channel]

    async def page(
        self, *, only_undelivered: bool, limit: int, before: tuple[datetime, UUID] | None = None
    ) -> Sequence[AlertRow]:
        """Give alerts, newest first, from the one before that of this time and id. Raises DatabaseUnreachable."""
        return await alerts.page(
            self._database, self._project, only_undelivered=only_undelivered, limit=limit, before=before
        )

    async def _run_local(self) -> None:
        while not self._stopping:
            await _waited(self._raised, _LOCAL_SECONDS)
            self._events.tick()
            await attempted("local", self._delivery.deliver_local)

    async def _run_shared(self) -> None:
        while not self._stopping:
            await attempted("shared", self._delivery.deliver_shared)
            await _waited(self._delivery.handed_over, _SHARED_SECONDS)


async def _waited(event: asyncio.Event, seconds: int) -> None:
    """Wait until something happened, or for so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
    event.clear()
