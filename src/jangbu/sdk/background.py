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
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Generic, TypeVar

from jangbu.errors import JangbuError
from jangbu.sdk.open_calls import Caller, OpenCall, OpenCalls
from jangbu.telemetry import warn

__all__ = ["Background"]

PATIENCE_SECONDS = 30
"""How long closing waits for the calls that were begun. What Google answers later is not known any more."""

Resource = TypeVar("Resource")
Result = TypeVar("Result")


class Background(Generic[Resource]):
    """A resource (the ledger) that is opened, used and closed on one event loop in a background thread."""

    def __init__(
        self,
        open_resource: Callable[[], AbstractAsyncContextManager[Resource]],
        *,
        patience_seconds: int = PATIENCE_SECONDS,
    ) -> None:
        self._open_resource = open_resource
        self._patience_seconds = patience_seconds
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._opened: Future[Resource] = Future()
        self._stopping = asyncio.Event()
        self._started: set[Future[Any]] = set()
        self._detached: set[Future[Any]] = set()
        self._closing = False
        self._closed = False
        self._gate = threading.RLock()
        self._calls = OpenCalls(self._gate)
        self._thread = threading.Thread(target=self._run, name="jangbu-ledger", daemon=True)
        self._thread.start()
        self._at_exit = _close_at_exit(self)

    def opened(self) -> "Future[Resource]":
        """Give the future of the opened resource; it fails where opening failed."""
        return self._opened

    def begin(self, call: OpenCall) -> None:
        """Count a call until ``end``: ``close`` lets it finish. Raises JangbuError where the meter is being closed."""
        self._check_process()
        with self._gate:
            self._check_open(begun=False)
            self._calls.add(call)

    def end(self, call: OpenCall) -> None:
        """Count a call no more."""
        self._calls.discard(call)

    def submit(
        self, work: Callable[[Resource], Coroutine[Any, Any, Result]], *, begun: bool = False
    ) -> "Future[Result]":
        """Start work on the ledger and give its future. Work that was started is carried through by ``close``.

        Work for a call that was ``begun`` is taken on while the meter is being closed too.
        """
        self._check_process()
        with self._gate:
            self._check_open(begun=begun)
            future = asyncio.run_coroutine_threadsafe(self._perform(work), self._loop)
            self._started.add(future)
        future.add_done_callback(self._started.discard)
        return future

    def wait(self, work: Callable[[Resource], Coroutine[Any, Any, Result]]) -> Result:
        """Do work on the ledger and wait for its result."""
        if threading.current_thread() is self._thread:
            raise JangbuError("the ledger's own thread cannot wait for itself")
        return self.submit(work).result()

    async def wait_async(self, work: Callable[[Resource], Coroutine[Any, Any, Result]]) -> Result:
        """Do work on the ledger and await its result. The work goes on where the caller is cancelled."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(work)))

    def detach(self, future: "Future[Any]") -> None:
        """Let go of work that nobody waits for; its failure is logged, because there is nobody to raise it to."""
        self._detached.add(future)
        future.add_done_callback(self._detached.discard)
        future.add_done_callback(_log_failure)

    def wait_for_detached(self) -> None:
        """Wait until what was handed over is done, so that its effect can be read."""
        wait(tuple(self._detached))

    async def wait_for_detached_async(self) -> None:
        """Await until what was handed over is done."""
        waiting = [asyncio.shield(asyncio.wrap_future(future)) for future in tuple(self._detached)]
        await asyncio.gather(*waiting, return_exceptions=True)

    def close(self) -> None:
        """Let the calls that were begun finish, close the resource and end the thread; new calls are refused at once.

        Calls are waited for up to ``PATIENCE_SECONDS``, but for those that only this thread could go on with; then
        they are abandoned. Safe to call again, and after a fork.
        """
        thread = threading.get_ident()
        self._close(lambda caller: caller.thread == thread)

    async def aclose(self) -> None:
        """Close as ``close`` does; all other tasks go on meanwhile."""
        closer = Caller.present()
        await asyncio.to_thread(self._close, lambda caller: caller == closer)

    def _close(self, waits_for_us: Callable[[Caller], bool]) -> None:
        if os.getpid() != self._process:
            return
        with self._gate:
            self._closing = True
        try:
            self._calls.abandon(waits_for_us)
            self._calls.wait(self._patience_seconds)
        finally:
            self._calls.abandon(lambda _caller: True)
            self._end_thread()

    def _end_thread(self) -> None:
        with self._gate:
            self._closed = True
        atexit.unregister(self._at_exit)
        if self._thread.is_alive():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def _check_process(self) -> None:
        """Refuse a forked child, which has no ledger thread, and may have inherited a gate that nobody opens."""
        if os.getpid() != self._process:
            raise JangbuError(
                "the meter was opened before this process was forked", hint="open a meter in each process"
            )

    def _check_open(self, *, begun: bool) -> None:
        if self._opened.done() and (error := self._opened.exception()) is not None:
            raise error
        if self._closed or (self._closing and not begun):
            raise JangbuError("the meter is closed", hint="keep it open while calls are made")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_default_executor(_ExitProofExecutor(thread_name_prefix="jangbu-ledger"))
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        try:
            async with self._open_resource() as resource:
                self._opened.set_result(resource)
                await self._stopping.wait()
                await self._finish_started()
        except Exception as error:
            if self._opened.done():
                warn("sdk.close_failed", f"the ledger could not be closed in order: {error}", error=error)
            else:
                self._opened.set_exception(error)
        finally:
            with self._gate:
                self._closed = True
            await self._finish_started()

    async def _finish_started(self) -> None:
        """Wait for what was started before the gate was shut."""
        while started := tuple(self._started):
            await asyncio.gather(*map(asyncio.wrap_future, started), return_exceptions=True)

    async def _perform(self, work: Callable[[Resource], Coroutine[Any, Any, Result]]) -> Result:
        return await work(await asyncio.shield(asyncio.wrap_future(self._opened)))


class _ExitProofExecutor(ThreadPoolExecutor):
    """Runs work in threads, and in the caller's thread once the interpreter, about to exit, starts none any more."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run a function. Closing the ledger when the interpreter exits depends on its being run at all."""
        try:
            return super().submit(function, *args, **kwargs)
        except RuntimeError:
            future: Future[Any] = Future()
            try:
                future.set_result(function(*args, **kwargs))
            except Exception as error:
                future.set_exception(error)
            return future


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
