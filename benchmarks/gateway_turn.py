"""One turn of one target: it is started, warmed up, measured at each number of callers, and stopped."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import gateway_load as load
from benchmarks.gateway_answers import Kind
from benchmarks.gateway_install import Unavailable
from benchmarks.gateway_ledger import Ledger
from benchmarks.gateway_processes import Memory, cpu_seconds, memory, peak_memory, process_named, start, stop, tree
from benchmarks.gateway_targets import USERS, Site, Target

CALLERS = (1, 16, 64)
USER_NAMES = [f"user-{number}" for number in range(USERS)]
IMAGE_CALLERS = 64
_READY_SECONDS_MAX = 120
_SETTLE_SECONDS = 0.5
_SUPERVISOR = "jangbu.storage.embedded.supervisor"


@dataclass(frozen=True, slots=True)
class Extent:
    """How long a turn measures."""

    seconds: float
    warm_up_seconds: float
    image_waves: int


@dataclass(slots=True)
class Cost:
    """CPU seconds of a target between two moments; its database apart."""

    own: float = 0.0
    database: float = 0.0


@dataclass(frozen=True, slots=True)
class Level:
    """Plain calls and streams of so many callers, and what they cost."""

    plain: load.Plain
    plain_cost: Cost
    streams: load.Replies
    stream_cost: Cost


@dataclass(slots=True)
class Turn:
    """What one turn measured. ``settled`` holds the tokens that the upstream reported and those the ledger debited."""

    target: Target
    levels: dict[int, Level] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    images: load.Replies = field(default_factory=load.Replies)
    image_cost: Cost = field(default_factory=Cost)
    image_memory: Memory = field(default_factory=Memory)
    settled: tuple[int, int] | None = None

    @property
    def failed(self) -> int:
        """How many calls of all kinds failed."""
        return self.images.failed + sum(level.plain.failed + level.streams.failed for level in self.levels.values())


async def take_turn(target: Target, site: Site, extent: Extent, ledger: Ledger | None) -> Turn:
    """Start a target, measure it and stop it. Raises Unavailable where it does not come up or its calls fail."""
    calls = {kind: [target.call(kind, user) for user in USER_NAMES] for kind in Kind}
    async with _started(target, site, calls[Kind.TEXT][0]) as process:
        before = await _tokens(target, site, ledger)
        turn = Turn(target)
        await _measure(turn, calls, process, site, extent)
        if (after := await _tokens(target, site, ledger)) is not None and before is not None:
            turn.settled = after[0] - before[0], after[1] - before[1]
    return turn


async def _measure(turn: Turn, calls: dict[Kind, list[bytes]], process: int | None, site: Site, extent: Extent) -> None:
    target, port = turn.target, turn.target.port
    file = site.folder / "calls"
    file.write_bytes(b"\0".join(calls[Kind.TEXT]))
    for callers in (1, max(CALLERS)):
        await load.plain(file, port, callers, extent.warm_up_seconds)
    for callers in CALLERS:
        await asyncio.sleep(_SETTLE_SECONDS)
        with _cost(target, process) as plain_cost:
            plain = await load.plain(file, port, callers, extent.seconds)
        turn.memory = turn.memory.highest(memory(_own(target, process)))
        await asyncio.sleep(_SETTLE_SECONDS)
        with _cost(target, process) as stream_cost:
            streams = await load.streams(calls[Kind.STREAM], port, callers, extent.seconds)
        turn.levels[callers] = Level(plain, plain_cost, streams, stream_cost)
    with peak_memory(lambda: _own(target, process)) as peak, _cost(target, process) as turn.image_cost:
        turn.images = await load.images(calls[Kind.IMAGE], port, IMAGE_CALLERS, extent.image_waves)
        turn.image_memory = peak()


@asynccontextmanager
async def _started(target: Target, site: Site, first_call: bytes) -> AsyncIterator[int | None]:
    """Run a target for as long as the context lasts; give its process, if it has one."""
    if not target.command:
        yield None
        return
    log = site.folder / f"{target.port}.log"
    process = start(target.command, target.environment, site.folder, log)
    try:
        reason = await load.until_ready(lambda: process.poll() is None, first_call, target.port, _READY_SECONDS_MAX)
        if reason is not None:
            raise Unavailable(f"it did not come up: {reason}{_last_words(log)}")
        yield process.pid
    finally:
        await asyncio.to_thread(stop, process)


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f" ({lines[-1][:160]})" if lines else ""


def _database(target: Target) -> frozenset[int]:
    if target.data_dir is None:
        return frozenset()
    return tree(process_named(_SUPERVISOR, str(target.data_dir)))


def _own(target: Target, process: int | None) -> frozenset[int]:
    return tree(process) - _database(target)


@contextmanager
def _cost(target: Target, process: int | None) -> Iterator[Cost]:
    """Measure what a target and its database use while the context lasts."""
    cost = Cost()
    parts: Sequence[Callable[[], frozenset[int]]] = (lambda: _own(target, process), lambda: _database(target))
    before = [cpu_seconds(part()) for part in parts]
    try:
        yield cost
    finally:
        cost.own, cost.database = (cpu_seconds(part()) - begun for part, begun in zip(parts, before, strict=True))


async def _tokens(target: Target, site: Site, ledger: Ledger | None) -> tuple[int, int] | None:
    """Give the tokens that the upstream has reported so far and those that the ledger has debited."""
    if ledger is None or target.data_dir is None:
        return None
    used = await ledger.used()
    return await asyncio.to_thread(_reported, site), used


def _reported(site: Site) -> int:
    with urllib.request.urlopen(f"{site.upstream_url}/tally", timeout=10) as answer:
        return int(json.load(answer)["tokens"])
