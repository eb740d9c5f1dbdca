"""The line to the database: it knows whose each connection is, and treats it as its life's plan says.

As ``tests.faults.proxy`` it loses acknowledgements: a statement is carried out and committed, and then the connection
ends without a word. What is counted as an ambiguous commit was seen to be committed.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.torture.messages import Answer, Requests
from tests.torture.plan import Kind, Life, Line

__all__ = ["TheLine"]

_LOSS = 0.12
_AWAY_SECONDS = 0.35
_LATE, _LATE_SECONDS_MOST = 0.25, 0.6
_GIVEN_UP, _GIVEN_UP_SECONDS = 0.08, 1.3
"""A process waits for the database for a second, until a record is kept in its spool."""
_ALL = ("flush", "hold", "grant", "release", "deduct")


class TheLine:
    """Stands before the server's socket."""

    def __init__(self, server_socket: Path, seed: int) -> None:
        self._server_socket = server_socket
        self._dice = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._lives: dict[int, Life] = {}
        self._have_held: set[int] = set()
        self._away_until: dict[int, float] = {}
        self.is_honest = False
        """Whether every life is treated well from now on."""
        self.ambiguous: Counter[str] = Counter()
        """How many commits nobody was told of, by the kind of statement."""
        self.committed: Counter[str] = Counter()
        self.first_flush_at: float | None = None
        """When the first record was committed after ``watch_for_flush``."""
        self._watches = False
        self.posthumous = 0
        """How many statements were carried out when their process was dead."""

    def expect(self, life: Life) -> None:
        """Learn how to treat a life before it is born."""
        self._lives[life.number] = life

    def forget(self, number: int) -> None:
        """A life is over."""
        self._lives.pop(number, None)
        self._have_held.discard(number)
        self._away_until.pop(number, None)

    def watch_for_flush(self) -> None:
        """Note when the next record is committed."""
        self.first_flush_at, self._watches = None, True

    @asynccontextmanager
    async def standing(self, folder: Path) -> AsyncIterator[None]:
        """Stand at a socket in a folder until the block ends."""
        server = await asyncio.start_unix_server(self._serve, str(folder / self._server_socket.name), backlog=512)
        try:
            yield
        finally:
            server.close()
            # Who was let in just before has not begun yet.
            await asyncio.sleep(0)
            while tasks := tuple(self._tasks):
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs each connection in a task"
        self._tasks.add(task)
        ends = [writer]
        try:
            with contextlib.suppress(OSError):
                upstream = await asyncio.open_unix_connection(str(self._server_socket))
                ends.append(upstream[1])
                await _Conversation(self, reader, writer, *upstream).go()
        except asyncio.CancelledError:
            # What was not sent yet is read by nobody any more: waiting for that, a connection would never end.
            for end in ends:
                end.transport.abort()
            raise
        finally:
            writer.close()
            self._tasks.discard(task)

    def is_cut(self, number: int, kind: str) -> bool:
        """Tell whether a statement does not get through."""
        life = self._lives.get(number)
        if life is None or self.is_honest or kind != "flush":
            return False
        return life.line is Line.CUT or self._away_until.get(number, 0) > asyncio.get_running_loop().time()

    def is_lost(self, number: int, kind: str) -> bool:
        """Tell whether the acknowledgement of a statement is to be lost."""
        life = self._lives.get(number)
        if life is None or self.is_honest:
            return False
        if life.line is Line.AWAY and kind == "flush" and number not in self._away_until:
            self._away_until[number] = asyncio.get_running_loop().time() + _AWAY_SECONDS
            return True
        return life.line is Line.LOSSY and kind in _ALL and self._dice.random() < _LOSS

    async def delay(self, number: int) -> None:
        """Let a statement wait before it is carried out, whether or not its process lives by then."""
        if self._is_late(number) and self._dice.random() < _LATE:
            await asyncio.sleep(self._dice.uniform(0, _LATE_SECONDS_MOST))
            self.posthumous += number not in self._lives

    async def delay_answer(self, number: int, kind: str) -> None:
        """Let the answer to a statement wait, for longer than its process does."""
        if kind == "flush" and self._is_late(number) and self._dice.random() < _GIVEN_UP:
            await asyncio.sleep(_GIVEN_UP_SECONDS)

    def _is_late(self, number: int) -> bool:
        life = self._lives.get(number)
        return life is not None and life.line is Line.LATE and not self.is_honest

    def answered(self, number: int, kind: str, *, was_lost: bool) -> None:
        """Count a commit."""
        if kind == "hold":
            self._have_held.add(number)
        # Who has taken no hold yet has nothing of its own to record: it drains what others left behind.
        life = self._lives.get(number)
        drains = kind == "flush" and number not in self._have_held and life is not None and life.kind is not Kind.GUIDE
        named = "drain" if drains else kind
        self.committed[named] += 1
        if was_lost:
            self.ambiguous[named] += 1
        if kind == "flush" and self._watches:
            self.first_flush_at, self._watches = asyncio.get_running_loop().time(), False


class _Conversation:
    """One connection of a process, and the one behind it."""

    def __init__(
        self,
        line: TheLine,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
    ) -> None:
        self._line = line
        self._client = (reader, writer)
        self._server = (upstream_reader, upstream_writer)
        self._requests = Requests()
        self._kind = ""
        self._answer: Answer | None = None
        self._is_lost = False

    async def go(self) -> None:
        """Pass bytes both ways until either side ends."""
        ways = {asyncio.create_task(self._forward()), asyncio.create_task(self._backward())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._server[1].close()

    async def _forward(self) -> None:
        reader, upstream = self._client[0], self._server[1]
        while data := await reader.read(65_536):
            for kind in self._requests.feed(data):
                life = self._requests.life
                if self._line.is_cut(life, kind):
                    return
                self._kind, self._answer = kind, Answer()
                self._is_lost = self._line.is_lost(life, kind)
                await self._line.delay(life)
            upstream.write(data)
            await upstream.drain()

    async def _backward(self) -> None:
        reader, writer = self._server[0], self._client[1]
        kept = b""
        while data := await reader.read(65_536):
            committed = None
            if self._answer is not None:
                committed = self._answer.feed(data)
                if committed is not None:
                    self._answer = None
                if committed:
                    self._line.answered(self._requests.life, self._kind, was_lost=self._is_lost)
                    await self._line.delay_answer(self._requests.life, self._kind)
            if self._is_lost:
                kept += data
                if committed is None:
                    continue
                if committed:
                    return
                data, kept, self._is_lost = kept, b"", False
            writer.write(data)
            await writer.drain()
