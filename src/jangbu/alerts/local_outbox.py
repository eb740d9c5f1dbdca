"""Where alerts wait on this machine: they are raised because the database is away, or the process is about to die.

A directory with a file for each alert. A file is written beside its place, synced and moved there, and the directory
is synced after that: whatever is killed when, an alert is whole or not there. One process at a time empties the
directory; the lock that it holds goes with it when it dies, and another takes over what it left.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from jangbu import telemetry
from jangbu.domain.alerts import Alert, Condition, Phase
from jangbu.domain.mutes import Mute

__all__ = ["FILES_MAX", "LocalOutbox", "Waiting"]

FILES_MAX = 1_000
"""The most alerts that wait on one machine; what comes beyond is logged only."""
_SUFFIX = ".json"
_UNFINISHED = ".part"
_UNFINISHED_SECONDS = 3_600
_MILLISECOND_NANOSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An alert that waits, and what became of it so far. ``errors`` are the reasons by channel."""

    alert: Alert
    attempts: int = 0
    delivered_to: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    is_settled: bool = False
    """Whether nobody tries it any more: it was delivered or given up, and waits for the database to note it."""


class LocalOutbox:
    """The alerts that wait in one directory, shared by the processes of a machine. Safe in threads.

    ``directory`` is made when the first alert is put. Without one, or where it cannot be written, alerts wait in
    memory alone; that is told once.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._unwritten: dict[UUID, Waiting] = {}
        self._lock: int | None = None
        self._is_told = False

    def put(self, waiting: Waiting) -> bool:
        """Keep an alert durably, or what became of it; tell whether there was room."""
        try:
            self._write(waiting)
        except OSError as error:
            if not self._is_told:
                self._is_told = True
                telemetry.warn("alerts.not_kept", f"alerts wait in memory only: {error.strerror or error}")
            if len(self._unwritten) >= FILES_MAX:
                return False
            self._unwritten[waiting.alert.id] = waiting
        return True

    def waiting(self) -> list[Waiting]:
        """Give what is ours to deliver, oldest first: what could not be written, and the files of who owns them.

        A file that cannot be read is none of ours and is left alone.
        """
        found = list(self._unwritten.values())
        for path in self._files() if self._owns() else ():
            with suppress(OSError, ValueError, KeyError, TypeError):
                found.append(_read(json.loads(path.read_bytes())))
        return sorted(found, key=lambda each: (each.alert.raised_at, each.alert.id))

    def remove(self, alert: UUID) -> None:
        """Let go of an alert that the database has."""
        self._unwritten.pop(alert, None)
        if self._directory is not None:
            with suppress(OSError):
                (self._directory / f"{alert}{_SUFFIX}").unlink(missing_ok=True)

    def close(self) -> None:
        """Let another process empty the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def is_due(self, key: str, *, now_ns: int, repeat_ms: int, mutes: Sequence[Mute] = ()) -> bool:
        """Tell whether the same was not told by any process of this machine for so long, and note that it is now.

        A clock that was set back makes it due: rather once too often than never. So does it that one of the ``mutes``
        kept it from all, and is over.
        """
        if self._directory is None:
            return True
        try:
            with self._alone():
                told = self._directory / "told" / hashlib.sha256(key.encode()).hexdigest()
                told.parent.mkdir(mode=0o700, exist_ok=True)
                told_ns = told.stat().st_mtime_ns if told.exists() else 0
                is_lately = 0 <= now_ns - told_ns < repeat_ms * _MILLISECOND_NANOSECONDS
                if is_lately and not any(mute.kept_from_all(_at(told_ns), _at(now_ns)) for mute in mutes):
                    return False
                told.touch(0o600)
                os.utime(told, ns=(now_ns, now_ns))
        except OSError:
            return True
        return True

    def _owns(self) -> bool:
        """Become the process that empties the directory, unless another is; tell whether this is it."""
        if self._lock is not None:
            return True
        if self._directory is None:
            return False
        try:
            # A directory that is not there, and one that may not be looked into, have nothing of ours.
            descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        self._sweep()
        return True

    def _sweep(self) -> None:
        """Remove what processes that were killed had begun to write; who writes now is done within the hour."""
        assert self._directory is not None, "a directory that is owned"
        for path in self._directory.glob(f"*{_UNFINISHED}"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _UNFINISHED_SECONDS:
                    path.unlink()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the other processes and threads of this machine out for a moment."""
        assert self._directory is not None, "a directory to be alone in"
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._directory / "told.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _files(self) -> list[Path]:
        if self._directory is None:
            return []
        try:
            return [path for path in self._directory.iterdir() if path.suffix == _SUFFIX]
        except OSError:
            return []

    def _write(self, waiting: Waiting) -> None:
        if self._directory is None:
            raise OSError("there is no data directory")
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{waiting.alert.id}{_SUFFIX}"
        if not path.exists() and len(self._files()) >= FILES_MAX:
            raise OSError("too many alerts wait already")
        beside = path.with_suffix(f".{os.getpid()}{_UNFINISHED}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(_written(waiting), ensure_ascii=False).encode())
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        _sync_directory(self._directory)
        self._unwritten.pop(waiting.alert.id, None)


def with_outcome(
    waiting: Waiting, delivered_to: tuple[str, ...], errors: Mapping[str, str], *, settled: bool
) -> Waiting:
    """Give a waiting alert with what became of one more attempt."""
    return replace(
        waiting, attempts=waiting.attempts + 1, delivered_to=delivered_to, errors=dict(errors), is_settled=settled
    )


def _at(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1_000)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written(waiting: Waiting) -> dict[str, Any]:
    alert = waiting.alert
    return {
        "id": str(alert.id),
        "project": alert.project,
        "condition": alert.condition.value,
        "phase": alert.phase.value,
        "key": alert.key,
        "node": alert.node,
        "raised_at": alert.raised_at.isoformat(),
        "facts": dict(alert.facts),
        "attempts": waiting.attempts,
        "delivered_to": list(waiting.delivered_to),
        "errors": dict(waiting.errors),
        "is_settled": waiting.is_settled,
    }


def _read(written: Mapping[str, Any]) -> Waiting:
    alert = Alert(
        id=UUID(str(written["id"])),
        project=written["project"],
        condition=Condition(written["condition"]),
        phase=Phase(written["phase"]),
        key=written["key"],
        node=written["node"],
        raised_at=datetime.fromisoformat(str(written["raised_at"])),
        facts=dict(written["facts"]),
    )
    return Waiting(
        alert, written["attempts"], tuple(written["delivered_to"]), dict(written["errors"]), written["is_settled"]
    )
