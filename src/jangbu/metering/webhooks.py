"""Webhooks: the app is told what happened to its users, once for each id, however often that has to be tried.

Nothing is told while a call waits. What a process sees is noted in memory (``Watch``) and looked at a second later;
what the database has found is in the rows that caused it. Events wait in an outbox of their own, from which any process
with the webhook delivers them. Without one, none of this is done.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from jangbu.clock import Clock, new_id
from jangbu.domain.ledger import project_id
from jangbu.domain.webhooks import Event, EventKind, EventState
from jangbu.errors import AlertUndelivered, NotConfigured, NotFound
from jangbu.metering.alert_delivery import attempted
from jangbu.metering.audit import Audit, Change
from jangbu.metering.content import digest
from jangbu.metering.once import done_once
from jangbu.metering.webhook_delivery import WebhookDelivery
from jangbu.metering.webhook_finding import WebhookFinding
from jangbu.metering.webhook_watch import Watch
from jangbu.storage import webhooks
from jangbu.storage.database import Connection, Database
from jangbu.storage.webhooks import EventRow, WebhookStanding

__all__ = ["AGAIN_MAX", "Telling", "Webhooks"]

AGAIN_MAX = 10_000
"""How many events are sent again at once, at most."""

_WATCH_SECONDS = 1
_LOOK_SECONDS = 5
_TIDY_SECONDS = 60
_FORGET_SECONDS = 120
_STOP_SECONDS = 5
_LAST_SECONDS = 2


class Telling:
    """Makes and delivers events, second by second, until it is stopped. Belongs to one event loop."""

    def __init__(self, watch: Watch, finding: WebhookFinding, delivery: WebhookDelivery) -> None:
        self.watch = watch
        self._finding = finding
        self.delivery = delivery
        self._made = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._run_watch()), asyncio.create_task(self._run_delivery())]

    async def stop(self) -> None:
        """Let what is being sent arrive, for a few seconds, and write down what was seen."""
        self.watch.stop()
        self._stopping.set()
        self._made.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await attempted("webhooks", self._write_down_last)

    async def _write_down_last(self) -> None:
        async with asyncio.timeout(_LAST_SECONDS):
            await self._finding.write_down()

    async def _run_watch(self) -> None:
        """Look at what this process saw. It goes on while a receiver keeps the delivery waiting."""
        forget_at = time.monotonic() + _FORGET_SECONDS
        while not self._stopping.is_set():
            await _waited(self._stopping, _WATCH_SECONDS)
            await attempted("webhooks", self._write_down)
            if time.monotonic() >= forget_at:
                self.watch.forget()
                forget_at = time.monotonic() + _FORGET_SECONDS

    async def _write_down(self) -> None:
        if await self._finding.write_down():
            self._made.set()

    async def _run_delivery(self) -> None:
        await attempted("webhooks", self._finding.begin)
        tidy_at = time.monotonic()
        while not self._stopping.is_set():
            await attempted("webhooks", self._finding.find)
            await attempted("webhooks", self.delivery.deliver)
            if time.monotonic() >= tidy_at:
                tidy_at = time.monotonic() + _TIDY_SECONDS
                await attempted("webhooks", self.delivery.tidy)
            await _waited(self._made, _LOOK_SECONDS)
            self._made.clear()


class Webhooks:
    """The events of one project: to see them, and to have them sent again.

    ``telling`` makes and delivers them, None in a process without the webhook.
    """

    def __init__(self, database: Database, clock: Clock, *, project: str, telling: Telling | None) -> None:
        self._database = database
        self._clock = clock
        self._project = project
        self._audit = Audit(database, clock, project=project)
        self._telling = telling
        self.watch = None if telling is None else telling.watch
        """What notes what happens to users, None where the app is not told."""

    def start(self) -> None:
        """Make and deliver events until ``stop``, where there is a webhook."""
        if self._telling is not None:
            self._telling.start()

    async def stop(self) -> None:
        """Stop; others deliver what is left."""
        if self._telling is not None:
            await self._telling.stop()

    async def page(
        self,
        *,
        kinds: Collection[EventKind] = tuple(EventKind),
        only_undelivered: bool = False,
        state: EventState | None = None,
        user: str | None = None,
        limit: int = 100,
        before: tuple[datetime, UUID] | None = None,
    ) -> Sequence[EventRow]:
        """Give events, newest first, from the one before that of this time and id; of one user or state where that is
        asked for. Raises DatabaseUnreachable.
        """
        asked = "undelivered" if only_undelivered and state is None else state and state.value
        return await webhooks.page(
            self._database, self._project, kinds=kinds, state=asked, user=user, limit=limit, before=before
        )

    async def standing(self) -> WebhookStanding:
        """Give what waits and was given up, and how the latest ended. Raises DatabaseUnreachable."""
        return await webhooks.standing(self._database, self._project)

    @property
    def is_told(self) -> bool:
        """Whether this process has the webhook."""
        return self._telling is not None

    async def test(self) -> AlertUndelivered | None:
        """Send a test event to the app now; give why it did not arrive, or None where it did. Raises NotConfigured."""
        if self._telling is None:
            raise NotConfigured("there is no webhook", hint="set JANGBU_WEBHOOK_URL and JANGBU_WEBHOOK_SECRET")
        made = new_id(self._clock), self._project, EventKind.TEST
        return await self._telling.delivery.test(Event(*made, "nobody", self._clock.now(), {}))

    async def send_all_again(
        self, kind: EventKind | None = None, *, user: str | None = None, key: str | None = None
    ) -> tuple[int, bool]:
        """Have all events that were given up sent again under their ids, or those of one kind or user; give how many
        now, at most ``AGAIN_MAX``.

        Under a ``key`` that is done once; tells whether it was done before.
        """
        kinds, sent = tuple(EventKind) if kind is None else (kind,), 0

        async def act(connection: Connection) -> None:
            nonlocal sent
            sent = await webhooks.send_all_again(connection, self._project, kinds=kinds, user=user, limit=AGAIN_MAX)
            if sent:
                facts = {"events": sent, "kind": kind, "user": user}
                await self._audit.note(connection, Change("webhook.send_again", "events", after=facts))

        made, content = new_id(self._clock), digest("webhook-again-all", kind, user)
        done = await done_once(self._database, project_id(self._project), key, content, made, act)
        return sent, done != made

    async def find(self, event: UUID) -> EventRow:
        """Give one event. Raises NotFound."""
        found = await webhooks.find(self._database, self._project, event)
        if found is None:
            raise _unknown(event)
        return found

    async def send_again(self, event: UUID, *, key: str | None = None) -> tuple[EventRow, bool]:
        """Have an event sent again under its id, whatever became of it; give it. Raises NotFound.

        Under a ``key`` that is done once; tells whether it was done before.
        """

        async def act(connection: Connection) -> None:
            found = await webhooks.send_again(connection, self._project, event)
            if found is None:
                raise _unknown(event)
            facts = dict(zip(("kind", "user"), found, strict=True))
            await self._audit.note(connection, Change("webhook.send_again", f"event:{event}", after=facts))

        made, content = new_id(self._clock), digest("webhook-again", str(event))
        done = await done_once(self._database, project_id(self._project), key, content, made, act)
        return await self.find(event), done != made


def _unknown(event: UUID) -> NotFound:
    return NotFound(f"there is no event {event}", hint="events are kept for 30 days; `jangbu webhooks list` shows them")


async def _waited(event: asyncio.Event, seconds: int) -> None:
    """Wait until something happened, or for so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
