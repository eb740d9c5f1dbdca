"""Delivery of events to the app, from the outbox that all nodes share."""

import asyncio

from jangbu import telemetry
from jangbu.alerts.app_webhook import AppWebhook
from jangbu.domain.webhooks import Event
from jangbu.errors import AlertUndelivered
from jangbu.metering.alert_delivery import Outcome, wait_ms_after
from jangbu.storage import webhooks
from jangbu.storage.database import Database
from jangbu.storage.webhooks import ClaimedEvent

__all__ = ["WebhookDelivery"]

_CLAIMS_MAX = 20
_LEASE_SECONDS = 60
"""Longer than an attempt may take: only a node that died, or froze, leaves an event to others."""
_PURGED_MAX = 500
_PURGES_MAX = 200
"""How often that in one round, so that more can be forgotten in a minute than is made in one."""


class WebhookDelivery:
    """Delivers events of one project to the app's address. Belongs to one event loop."""

    def __init__(self, database: Database, webhook: AppWebhook, *, project: str) -> None:
        self._database = database
        self._webhook = webhook
        self._project = project

    async def deliver(self) -> Outcome:
        """Deliver what is due; stop where nothing arrives any more, and leave the rest to the next round.

        Raises DatabaseUnreachable.
        """
        outcome = Outcome()
        while claims := await webhooks.claim(
            self._database, self._project, limit=_CLAIMS_MAX, lease_seconds=_LEASE_SECONDS
        ):
            arrived = await asyncio.gather(*(self._deliver(each) for each in claims))
            outcome += Outcome(arrived.count(True), arrived.count(False))
            if not any(arrived):
                break
        return outcome

    async def test(self, event: Event) -> AlertUndelivered | None:
        """Send a test event now, which is kept nowhere; give why it did not arrive, or None where it did."""
        return await self._attempted(event)

    async def tidy(self) -> None:
        """Give up events whose time is up, and forget those of long ago."""
        if given_up := await webhooks.expire(self._database, self._project):
            _tell_given_up(given_up)
        for _ in range(_PURGES_MAX):
            if await webhooks.purge(self._database, self._project, _PURGED_MAX) < _PURGED_MAX:
                break

    async def _deliver(self, claimed: ClaimedEvent) -> bool:
        """Send an event and note what became of it; tell whether it arrived."""
        error = await self._attempted(claimed.event)
        is_given_up = await webhooks.note(
            self._database,
            claimed,
            error=None if error is None else error.message,
            wait_ms=wait_ms_after(claimed.attempts),
            is_over=error is not None and error.is_gone,
        )
        if is_given_up:
            _tell_given_up(1)
        return error is None

    async def _attempted(self, event: Event) -> AlertUndelivered | None:
        try:
            await self._webhook.send(event)
        except Exception as error:
            # Whatever it fails with, the other events have to leave; and what it says may hold the address.
            why = error if isinstance(error, AlertUndelivered) else AlertUndelivered(f"failed: {type(error).__name__}")
            telemetry.warn("webhooks.refused", f"event {event.id} did not arrive: {why}")
            return why
        telemetry.emit("webhooks.delivered")
        return None


def _tell_given_up(number: int) -> None:
    telemetry.warn(
        "webhooks.given_up", f"{number} events did not reach the app; see `jangbu webhooks list --undelivered`"
    )
