"""An event loop whose time is virtual: where nothing is ready, it jumps to the next timer. No threads, no real I/O."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

Result = TypeVar("Result")

OWNER: "ContextVar[object]" = ContextVar("OWNER", default=None)
"""Which process a task or a timer belongs to."""

_CLOSED_MOST = 60


class Died(BaseException):
    """The process died in the middle of what it did: nothing of it may run any more."""


class Stuck(AssertionError):
    """Nothing is ready and nothing ever will be: somebody waits for what nobody does."""


class _Jumping:
    """Stands where the loop waits for sockets: waiting is to move the clock."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> tuple[()]:
        if timeout is None:
            raise Stuck("nothing is ready, and nothing is due")
        if timeout > 0:
            self._loop.now += timeout
        return ()

    def close(self) -> None:
        """Nothing is held."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Give ``run`` a coroutine: it is done when all virtual time that it takes has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._tasks: list[asyncio.Task[Any]] = []
        self._selector = _Jumping(self)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.now

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run to the end. Whatever is left over is ended without running any of it."""
        try:
            return self.run_until_complete(work)
        finally:
            self.drop(lambda _owner: True)
            self.close_coroutines()
            self.close()

    def create_task(self, coro: Any, **given: Any) -> asyncio.Task[Any]:
        """Create a task that is kept until the end: what the dead leave behind shall not be unwound at some time."""
        task: asyncio.Task[Any] = super().create_task(coro, **given)
        self._tasks.append(task)
        return task

    def drop(self, is_dead: Callable[[object], bool]) -> None:
        """Let nothing more happen of what belongs to those who are dead: no handler, no ``finally``, as after kill -9.

        Whoever holds a future that the dead wait for must not complete it any more.
        """
        waiting: list[asyncio.Handle] = [*self._ready, *self._scheduled]  # type: ignore[attr-defined]
        for handle in waiting:
            if is_dead(handle._context.get(OWNER)):  # type: ignore[attr-defined]
                handle.cancel()

    def close_coroutines(self) -> None:
        """Unwind what never ended; the ports answer nobody any more, so that nothing happens by it.

        What that begins anew is a task of this loop, too, and is unwound like the others.
        """
        asyncio._set_running_loop(self)
        try:
            for task in self._tasks:
                if not task.done():
                    _close(task)
        finally:
            asyncio._set_running_loop(None)

    def run_in_executor(self, _executor: object, func: Callable[..., Result], *args: Any) -> asyncio.Future[Result]:  # type: ignore[override]
        """Run at once, at the virtual moment at which a thread would have begun."""
        future: asyncio.Future[Result] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        except Died:
            # Who waited for this died with it.
            pass
        return future

    def _process_events(self, event_list: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def _asyncgen_finalizer_hook(self, agen: object) -> None:
        """A generator of a dead process ends without a word."""


def _close(task: asyncio.Task[Any]) -> None:
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine = task.get_coro()
    for _ in range(_CLOSED_MOST):
        try:
            coroutine.close()
            break
        except BaseException:
            # An end that waits for something: it is asked again until it gives up.
            continue
