"""All calls of a demo: threads and tasks side by side, each user's calls in their order.

A user's calls stay in one lane, so what a user may still spend at each of them, and who is refused, is the same in
every run, while different users call at the same time.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from google import genai

from jangbu import Meter
from jangbu.cli.demo.calls import PlannedCall
from jangbu.cli.demo.performing import Ended, make, make_async
from jangbu.cli.demo.progress import Told

__all__ = ["LANES", "make_all", "open_client"]

THREADS = 12
TASKS = 4
LANES = THREADS + TASKS
_TIMEOUT_MS = 60_000
_PATIENCE_SECONDS = 0.1


def open_client(url: str) -> genai.Client:
    """Make an ordinary client for the fake, whatever the environment says of keys, projects and proxies."""
    direct = {"trust_env": False}
    options = {"base_url": url, "timeout": _TIMEOUT_MS, "client_args": direct, "async_client_args": direct}
    return genai.Client(vertexai=False, api_key="demo", http_options=options)  # type: ignore[arg-type]


def make_all(meter: Meter, client: genai.Client, calls: Sequence[PlannedCall], told: Told) -> tuple[Ended, ...]:
    """Make all calls; give how each ended, in their order. Ctrl-C and a failure end it after the calls under way."""
    lanes = _Lanes(meter, client, _dealt(calls))
    with ThreadPoolExecutor(THREADS + 1, thread_name_prefix="demo-lane") as pool:
        under_way = [pool.submit(lanes.run_thread, index) for index in range(THREADS)]
        under_way.append(pool.submit(lanes.run_tasks))
        try:
            while wait(under_way, _PATIENCE_SECONDS, FIRST_EXCEPTION).not_done and not _failed(under_way):
                told(len(lanes.ended))
        finally:
            lanes.stopping.set()
    for lane in under_way:
        lane.result()
    told(len(lanes.ended))
    return tuple(sorted(lanes.ended, key=lambda ended: ended.call.number))


class _Lanes:
    """The calls of each lane, and how those that were made ended."""

    def __init__(self, meter: Meter, client: genai.Client, dealt: Sequence[Sequence[PlannedCall]]) -> None:
        self._meter = meter
        self._client = client
        self._dealt = dealt
        self.ended: list[Ended] = []
        self.stopping = threading.Event()

    def run_thread(self, index: int) -> None:
        """Make the calls of one lane, one after the other."""
        for call in self._dealt[index]:
            if self.stopping.is_set():
                return
            self.ended.append(make(self._meter, self._client, call))

    def run_tasks(self) -> None:
        """Make the calls of the asynchronous lanes on an event loop of their own."""
        asyncio.run(self._run_tasks())

    async def _run_tasks(self) -> None:
        try:
            await asyncio.gather(*(self._run_task(index) for index in range(THREADS, LANES)))
        finally:
            if hasattr(self._client.aio, "aclose"):
                await self._client.aio.aclose()

    async def _run_task(self, index: int) -> None:
        for call in self._dealt[index]:
            if self.stopping.is_set():
                return
            self.ended.append(await make_async(self._meter, self._client, call))


def _dealt(calls: Sequence[PlannedCall]) -> list[list[PlannedCall]]:
    """Deal users to lanes, the busiest first and always to the emptiest lane."""
    loads = Counter(call.user for call in calls)
    lane_loads = [0] * LANES
    lane_of: dict[str, int] = {}
    for user, load in sorted(loads.items(), key=lambda item: (-item[1], item[0])):
        lane = lane_loads.index(min(lane_loads))
        lane_of[user] = lane
        lane_loads[lane] += load
    dealt: list[list[PlannedCall]] = [[] for _ in range(LANES)]
    for call in calls:
        dealt[lane_of[call.user]].append(call)
    return dealt


def _failed(futures: Sequence["Future[None]"]) -> bool:
    return any(future.done() and future.exception() is not None for future in futures)
