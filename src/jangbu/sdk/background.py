"""One event loop in a thread of its own, on which all work with the ledger is done.

Synchronous callers wait for it, asynchronous callers await it, and a finished call can be handed to it to be settled
without anybody waiting (when a stream is dropped, or its caller cancelled).
"""

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from jangbu.errors import JangbuError
from jangbu.telemetry import warn

__all__ = ["Background"]

Resource = TypeVar("Resource")
Result = TypeVar("Result")


class Background(Generic[Resource]):
    """A resource (the ledger) that is opened, used and closed on one event loop in a background thread."""

    def __init__(self, open_resource: Callable[[], AbstractAsyncContextManager[Resource]]) -> None:
        self._open_resource = open_resource
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._opened: Future[Resource] = Future()
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._detached: set[Future[Any]] = set()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="jangbu-ledger", daemon=True)
        self._thread.start()
        self._at_exit = _close_at_exit(self)

    def opened(self) -> "Future[Resource]":
        """Give the future of the opened resource; it fails where opening failed."""
        return self._opened

    def submit(self, work: Callable[[Resource], Coroutine[Any, Any, Result]]) -> "Future[Result]":
        """Start work on the ledger and give its future. Work that was started is carried through by ``close``."""
        self._check_usable()
        performance = self._perform(work)
        try:
            return asyncio.run_coroutine_threadsafe(performance, self._loop)
        except RuntimeError:
            performance.close()
            raise JangbuError("the meter is closed", hint="keep it open while calls are made") from None

    def wait(self, work: Callable[[Resource], Coroutine[Any, Any, Result]]) -> Result:
        """Do work on the ledger and wait for its result."""
        if threading.current_thread() is self._thread:
            raise JangbuError("the ledger's own thread cannot wait for itself")
        return self.submit(work).result()

    async def wait_async(self, work: Callable[[Resource], Coroutine[Any, Any, Result]]) -> Result:
        """Do work on the ledger and await its result. The work goes on where the caller is cancelled."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(work)))

    def detach(self, work: Callable[[Resource], Coroutine[Any, Any, object]]) -> None:
        """Start work that nobody waits for; its failure is logged, because there is nobody to raise it to."""
        future = self.submit(work)
        self._detached.add(future)
        future.add_done_callback(self._detached.discard)
        future.add_done_callback(_log_failure)

    def wait_for_detached(self) -> None:
        """Wait until what was handed over is done, so that its effect can be read."""
        for future in tuple(self._detached):
            future.exception()

    async def wait_for_detached_async(self) -> None:
        """Await until what was handed over is done."""
        for future in tuple(self._detached):
            await asyncio.wait([asyncio.shield(asyncio.wrap_future(future))])

    def close(self) -> None:
        """Finish what was started, close the resource and end the thread. Safe to call again, and after a fork."""
        with self._closing:
            if self._closed or os.getpid() != self._process:
                return
            self._closed = True
        atexit.unregister(self._at_exit)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def _check_usable(self) -> None:
        if os.getpid() != self._process:
            raise JangbuError(
                "the meter was opened before this process was forked", hint="open a meter in each process"
            )
        if self._opened.done() and (error := self._opened.exception()) is not None:
            raise error
        if self._closed:
            raise JangbuError("the meter is closed", hint="keep it open while calls are made")

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            async with self._open_resource() as resource:
                self._opened.set_result(resource)
                await self._stopping.wait()
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except Exception as error:
            if self._opened.done():
                warn("sdk.close_failed", f"the ledger could not be closed in order: {error}", error=error)
            else:
                self._opened.set_exception(error)

    async def _perform(self, work: Callable[[Resource], Coroutine[Any, Any, Result]]) -> Result:
        task = asyncio.current_task()
        assert task is not None, "work runs in a task"
        self._tasks.add(task)
        try:
            return await work(await asyncio.shield(asyncio.wrap_future(self._opened)))
        finally:
            self._tasks.discard(task)


def _close_at_exit(background: Background[Any]) -> Callable[[], None]:
    """Close when the interpreter ends, without keeping the meter alive until then."""
    reference = weakref.ref(background)

    def close() -> None:
        if (alive := reference()) is not None:
            alive.close()

    return atexit.register(close)


def _log_failure(future: "Future[Any]") -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        warn("sdk.work_failed", f"work on the ledger failed: {error!r}", error=error)
