"""What the parts of this process tell about recording, and which alerts that makes."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from jangbu import telemetry
from jangbu.domain.alerts import RECORDING_REPEAT_SECONDS, Condition, Episode, Fact, Phase

__all__ = ["AlertEvents"]

_QUIET_SECONDS = 10
"""How long nothing may fail until a trouble counts as ended."""
_SPOOL_PHASES = {"spool.began": Phase.BEGAN, "spool.lasts": Phase.LASTS, "spool.ended": Phase.ENDED}
_SPOOL_FACTS = ("records", "bytes", "seconds", "oldest_seconds")
_EPISODES = {"recorder.failed": Condition.RECORDING_FAILED, "recorder.retried": Condition.RECORDING_DELAYED}
_LOST = {
    "spool.set_aside": "a record in the local spool can never be recorded and is in its quarantine",
    "spool.quarantined": "records in the local spool cannot be read any more",
}
"""What is said of usage that the spool lost. The events say more than may leave in an alert: users, and paths."""
_FLUSHED = "recorder.flushed"
_DRAINED = "spool.drained"


class _Raise(Protocol):
    def __call__(self, condition: Condition, facts: Mapping[str, Fact], *, phase: Phase) -> object:
        """Raise an alert."""
        ...


class AlertEvents:
    """Turns events into alerts. Events come in any thread; ``tick`` has to be called now and then.

    That the database takes records is listened to only while recording is in trouble: in quiet times nothing is paid
    for it.
    """

    def __init__(self, raise_: _Raise, *, delay_seconds: int) -> None:
        self._raise = raise_
        self._lock = threading.RLock()
        repeat_ms, quiet_ms = RECORDING_REPEAT_SECONDS * 1000, _QUIET_SECONDS * 1000
        self._episodes = {
            Condition.RECORDING_FAILED: Episode(after_ms=0, repeat_ms=repeat_ms, quiet_ms=quiet_ms),
            Condition.RECORDING_DELAYED: Episode(after_ms=delay_seconds * 1000, repeat_ms=repeat_ms, quiet_ms=quiet_ms),
        }
        self._facts: dict[Condition, Mapping[str, Fact]] = {}
        self._ends: list[Callable[[], None]] = []
        self._end_of_successes: Callable[[], None] | None = None

    def listen(self) -> None:
        """Hear events until ``stop``."""
        self._ends = [
            telemetry.subscribe(self._hear_episode, *_EPISODES),
            telemetry.subscribe(self._hear_spool, *_SPOOL_PHASES),
            telemetry.subscribe(self._hear_lost, *_LOST),
            telemetry.subscribe(self._hear_mismatch, "verify.mismatched"),
        ]

    def stop(self) -> None:
        """Hear nothing more."""
        for end in self._ends:
            end()
        self._ends = []
        with self._lock:
            self._follow_successes(wanted=False)

    def tick(self) -> None:
        """Tell what is due because time has passed."""
        with self._lock:
            for condition, episode in self._episodes.items():
                self._tell(condition, episode.tick(_now_ms()))
            self._follow_successes(wanted=any(episode.is_open for episode in self._episodes.values()))

    def _hear_episode(self, event: str, facts: Mapping[str, Any]) -> None:
        condition = _EPISODES[event]
        is_failed = condition is Condition.RECORDING_FAILED
        self._fail(condition, {"cause": _cause(facts), "call": str(facts.get("usage_id", ""))} if is_failed else {})

    def _hear_lost(self, event: str, facts: Mapping[str, Any]) -> None:
        # Bytes that were never acknowledged are no record: only a crash in the middle of a write is seen in them.
        if facts.get("lost") or event == "spool.set_aside":
            self._fail(Condition.RECORDING_FAILED, {"cause": _LOST[event]})

    def _fail(self, condition: Condition, facts: Mapping[str, Fact]) -> None:
        with self._lock:
            self._facts[condition] = facts
            self._follow_successes(wanted=True)
            self._tell(condition, self._episodes[condition].fail(_now_ms()))

    def _hear_success(self, event: str, facts: Mapping[str, Any]) -> None:
        # What went into the spool says nothing of the database.
        if event == _DRAINED or facts["failed"] + facts["spooled"] < facts["rows"]:
            with self._lock:
                for episode in self._episodes.values():
                    episode.succeed(_now_ms())

    def _hear_spool(self, event: str, facts: Mapping[str, Any]) -> None:
        told = {name: int(facts[name]) for name in _SPOOL_FACTS if name in facts}
        self._raise(Condition.RECORDING_SPOOLED, told, phase=_SPOOL_PHASES[event])

    def _hear_mismatch(self, _event: str, facts: Mapping[str, Any]) -> None:
        told: dict[str, Fact] = {"mismatches": int(facts["mismatches"]), "invariants": str(facts["invariants"])}
        self._raise(Condition.VERIFY_MISMATCH, told, phase=Phase.BEGAN)

    def _tell(self, condition: Condition, phase: Phase | None) -> None:
        if phase is None:
            return
        episode = self._episodes[condition]
        facts = {
            "failures": episode.failures,
            "seconds": episode.lasted_ms(_now_ms()) // 1000,
            **self._facts.get(condition, {}),
        }
        if phase is Phase.ENDED:
            episode.end()
        self._raise(condition, facts, phase=phase)

    def _follow_successes(self, *, wanted: bool) -> None:
        if wanted and self._end_of_successes is None:
            self._end_of_successes = telemetry.subscribe(self._hear_success, _FLUSHED, _DRAINED)
        elif not wanted and self._end_of_successes is not None:
            self._end_of_successes()
            self._end_of_successes = None


def _cause(facts: Mapping[str, Any]) -> str:
    """Give what happened, without what follows a colon: that may name hosts, or what somebody's call held."""
    return str(facts.get("message", "")).partition(":")[0].partition(";")[0][:200] or "?"


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
