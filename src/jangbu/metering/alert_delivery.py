"""Delivery of alerts: from the outbox that all nodes share, and from this machine's own while the database is away."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from jangbu import telemetry
from jangbu.alerts.channels import Channel, Log
from jangbu.alerts.local_outbox import LocalOutbox, Waiting, with_outcome
from jangbu.clock import Clock, new_id
from jangbu.domain.alerts import HOLD_LEAK_SECONDS, Alert, Condition, Phase
from jangbu.domain.mutes import Mute
from jangbu.errors import AlertUndelivered, DatabaseUnreachable, JangbuError
from jangbu.metering.alert_bounds import AlertBounds
from jangbu.metering.budget_watch import budget_alert
from jangbu.storage import alerts, mutes
from jangbu.storage.database import Database

__all__ = ["Delivery", "Outcome", "attempted", "told_as", "wait_ms_after"]

_CLAIMS_MAX = 20
_LEASE_SECONDS = 60
"""Longer than the slowest channel may take: only a node that died, or froze, leaves an alert to others."""
_DATABASE_SECONDS = 2
_LOOK_SECONDS = 60
_FINDINGS_MAX = 10_000
_PURGED_MAX = 500
_FIRST_WAIT_MS = 5_000
_LONGEST_WAIT_MS = 900_000
_FOUND = (Condition.UNKNOWN_OUTCOME, Condition.OVERRUN, Condition.LATE, Condition.UNPRICED)
"""The kinds of findings that make alerts."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a delivery did: alerts that reached all channels, and those that did not yet."""

    delivered: int = 0
    undelivered: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(self.delivered + other.delivered, self.undelivered + other.undelivered)


