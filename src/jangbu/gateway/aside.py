"""A thread beside the event loop, for what would stop all other calls for as long as it takes."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["Aside"]

Result = TypeVar("Result")


class Aside:
    """Does one thing after another: what is large waits for what is large, and takes its memory alone."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jangbu-aside")

    async def run(self, work: Callable[..., Result], *given: Any) -> Result:
        """Do it, and wait for it while the loop goes on."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    def close(self) -> None:
        """End the thread when it has done what it does."""
        self._thread.shutdown(wait=False, cancel_futures=True)
