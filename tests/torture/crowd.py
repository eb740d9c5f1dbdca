"""The processes of a round: who lives is replaced when it dies, and what they say is heard."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from jangbu.cli.serve.listening import listen
from tests.torture.facts import Whole
from tests.torture.nursery import LISTENERS
from tests.torture.plan import Disk, Kind, Life, Planner
from tests.torture.stage import ROOT, Place
from tests.torture.tally import Tally, whole_of
from tests.torture.words import Ear

__all__ = ["Crowd"]

_PATIENCE_SECONDS = 60


class Crowd:
    """Keeps so many lives of each kind going until it is told to end. ``expect`` and ``forget`` hear of each."""

    def __init__(
        self,
        place: Place,
        planner: Planner,
        tally: Tally,
        *,
        expect: Callable[[Life], None],
        forget: Callable[[int], None],
    ) -> None:
        self._terms = place.terms
        self._log = place.folder / "nursery.log"
        self._planner = planner
        self._tally = tally
        self._expect = expect
        self._forget = forget
        self._ear = Ear()
        self._lives: dict[int, Life] = {}
        self._is_ready = asyncio.Event()
        self._are_all_dead = asyncio.Event()
        self._goes_on = True
        self.whole: dict[str, Whole] = {}
        self.top_ups: set[int] = set()
        self.without_room: set[int] = set()
        self.urls: list[str] = []
        self.last_death = 0.0

    @asynccontextmanager
    async def living(self, kinds: list[Kind]) -> AsyncIterator[None]:
        """Have lives of these kinds go on until the block ends; then all are killed."""
        loop = asyncio.get_running_loop()
        heard, voice = os.pipe()
        with ExitStack() as stack:
            opened = [listen("127.0.0.1", 0, workers=1, client_seconds=30) for _ in range(LISTENERS)]
            listeners = [stack.enter_context(listener) for [listener] in opened]
            self.urls = [f"http://127.0.0.1:{listener.getsockname()[1]}" for listener in listeners]
            reading, _ = await loop.connect_read_pipe(lambda: _Hearing(self._hear), os.fdopen(heard, "rb", 0))
            self._voice = voice
            self._nursery = self._started(listeners)
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._is_ready.wait()
                for number, kind in enumerate(kinds):
                    self._bear(kind, number % LISTENERS)
                yield
                await self._end_all()
            finally:
                _ended(self._nursery)
                os.close(voice)
                await asyncio.sleep(0)
                reading.close()

    @asynccontextmanager
    async def clients(self, key: str, seed: int) -> AsyncIterator[None]:
        """Have clients call the gateways until the block ends, and let their last calls end."""
        process = self._calling(key, seed)
        assert process.stdin is not None
        try:
            yield
            process.stdin.close()
            if await asyncio.to_thread(process.wait, _PATIENCE_SECONDS):
                self._tally.found("the clients ended with an error")
        finally:
            _ended(process)

    def _calling(self, key: str, seed: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.torture.clients", str(self._voice), key, str(seed), *self.urls],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            pass_fds=[self._voice],
        )

    def _started(self, listeners: list[socket.socket]) -> "subprocess.Popen[bytes]":
        numbers = [listener.fileno() for listener in listeners]
        with self._log.open("ab") as errors:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.torture.nursery",
                    self._terms.text(),
                    str(self._voice),
                    *map(str, numbers),
                ],
                cwd=ROOT,
                env={name: value for name, value in os.environ.items() if not name.startswith(("JANGBU_", "GEMINI_"))},
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                pass_fds=[self._voice, *numbers],
            )

    async def _end_all(self) -> None:
        self._goes_on = False
        self._order(b"end")
        if not self._lives:
            return
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await self._are_all_dead.wait()

    def _order(self, line: bytes) -> None:
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(line + b"\n")
        self._nursery.stdin.flush()

    def _bear(self, kind: Kind, listener: int) -> None:
        life = self._planner.next(kind, listener)
        self._lives[life.number] = life
        if life.disk is Disk.FULL:
            self.without_room.add(life.number)
        self._expect(life)
        self._tally.born(life)
        self._order(life.text().encode())

    def _hear(self, data: bytes) -> None:
        for word, number, facts in self._ear.heard(data):
            self._heard(word, number, facts)

    def _heard(self, word: str, number: int, facts: dict[str, Any]) -> None:
        match word:
            case "whole":
                self.whole[facts["answer"]] = whole_of(facts)
            case "ended":
                self._ended(number, killed=facts["killed"])
            case "point":
                self._planner.hits[facts["name"]] += 1
                self._tally.points[facts["name"]] += 1
            case "ready":
                self._tally.ready += 1
            case "refused":
                self._tally.refused[facts["code"]] += 1
            case "broken":
                self._tally.broken[facts["why"]] += 1
            case "left":
                self._tally.left += 1
            case "closed":
                self._tally.closed += 1
            case "top-up":
                self._tally.repeated_top_ups += facts["number"] in self.top_ups
                self.top_ups.add(facts["number"])
            case "failed":
                self._tally.found(f"life {number} failed by itself: {facts['what']}")
            case "nursery":
                self._is_ready.set()

    def _ended(self, number: int, *, killed: bool) -> None:
        life = self._lives.pop(number)
        self._forget(number)
        self.last_death = asyncio.get_running_loop().time()
        if killed:
            self._tally.kills[life.kind] += 1
        else:
            self._tally.found(f"life {number} ({life.kind}) ended and was not killed")
        if self._goes_on:
            self._bear(life.kind, life.listener)
        elif not self._lives:
            self._are_all_dead.set()


class _Hearing(asyncio.Protocol):
    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear

    def data_received(self, data: bytes) -> None:
        self._hear(data)


def _ended(process: "subprocess.Popen[bytes]") -> None:
    """End a process that may have ended, and wait for it."""
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
