"""The calls that were begun and have not ended, for whoever closes the meter under them."""

import asyncio
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

__all__ = ["Caller", "OpenCall", "OpenCalls"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who goes on with a call: a thread, and the task that runs in it, if any."""

    thread: int
    task: "weakref.ref[asyncio.Task[Any]] | None"

    @classmethod
    def present(cls) -> Self:
        """Give who is running now."""
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        return cls(threading.get_ident(), None if task is None else weakref.ref(task))


class OpenCall(Protocol):
    """A call as the meter that is closed sees it."""

    caller: Caller

    def abandon(self) -> None:
        """End the call by what is known of it now. It does nothing where the call has ended."""


class OpenCalls:
    """The calls of one meter between their hold and their end."""

    def __init__(self, gate: threading.RLock) -> None:
        self._calls: set[OpenCall] = set()
        self._ended = threading.Condition(gate)

    def add(self, call: OpenCall) -> None:
        """Count a call that begins."""
        with self._ended:
            self._calls.add(call)

    def discard(self, call: OpenCall) -> None:
        """Count a call no more: it ended, or goes on without this process."""
        with self._ended:
            self._calls.discard(call)
            self._ended.notify_all()

    def wait(self, seconds: int) -> None:
        """Wait until all calls have ended, or the time is over."""
        with self._ended:
            self._ended.wait_for(lambda: not self._calls, timeout=seconds)

    def abandon(self, which: Callable[[Caller], bool]) -> None:
        """End the calls of some callers. The gate is open meanwhile, because whoever reads a call may need it first."""
        with self._ended:
            chosen = [call for call in self._calls if which(call.caller)]
        for call in chosen:
            call.abandon()