class Delivery:
    """Delivers alerts of one project through the channels of this process. Belongs to one event loop.

    ``database`` is None where nothing but this machine's own outbox can be delivered.
    """

    def __init__(
        self,
        database: Database | None,
        clock: Clock,
        *,
        project: str,
        node: str,
        outbox: LocalOutbox,
        log: Log,
        channels: Sequence[Channel],
        bounds: AlertBounds,
    ) -> None:
        self._database = database
        self._clock = clock
        self._project = project
        self._node = node
        self._outbox = outbox
        self._log = log
        self._channels = channels
        self._bounds = bounds
        self._due: dict[UUID, float] = {}
        self._looked_at: float | None = None
        self.mutes: Sequence[Mute] = ()
        """What is muted, or was within a day, as far as this process knows."""
        self.handed_over = asyncio.Event()
        """Set when the database has got an alert from here."""

    async def deliver_local(self) -> Outcome:
        """Hand what waits on this machine over to the database; deliver it from here where that does not answer."""
        left = await self._hand_over(self._outbox.waiting())
        if not self._channels:
            # Another process of this machine may have channels, and delivers what the database did not take.
            self._outbox.close()
            return Outcome()
        now = time.monotonic()
        due = [each for each in left if self._is_due_here(each, now)]
        arrived = await asyncio.gather(*(self._deliver_here(each) for each in due))
        return Outcome(arrived.count(True), arrived.count(False))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all channels, the log's first."""
        return (self._log.name, *(channel.name for channel in self._channels))

    async def test(self, only: str | None = None) -> Mapping[str, AlertUndelivered | None]:
        """Send a test alert through every channel, the log too, or through one of them; give why it did not arrive, or
        None where it did. Nothing mutes a test.
        """
        alert = self._new(Condition.TEST, {})
        channels = [each for each in (self._log, *self._channels) if only in {None, each.name}]
        results = await asyncio.gather(*(_sent(channel, alert) for channel in channels))
        return {channel.name: result for channel, result in zip(channels, results, strict=True)}

    async def hand_over(self) -> None:
        """Hand over what waits, briefly: this process ends."""
        await self._hand_over(self._outbox.waiting())

    def close(self) -> None:
        """Leave what waits on this machine to other processes."""
        self._outbox.close()

    async def deliver_shared(self) -> Outcome:
        """Make alerts of what the database has found, then deliver what is due there. Raises DatabaseUnreachable."""
        if self._database is None:
            return Outcome()
        await self._find(self._database)
        if self._looked_at is None or time.monotonic() - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = time.monotonic()
            await self._look(self._database)
        # What is muted holds here for a while, also where the database goes away meanwhile.
        self.mutes = await mutes.lately(self._database, self._project, self._bounds.give_up_seconds)
        await alerts.mute(self._database, self._project)
        outcome = Outcome()
        while self._channels and (
            claims := await alerts.claim(self._database, self._project, limit=_CLAIMS_MAX, lease_seconds=_LEASE_SECONDS)
        ):
            arrived = await asyncio.gather(*(self._deliver_claimed(self._database, each) for each in claims))
            outcome += Outcome(arrived.count(True), arrived.count(False))
        return outcome

    async def _find(self, database: Database) -> None:
        """Make alerts of new findings. They are logged by the node that made them."""
        made = await alerts.find(
            database,
            self._project,
            {condition.value: new_id(self._clock) for condition in _FOUND},
            node=self._node,
            repeat_seconds=self._bounds.repeat_seconds,
            limit=_FINDINGS_MAX,
        )
        for alert in made:
            self._log.write(alert)
            telemetry.emit("alerts.raised", condition=alert.condition.value)

    async def _look(self, database: Database) -> None:
        """Look for holds that nobody ends and at the budget, and let go of alerts whose time is up."""
        holds, tokens = await alerts.overdue_holds(database, self._project, HOLD_LEAK_SECONDS)
        if holds:
            await self._raise_shared(database, Condition.HOLD_LEAK, {"holds": holds, "tokens": tokens})
        budget = self._bounds.budget
        if budget is not None and (told := await budget_alert(database, self._project, budget)) is not None:
            await self._raise_shared(database, told.condition, told.facts, key=told.key)
        tries = await alerts.expire(database, self._project, self._bounds.give_up_seconds)
        # Where there are no channels but the log, what was never tried has reached all that there are.
        if given_up := sum(tried > 0 or bool(self._channels) for tried in tries):
            _tell_given_up(given_up)
        await alerts.purge(database, self._project, _PURGED_MAX)

    async def _raise_shared(
        self, database: Database, condition: Condition, facts: Mapping[str, int | str], *, key: str | None = None
    ) -> None:
        """Raise what every node sees: it is told by one of them."""
        alert = self._new(condition, facts, key)
        repeat_ms = self._bounds.repeat_ms(condition)
        if await alerts.raise_(database, alert, told_as=told_as(alert), repeat_ms=repeat_ms):
            self._log.write(alert)
            telemetry.emit("alerts.raised", condition=condition.value)

    def _new(self, condition: Condition, facts: Mapping[str, int | str], key: str | None = None) -> Alert:
        made = new_id(self._clock), self._project, condition, Phase.BEGAN
        return Alert(*made, key or condition.value, self._node, self._clock.now(), facts)

    async def _hand_over(self, waiting: Sequence[Waiting]) -> list[Waiting]:
        """Give the database what waits; give back what it did not take."""
        for index, each in enumerate(waiting):
            try:
                async with asyncio.timeout(_DATABASE_SECONDS):
                    await self._give(each)
            except (JangbuError, TimeoutError):
                return list(waiting[index:])
            self._outbox.remove(each.alert.id)
            self._due.pop(each.alert.id, None)
            self.handed_over.set()
        return []

    async def _give(self, waiting: Waiting) -> None:
        alert = waiting.alert
        if self._database is None:
            raise DatabaseUnreachable("there is no database to hand alerts over to")
        if waiting.attempts == 0:
            await alerts.raise_(
                self._database, alert, told_as=told_as(alert), repeat_ms=self._bounds.repeat_ms(alert.condition)
            )
            return
        is_delivered = not self._missing(waiting.delivered_to)
        await alerts.add(
            self._database,
            alert,
            attempts=waiting.attempts,
            delivered_to=waiting.delivered_to,
            errors=waiting.errors,
            is_delivered=waiting.is_settled and is_delivered,
            is_given_up=waiting.is_settled and not is_delivered,
        )

    async def _deliver_here(self, waiting: Waiting) -> bool:
        """Deliver an alert that the database could not be given; note in its file what became of it."""
        delivered_to, errors = await self._send(waiting.alert, waiting.delivered_to)
        is_delivered = not errors
        age = self._clock.now() - waiting.alert.raised_at
        is_given_up = not is_delivered and age.total_seconds() >= self._bounds.give_up_seconds
        noted = with_outcome(waiting, delivered_to, errors, settled=is_delivered or is_given_up)
        self._outbox.put(noted)
        self._due[waiting.alert.id] = time.monotonic() + wait_ms_after(noted.attempts) / 1000
        if is_given_up:
            _tell_given_up(1)
        return is_delivered

    def _is_due_here(self, waiting: Waiting, now: float) -> bool:
        """Tell whether to deliver an alert from here; one that is muted waits for the database, which keeps it."""
        if waiting.is_settled or self._due.get(waiting.alert.id, 0) > now:
            return False
        return waiting.attempts > 0 or not any(mute.covers(waiting.alert) for mute in self.mutes)

    async def _deliver_claimed(self, database: Database, claimed: alerts.Claimed) -> bool:
        delivered_to, errors = await self._send(claimed.alert, claimed.delivered_to)
        await alerts.note(
            database,
            claimed,
            delivered_to=delivered_to,
            errors=errors,
            is_delivered=not errors,
            wait_ms=wait_ms_after(claimed.attempt),
            give_up_seconds=self._bounds.give_up_seconds,
        )
        return not errors

    async def _send(self, alert: Alert, delivered_to: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
        """Send an alert through every channel that has not had it; give those that have it now, and the reasons."""
        missing = self._missing(delivered_to)
        results = await asyncio.gather(*(_sent(channel, alert) for channel in missing))
        reached = tuple(channel.name for channel, error in zip(missing, results, strict=True) if error is None)
        errors = {channel.name: str(error) for channel, error in zip(missing, results, strict=True) if error}
        return (*delivered_to, *reached), errors

    def _missing(self, delivered_to: Sequence[str]) -> list[Channel]:
        return [channel for channel in self._channels if channel.name not in delivered_to]


def told_as(alert: Alert) -> str:
    """Give what is told once in its interval: a trouble, and where it is."""
    return f"{alert.key}:{alert.phase.value}"


def wait_ms_after(attempts: int) -> int:
    """Give how long to wait after so many attempts, in milliseconds: longer each time, and never quite the same."""
    longest = min(_LONGEST_WAIT_MS, _FIRST_WAIT_MS * 2 ** min(attempts - 1, 20))
    return random.randint(longest * 3 // 4, longest)  # noqa: S311


async def _sent(channel: Channel, alert: Alert) -> AlertUndelivered | None:
    try:
        await channel.send(alert)
    except Exception as error:
        # Whatever a channel fails with, the other alerts have to leave; and what it says may hold its address.
        why = error if isinstance(error, AlertUndelivered) else AlertUndelivered(f"it failed: {type(error).__name__}")
        telemetry.warn(
            "alerts.refused", f"alert {alert.id} did not arrive by {channel.name}: {why}", channel=channel.name
        )
        return why
    telemetry.emit("alerts.delivered", channel=channel.name)
    return None


def _tell_given_up(number: int) -> None:
    telemetry.warn(
        "alerts.given_up", f"{number} alerts reached nobody; see `jangbu alerts list --undelivered`", alerts=number
    )


async def attempted(what: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do a round of delivery; one that fails is told and does not keep the next from being done."""
    try:
        await work()
    except DatabaseUnreachable as error:
        telemetry.emit("alerts.waiting", what=what, message=str(error))
    except Exception as error:
        telemetry.warn("alerts.failed", f"{type(error).__name__}: {error}", what=what)
