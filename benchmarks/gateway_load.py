"""The callers of the gateway benchmark: wrk for plain calls, and a small generator of our own for streams and images.

Each caller has one connection that it keeps, and calls again as soon as it is answered.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gateway_answers import EVENTS, Kind, canned
from benchmarks.gateway_upstream import EVENT_SECONDS, FIRST_EVENT_SECONDS
from benchmarks.gateway_wire import Connection, Reply

_SCRIPT = Path(__file__).with_name("gateway_wrk.lua")
_CALL_SECONDS_MAX = 60
_WRK_SECONDS_MAX = 30
IMAGE_PAUSE_SECONDS = 0.3
"""For how long a caller takes nothing after the first bytes of an image, so that all answers are under way at once."""


@dataclass(frozen=True, slots=True)
class Plain:
    """What wrk saw: answered calls, and how long they took."""

    calls: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float

    @property
    def good(self) -> int:
        """How many calls were answered well."""
        return max(0, self.calls - self.failed)

    @property
    def rate(self) -> float:
        """How many calls a second were answered well."""
        return self.good / self.seconds


@dataclass(slots=True)
class Replies:
    """What the generator saw: the times to the first byte of a body, and whether the bodies were whole."""

    first_ms: list[float] = field(default_factory=list)
    whole: int = 0
    failed: int = 0

    @property
    def answered(self) -> int:
        """How many calls were answered."""
        return len(self.first_ms)

    @property
    def asked(self) -> int:
        """How many calls were made."""
        return self.answered + self.failed

    def first(self, quantile: float) -> float:
        """Give a quantile of the times to the first byte, in ms."""
        ordered = sorted(self.first_ms)
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] if ordered else float("nan")

    def add(self, reply: Reply, kind: Kind) -> None:
        """Count one answer."""
        if reply.status != 200:
            self.failed += 1
            return
        self.first_ms.append(reply.first_seconds * 1000)
        self.whole += canned(kind).is_whole(reply.body)


async def plain(calls: Path, port: int, callers: int, seconds: float) -> Plain:
    """Let wrk's callers send the calls of a file, in random order, for so long."""
    process = await asyncio.create_subprocess_exec(
        "wrk", "--threads", "1", "--connections", str(callers), "--duration", f"{max(1, round(seconds))}s",
        "--timeout", f"{_WRK_SECONDS_MAX}s", "--script", str(_SCRIPT), f"http://127.0.0.1:{port}",
        "--", str(calls), str(random.randrange(2**31)),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds + _WRK_SECONDS_MAX)
    except TimeoutError:
        process.kill()
        raise
    if process.returncode != 0:
        raise OSError(f"wrk failed: {output.decode(errors='replace').strip()[-200:]}")
    seen = json.loads(output.splitlines()[-1])
    return Plain(
        seen["calls"], seen["microseconds"] / 1e6, seen["failed"], seen["p50"] / 1000, seen["p99"] / 1000
    )  # fmt: skip


async def streams(calls: Sequence[bytes], port: int, callers: int, seconds: float) -> Replies:
    """Let callers read streams for so long. They begin spread over the length of a stream, as an app's users do."""
    replies = Replies()
    length = FIRST_EVENT_SECONDS + EVENT_SECONDS * EVENTS
    end = time.perf_counter() + length + seconds

    async def caller(number: int) -> None:
        await asyncio.sleep(length * number / callers)
        connection = Connection(port)
        try:
            while time.perf_counter() < end:
                await _count(connection.call(random.choice(calls)), replies, Kind.STREAM)
        finally:
            connection.close()

    await asyncio.gather(*(caller(number) for number in range(callers)))
    return replies


async def images(calls: Sequence[bytes], port: int, callers: int, waves: int) -> Replies:
    """Let callers ask for an image all at once, so many times; each takes nothing for a while after the first bytes."""
    replies = Replies()
    connections = [Connection(port) for _ in range(callers)]
    try:
        for _wave in range(waves):
            waiting = (connection.call(random.choice(calls), IMAGE_PAUSE_SECONDS) for connection in connections)
            await asyncio.gather(*(_count(call, replies, Kind.IMAGE) for call in waiting))
    finally:
        for connection in connections:
            connection.close()
    return replies


async def until_ready(is_alive: Callable[[], bool], call: bytes, port: int, seconds: float) -> str | None:
    """Call until an answer is right; give the reason where none is within so long, or where the server ended."""
    end = time.perf_counter() + seconds
    reason = "no answer"
    for _attempt in itertools.count():
        connection = Connection(port)
        try:
            reply = await asyncio.wait_for(connection.call(call), _CALL_SECONDS_MAX)
        except (OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
        else:
            if reply.status == 200:
                return None
            reason = f"status {reply.status}: {bytes(reply.body[:200])!r}"
        finally:
            connection.close()
        if not is_alive() or time.perf_counter() > end:
            break
        await asyncio.sleep(0.25)
    return reason if is_alive() else "it ended by itself"


async def _count(call: Awaitable[Reply], replies: Replies, kind: Kind) -> None:
    try:
        replies.add(await asyncio.wait_for(call, _CALL_SECONDS_MAX), kind)
    except (OSError, TimeoutError):
        replies.failed += 1
