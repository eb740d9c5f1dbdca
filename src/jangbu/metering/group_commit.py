"""Group commit: whatever queued while the last batch was written goes into the next one.

There is no linger: a lone item is written at once, and under load batches form by themselves because a batch takes
as long as the disk does. Only behind a batch that was large do others that are ready now come first: they bring items
of their own, and with 64 calls under way a call takes 14% less of the database for it. Few large batches cost less than
many small ones, so the first lane takes what comes; only when more waits for it than it should are items spread over
all lanes, those of one key then always to the same.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from jangbu.errors import JangbuError

_BUSY_FROM = 8
"""From how many items on a batch tells of so much load that one turn of the loop is no wait."""

Item = TypeVar("Item")
Result = TypeVar("Result")

Commit = Callable[[Sequence[Item], int], Awaitable[Sequence[Result | BaseException]]]
"""Makes a batch durable on a lane; gives for each item its result, or the error that its submitter shall see."""


class GroupCommit(Generic[Item, Result]):
    """Lanes of waiting items, each emptied by a task of its own. Belongs to one event loop.

    An item joins the first lane while fewer than ``spread_at`` wait there, else the lane of its key: two lanes then
    rarely wait for the same account in the database. ``unheard`` is given what became of items whose submitters are
    gone.
    """

    def __init__(
        self,
        commit: Commit[Item, Result],
        *,
        lanes: int,
        batch_max: int,
        queue_max: int,
        spread_at: int = 32,
        unheard: Callable[[Result], None] | None = None,
    ) -> None:
        self._commit = commit
        self._unheard = unheard
        self._batch_max = batch_max
        self._spread_at = spread_at
        self._room = asyncio.Semaphore(queue_max)
        self._submitting = 0
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._lanes = [_Lane[Item, Result]() for _ in range(lanes)]
        self._tasks = [asyncio.create_task(self._run(lane, number)) for number, lane in enumerate(self._lanes)]

    @property
    def depth(self) -> int:
        """How many items wait."""
        return sum(len(lane.waiting) for lane in self._lanes)

    async def submit(self, item: Item, key: Hashable) -> Result:
        """Wait until the item is durable and give its result; waits for room first when the queue is full.

        A caller that is cancelled while it waits does not take its item back. Raises JangbuError after ``close``.
        """
        if self._closing:
            raise JangbuError("the ledger is closed", hint="open it again")
        self._submitting += 1
        self._idle.clear()
        try:
            await self._room.acquire()
        except BaseException:
            self._left(1)
            raise
        lane = self._lanes[0]
        if len(lane.waiting) >= self._spread_at:
            lane = self._lanes[hash(key) % len(self._lanes)]
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        lane.waiting.append((item, future))
        lane.ready.set()
        try:
            return await future
        except asyncio.CancelledError:
            if self._unheard is not None and future.done() and not future.cancelled() and future.exception() is None:
                self._unheard(future.result())
            raise

    async def close(self) -> None:
        """Take nothing new, write what still waits, then end the lanes."""
        self._closing = True
        await self._idle.wait()
        for lane in self._lanes:
            lane.closing = True
            lane.ready.set()
        await asyncio.gather(*self._tasks)

    async def _run(self, lane: "_Lane[Item, Result]", number: int) -> None:
        while True:
            await lane.ready.wait()
            while lane.waiting:
                batch = [lane.waiting.popleft() for _ in range(min(len(lane.waiting), self._batch_max))]
                await self._write(batch, number)
                if len(batch) >= _BUSY_FROM:
                    await asyncio.sleep(0)
            if lane.closing:
                return
            lane.ready.clear()

    async def _write(self, batch: "Sequence[tuple[Item, asyncio.Future[Result]]]", number: int) -> None:
        try:
            results = await self._commit([item for item, _ in batch], number)
        except Exception as error:
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            self._room.release()
            if future.done():
                if self._unheard is not None and not isinstance(result, BaseException):
                    self._unheard(result)
            elif isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._left(len(batch))

    def _left(self, number: int) -> None:
        self._submitting -= number
        if self._submitting == 0:
            self._idle.set()


class _Lane(Generic[Item, Result]):
    """Items that wait for one writer."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self.ready = asyncio.Event()
        self.closing = False
