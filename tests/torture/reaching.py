"""On the way to the goals of a round: restarts at even distances, and how long each of them takes."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from tests.faults.server import KillableServer
from tests.torture.line import TheLine
from tests.torture.tally import Goals, Tally

__all__ = ["Progress", "Way", "beside"]

Progress = Callable[[Tally], None]
"""Hears again and again how it stands."""

_ROUND_KILLS_MOST = 2_500
"""A round ends after so many: the next one begins with a book that is small."""
_TURN_SECONDS = 0.1
_AWAY_SECONDS_MOST = 0.8
_RECOVERY_SECONDS_MOST = 300


class Way:
    """The way of one round to goals that hold for the whole run, whose tally it adds to."""

    def __init__(self, goals: Goals, tally: Tally, line: TheLine, server: KillableServer, dice: random.Random) -> None:
        self._goals = goals
        self._tally = tally
        self._line = line
        self._server = server
        self._dice = dice
        self._killed_before = tally.killed
        self._counted = (tally.ambiguous.copy(), tally.committed.copy(), tally.seconds, tally.posthumous)
        self._began = asyncio.get_running_loop().time()

    async def go(self, progress: Progress) -> None:
        """Go until all goals are reached, the round is long enough, or something is wrong."""
        while not self._is_over():
            await asyncio.sleep(_TURN_SECONDS)
            progress(self._tally)
            if self._wants_restart():
                await self._restart()
        self.count()

    def count(self) -> None:
        """Bring the tally up to date."""
        ambiguous, committed, seconds, posthumous = self._counted
        self._tally.ambiguous = ambiguous + self._line.ambiguous
        self._tally.committed = committed + self._line.committed
        self._tally.posthumous = posthumous + self._line.posthumous
        self._tally.seconds = seconds + asyncio.get_running_loop().time() - self._began

    def _is_over(self) -> bool:
        self.count()
        if self._tally.wrong or self._tally.killed - self._killed_before >= _ROUND_KILLS_MOST:
            return True
        return self._goals.reached(self._tally) >= 1

    def _wants_restart(self) -> bool:
        """Tell whether a restart is due: they come evenly over the way to the other goals."""
        wanted, had = self._goals.restarts, self._tally.restarts
        others = Goals(seconds=self._goals.seconds, kills=self._goals.kills)
        return had < wanted and others.reached(self._tally) >= (had + 0.5) / wanted

    async def _restart(self) -> None:
        """Crash the server, leave it down for a moment, and measure how long it takes until a record is committed."""
        loop, line = asyncio.get_running_loop(), self._line
        await asyncio.to_thread(self._server.crash)
        await asyncio.sleep(self._dice.uniform(0, _AWAY_SECONDS_MOST))
        line.watch_for_flush()
        began = loop.time()
        await asyncio.to_thread(self._server.start)
        started = loop.time()
        self._tally.restarts += 1
        while line.first_flush_at is None:
            if loop.time() - began > _RECOVERY_SECONDS_MOST:
                self._tally.found("after a restart no record was committed for five minutes")
                return
            await asyncio.sleep(_TURN_SECONDS / 10)
        self._tally.starts.append((started - began, line.first_flush_at - began))


@asynccontextmanager
async def beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do things until the block ends. Raises what they failed with."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
