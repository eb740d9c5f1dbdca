"""Several processes that serve on one port, and the one that watches over them.

The parent opens their sockets and holds the embedded server up; it answers nothing itself, so nothing is imported here
that only those need who do. Each worker is a program of its own (forking a process that has threads and connections
would carry their halves along). It is told what to do by one line on its standard input, which stays open: when the
parent dies in whatever way, the worker sees its end and stops.
"""

import asyncio
import json
import os
import pickle
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

from jangbu import telemetry
from jangbu.cli.exits import ExitCode
from jangbu.cli.serve.certificate import Certificate
from jangbu.cli.serve.lines import logging_as_set
from jangbu.cli.serve.stopping import Stopping
from jangbu.cli.session import Session
from jangbu.config import Settings
from jangbu.errors import JangbuError
from jangbu.locations import database_address

__all__ = ["METRICS_DIRECTORY", "READY", "serve_with_workers", "settings_of"]

METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
READY = b"ready\n"
"""What a worker writes to its standard output when it takes connections."""

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60
"""A worker that served for so long is started again without a long pause: it did not die of what it started with."""
_START_SECONDS = 120
_GRACE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Task:
    """What every worker of one parent is told, and who opens the ledger before them."""

    session: Session
    """The options of the command line; what they leave open a worker finds where its parent found it."""
    log_format: str | None
    certificate: Certificate | None
    url: str

    def line(self, listeners: Sequence[socket.socket] = ()) -> bytes:
        """Give it as the line that is read. A worker's own socket is the first one."""
        told = {
            "session": asdict(self.session),
            "log_format": self.log_format,
            "certificate": None
            if self.certificate is None
            else [str(self.certificate.chain), str(self.certificate.key)],
            "url": self.url,
            "parent": os.getpid(),
            "listeners": [listener.fileno() for listener in listeners],
        }
        return json.dumps(told).encode() + b"\n"


def settings_of(told: Mapping[str, Any]) -> Settings:
    """Load the settings that the parent has, from a task that was read."""
    return Session(**told["session"]).settings().model_copy(update={"log_format": told["log_format"]})


async def serve_with_workers(
    settings: Settings,
    session: Session,
    listeners: Sequence[socket.socket],
    certificate: Certificate | None,
    ready: Callable[[Stopping], None],
    url: str,
) -> None:
    """Serve with so many processes until this one is asked to stop. ``url`` is where they are reached.

    Raises what the ledger and the settings raise, before a worker is started.
    """
    with logging_as_set(settings):
        async with database_address(settings):
            task = Task(session, settings.log_format, certificate, url)
            await _open_once(task)
            with tempfile.TemporaryDirectory(prefix="jangbu-metrics-") as directory:
                await _Crew(settings, task, listeners, Path(directory)).serve(ready)


async def _open_once(task: Task) -> None:
    """Have opened what the workers will open. Raises what is wrong with that."""
    process = await _program("jangbu.cli.serve.opening")
    try:
        told, _ = await process.communicate(task.line())
    finally:
        _send(process, signal.SIGTERM)
        await process.wait()
    if process.returncode == ExitCode.FAILURE and told:
        raise pickle.loads(told)  # noqa: S301 - our own process wrote it
    if process.returncode != 0:
        raise JangbuError("the ledger cannot be opened", hint="see what was written to standard error")


class _Crew:
    """The workers, each watched by a task of its own."""

    def __init__(self, settings: Settings, task: Task, listeners: Sequence[socket.socket], metrics: Path) -> None:
        self._settings = settings
        self._task = task
        self._listeners = listeners
        self._metrics = metrics
        self._processes: set[asyncio.subprocess.Process] = set()
        self._stopped = asyncio.Event()
        self._stopping = Stopping(at_once=self._kill)

    async def serve(self, ready: Callable[[Stopping], None]) -> None:
        """Keep all workers up until the process is asked to stop, then wait until they have stopped."""
        started = [asyncio.Event() for _ in range(self._settings.workers)]
        self._stopping.begin(self._stop)
        watches = [asyncio.create_task(self._watch(number, event)) for number, event in enumerate(started, 1)]
        try:
            await self._all_started(started, watches)
            if not self._stopped.is_set():
                ready(self._stopping)
            await asyncio.gather(*watches)
        finally:
            self._stop()
            await asyncio.gather(*watches, return_exceptions=True)
            self._stopping.end()

    async def _all_started(self, started: list[asyncio.Event], watches: list[asyncio.Task[None]]) -> None:
        """Wait for every worker's first start. Raises JangbuError where one of them cannot start."""
        waiting = asyncio.gather(*(event.wait() for event in started))
        either: list[asyncio.Future[Any]] = [waiting, *watches]
        done, _ = await asyncio.wait(either, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for watch in watches:
            if watch in done:
                watch.result()
        if not waiting.done():
            waiting.cancel()
            if not self._stopped.is_set():
                raise JangbuError("the workers do not start in time", hint="see what they wrote to standard error")

    async def _watch(self, number: int, started: asyncio.Event) -> None:
        """Keep one worker up. One that dies comes back, the later the more often it has died soon after its start."""
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopped.is_set():
            began = time.monotonic()
            async with self._started(number) as process:
                if process.stdout is not None and await process.stdout.readline() == READY:
                    started.set()
                code = await self._ended(process)
            mark_process_dead(process.pid, str(self._metrics))  # type: ignore[no-untyped-call]
            if self._stopped.is_set():
                return
            if not started.is_set():
                raise JangbuError(f"worker {number} could not start", hint="see what it wrote to standard error")
            if time.monotonic() - began >= _STEADY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            telemetry.warn("worker.died", f"worker {number} ended with {code} and is started again in {pause:.1f} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def _started(self, number: int) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start a worker, and tell it what to do."""
        process = await _program(
            "jangbu.cli.serve.worker",
            pass_fds=[listener.fileno() for listener in self._listeners],
            env={**os.environ, METRICS_DIRECTORY: str(self._metrics)},
        )
        self._processes.add(process)
        try:
            assert process.stdin is not None, "it was asked for"
            with suppress(OSError):
                own = number - 1
                process.stdin.write(self._task.line([*self._listeners[own:], *self._listeners[:own]]))
                await process.stdin.drain()
            if self._stopped.is_set():
                _send(process, signal.SIGTERM)
            yield process
        finally:
            self._processes.discard(process)

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        """Wait for a worker's end; one that was asked to stop and does not is killed."""
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(self._stopped.wait())
        await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        try:
            # Shielded, because a wait that is given up here goes on below.
            seconds = self._settings.stop_seconds_max + _GRACE_SECONDS
            return await asyncio.wait_for(asyncio.shield(ended), seconds)
        except TimeoutError:
            _send(process, signal.SIGKILL)
            return await ended

    def _stop(self) -> None:
        self._stopped.set()
        for process in self._processes:
            _send(process, signal.SIGTERM)

    def _kill(self) -> None:
        for process in self._processes:
            _send(process, signal.SIGKILL)


async def _program(module: str, **more: Any) -> asyncio.subprocess.Process:
    """Start a program of ours in a process group of its own: a Ctrl-C at the terminal asks the parent alone."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=pipe, stdout=pipe, process_group=0, **more
    )


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(number)
