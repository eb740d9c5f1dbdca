"""Results that nobody asks for: each gateway asks for them by itself, so that work is paid for before its hold ends.

Any number of gateways may ask at once: whoever sees a result first settles it, and the others change nothing.
"""

import asyncio
import random
import time

from jangbu import telemetry
from jangbu.errors import NotConfigured, NotOffered
from jangbu.gateway.results import Shows, settle_by_asking
from jangbu.gateway.upstream import Upstream
from jangbu.gateway.vertex import Vertex
from jangbu.metering.later import lose_later
from jangbu.metering.meter import Metering
from jangbu.metering.resources import Owned

__all__ = ["Poller"]

SECONDS_BETWEEN = 300
WAITED_SECONDS = 600
"""How long work may wait for its owner to ask before it is asked for here."""
MISSED_SECONDS = 3_600
"""For how long the provider has to say that it has no such work before it is believed: the key may be another
project's for a while, and the answer of an outage looks the same."""
ROUND_MAX = 100
"""The most results that one round asks for, one after another."""


class Poller:
    """Asks for what waits, in rounds. Each round goes on where the last one ended, so that all have their turn."""

    def __init__(self, ledger: Metering, upstream: Upstream, vertex: Vertex | None = None) -> None:
        self._ledger = ledger
        self._upstream = upstream
        self._vertex = vertex
        self._last: Owned | None = None
        self._missed: dict[str, float] = {}
        """Since when the provider has said so of work that it has none of, on the clock of ``time.monotonic``."""
        self._task: asyncio.Task[None] | None = None

    async def poll(self) -> None:
        """Ask once for those whose turn it is. One that fails is told and does not keep the others from being asked."""
        waiting = await self._ledger.resources.waiting(WAITED_SECONDS, ROUND_MAX, self._last)
        self._last = waiting[-1] if len(waiting) == ROUND_MAX else None
        for each in waiting:
            try:
                shows = await settle_by_asking(self._ledger, self._upstream, self._vertex, each)
                if shows is not Shows.NOTHING:
                    self._missed.pop(each.name, None)
                else:
                    await self._miss(each)
            except (NotConfigured, NotOffered):
                # It is for a gateway that has the key, or the project.
                continue
            except Exception as error:
                telemetry.warn("poller.failed", str(error), resource=each.name)

    async def _miss(self, work: Owned) -> None:
        """Give work up that the provider has had nothing of for long: its outcome is unknown."""
        now = time.monotonic()
        if now - self._missed.setdefault(work.name, now) >= MISSED_SECONDS:
            await lose_later(self._ledger, work, "the provider has the work no more")
            del self._missed[work.name]

    def start(self) -> None:
        """Ask now and then until ``stop``."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the asking. A result that was recorded without being noted is noted when it is asked for again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            # Gateways that were started together shall not ask together.
            await asyncio.sleep(SECONDS_BETWEEN * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                await self.poll()
            except Exception as error:
                telemetry.warn("poller.failed", str(error))
