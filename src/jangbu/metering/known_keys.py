"""What is known about the keys that callers show: asked of the database once for all, and believed for three seconds.

So a revocation is effective on every gateway within that time, and an expiry at its moment. A key that is used all the
time is asked for again before it is due: only its first call waits.
"""

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from jangbu import telemetry
from jangbu.domain.keys import Key, KeyState
from jangbu.errors import DatabaseUnreachable
from jangbu.metering.absence import Absence
from jangbu.metering.group_commit import GroupCommit
from jangbu.metering.retry import repeated
from jangbu.storage import api_keys
from jangbu.storage.api_keys import SeenKey
from jangbu.storage.database import Database
from jangbu.storage.failures import translated

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")

_KNOWN_SECONDS = 3
_RENEWED_SECONDS = 2
_UNKNOWN_SECONDS = 1
_ASKING_SECONDS = 2
"""How long one question is tried. Whoever may wait longer asks again: a connection that hangs is given up."""
_PAUSE_SECONDS = 0.1
_LANES = 2
_BATCH_MAX = 256
_QUEUE_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the database said about a digest. ``state`` is None where no key has it; times are the event loop's."""

    key: Key | None
    state: KeyState | None
    renew_from: float
    good_until: float


class KnownKeys:
    """Verdicts on the digests of one project's keys. Belongs to one event loop.

    ``remembered_max`` bounds how many keys, and how many digests of no key, are remembered. A flood of made-up keys
    becomes a few statements for many digests each, so that it leaves the connections to the calls. ``absence`` bounds
    how long whoever comes waits for an answer: as long as for a hold.
    """

    def __init__(
        self, database: Database, *, project: str, remembered_max: int, absence: Absence | None = None
    ) -> None:
        self._database = database
        self._project = project
        self._remembered_max = remembered_max
        self._absence = absence or Absence(_ASKING_SECONDS)
        self._known: dict[bytes, Verdict] = {}
        self._unknown: dict[bytes, Verdict] = {}
        self._asking: dict[bytes, asyncio.Task[Verdict]] = {}
        self._look_ups = GroupCommit[bytes, Verdict](
            self._look_up_batch, lanes=_LANES, batch_max=_BATCH_MAX, queue_max=_QUEUE_MAX
        )

    @property
    def remembered(self) -> tuple[int, int]:
        """How many keys, and how many digests of no key, are remembered."""
        return len(self._known), len(self._unknown)

    async def verdict(self, digest: bytes) -> Verdict:
        """Give what is known about a digest, asking the database where that is not fresh.

        Raises DatabaseUnreachable where the database would have to be asked and does not answer.
        """
        now = asyncio.get_running_loop().time()
        verdict = self._known.get(digest) or self._unknown.get(digest)
        if verdict is not None and now < verdict.good_until:
            if now >= verdict.renew_from:
                self._ask(digest)
            return verdict
        return await self._answer(digest)

    async def close(self) -> None:
        """Answer who waits, then stop."""
        await self._look_ups.close()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _answer(self, digest: bytes) -> Verdict:
        """Have the database asked until it answers, as long as a call may wait for it from now on."""
        now = asyncio.get_running_loop().time
        until = now() + self._absence.patience()
        while True:
            asked = self._ask(digest)
            # Whoever stops waiting leaves the question to the others, so the task is not awaited itself.
            await asyncio.wait((asked,), timeout=until - now())
            if not asked.done():
                raise DatabaseUnreachable(
                    "PostgreSQL did not say in time whose key this is", hint="check JANGBU_DATABASE_URL"
                )
            if not isinstance(asked.exception(), DatabaseUnreachable) or now() + _PAUSE_SECONDS >= until:
                return asked.result()
            await asyncio.sleep(_PAUSE_SECONDS)
            self._absence.require_patience()

    def _ask(self, digest: bytes) -> asyncio.Task[Verdict]:
        """Ask the database about a digest, once for all who want to know."""
        asked = self._asking.get(digest)
        if asked is None:
            asked = self._asking[digest] = asyncio.create_task(self._look_up(digest))
            asked.add_done_callback(lambda ended: self._answered(digest, ended))
        return asked

    def _answered(self, digest: bytes, ended: asyncio.Task[Verdict]) -> None:
        del self._asking[digest]
        if not ended.cancelled() and ended.exception() is not None:
            telemetry.emit("keys.look_up_failed", message=str(ended.exception()))

    async def _look_up(self, digest: bytes) -> Verdict:
        verdict = await self._look_ups.submit(digest, digest)
        right, wrong = (self._unknown, self._known) if verdict.key is None else (self._known, self._unknown)
        wrong.pop(digest, None)
        remember(right, digest, verdict, self._remembered_max)
        return verdict

    async def _look_up_batch(self, digests: Sequence[bytes], _lane: int) -> Sequence[Verdict]:
        loop = asyncio.get_running_loop()

        async def attempt() -> tuple[float, dict[bytes, SeenKey]]:
            # A verdict is as old as the question: what changes while the answer is under way is not in it.
            return loop.time(), await api_keys.find(self._database, self._project, digests)

        with translated():
            asked_at, found = await repeated("keys", attempt, seconds=_ASKING_SECONDS)
        telemetry.emit("keys.looked_up", digests=len(digests), keys=len(found))
        return [_judged(found.get(digest), asked_at) for digest in digests]


def _judged(found: SeenKey | None, asked_at: float) -> Verdict:
    """Say what an answer of the database means, and how long."""
    if found is None:
        return Verdict(None, None, asked_at + _UNKNOWN_SECONDS, asked_at + _UNKNOWN_SECONDS)
    state = found.key.state(found.seen_at)
    if state is not KeyState.ACTIVE:
        return Verdict(found.key, state, asked_at + _KNOWN_SECONDS, asked_at + _KNOWN_SECONDS)
    seconds: float = _KNOWN_SECONDS
    if found.key.expires_at is not None:
        seconds = min(seconds, (found.key.expires_at - found.seen_at).total_seconds())
    return Verdict(found.key, state, asked_at + _RENEWED_SECONDS, asked_at + seconds)


def remember(kept: dict[Name, Value], name: Name, value: Value, most: int) -> None:
    """Keep a value as the newest, and forget the oldest beyond ``most``."""
    kept.pop(name, None)
    kept[name] = value
    if len(kept) > most:
        del kept[next(iter(kept))]
