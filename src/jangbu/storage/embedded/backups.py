"""What a backup is on disk: a directory with a description, written when everything else in it is on disk.

    backup.json     what it is, when it was made, by what; without it there is no backup
    cluster/        a base backup: the files of the cluster and the log that makes them consistent
    ledger.dump     a portable backup: the ledger as pg_dump's custom format has it, for any later major version

While it is made the directory is called ``<name>.unfinished``; it bears its own name once it is whole.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

from jangbu.errors import BackupFailed, BackupUnusable, InvalidInput
from jangbu.storage.embedded.cluster import sync, write_private
from jangbu.storage.embedded.locks import FileLock

DESCRIPTION = "backup.json"
CLUSTER = "cluster"
DUMP = "ledger.dump"
UNFINISHED = ".unfinished"
_LOCK = "lock"
_FORMAT = 1
_PIECE_BYTES = 2**20


class Kind(StrEnum):
    """What a backup is made of."""

    BASE = "base"
    """The server's files: restored fast and to any time that the archive reaches, by the same major version."""
    PORTABLE = "portable"
    """The ledger's rows and schema: restored by this major version of PostgreSQL or any later one."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was finished. Between ``began_at`` and ``ended_at`` lies the moment whose ledger it holds."""

    directory: Path
    kind: Kind
    began_at: datetime
    ended_at: datetime
    postgresql: int
    """The major version of the server that it is of."""
    schema: str | None
    """The revision of the ledger's schema."""
    release: str
    """The release of Jangbu that made it."""
    bytes: int
    archive: Path | None = None
    """Where the ledger's later changes are archived."""
    sha256: str | None = None
    """The digest of a portable backup; a base backup has one for each file."""

    def write(self, directory: Path) -> None:
        """Describe the backup in the directory that holds it, last of all."""
        facts = {**asdict(self), "format": _FORMAT}
        del facts["directory"]
        write_private(directory / DESCRIPTION, json.dumps(facts, default=str, indent=2) + "\n")
        sync(directory)


def release() -> str:
    """Give the release of Jangbu that runs."""
    return metadata.version("jangbu")


def read(directory: Path) -> Backup:
    """Read what a backup says about itself. Raises BackupUnusable for what is none, and for an unfinished one."""
    directory = directory.absolute()
    try:
        facts = json.loads((directory / DESCRIPTION).read_text("utf-8"))
        if facts["format"] > _FORMAT:
            raise BackupUnusable(
                f"the backup {directory} was made by Jangbu {facts['release']}, and this is {release()}",
                hint="restore it with that release or a newer one",
            )
        return _backup(directory, facts)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _none_there(directory) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or f"{DESCRIPTION} is damaged"
        raise BackupUnusable(f"the backup {directory} cannot be read: {reason}", hint="name another backup") from error


def find(directory: Path, before: datetime | None = None) -> Backup:
    """Give the backup in a directory, or of a directory of backups the newest one that ended before a time."""
    if (directory / DESCRIPTION).exists() or not directory.is_dir():
        return read(directory)
    found = [each for each in listed(directory) if isinstance(each, Backup)]
    if not found:
        raise _none_there(directory)
    fitting = [each for each in found if before is None or each.ended_at <= before]
    if not fitting:
        raise BackupUnusable(
            f"no backup in {directory} ended before {before:%Y-%m-%dT%H:%M:%SZ}",
            hint=f"the oldest ended at {found[0].ended_at:%Y-%m-%dT%H:%M:%SZ}",
        )
    return fitting[-1]


def listed(directory: Path) -> list[Backup | Path]:
    """Give the backups in a directory, oldest first, and after them the paths of those that were never finished."""
    entries = sorted(directory.iterdir()) if directory.is_dir() else []
    finished = [read(entry) for entry in entries if (entry / DESCRIPTION).exists() and entry.suffix != UNFINISHED]
    unfinished = [entry for entry in entries if entry.suffix == UNFINISHED and entry.is_dir()]
    return [*sorted(finished, key=lambda each: each.ended_at), *unfinished]


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """Give a directory to make a backup in, and its own name to it when the block ends well.

    What an earlier attempt that was killed left of the same backup is removed; one that goes on is not disturbed.
    Raises InvalidInput where something lies in the target, BackupFailed where it cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInput(f"there is something in {target} already", hint="name a directory that does not exist yet")
    scratch = target.with_name(target.name + UNFINISHED)
    try:
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(scratch / _LOCK) as lock:
            if not lock.try_exclusive():
                raise InvalidInput(f"a backup to {target} is being made", hint="wait for it, or name another directory")
            _empty(scratch)
            try:
                yield scratch
                (scratch / _LOCK).unlink()
                sync(scratch)
                scratch.rename(target)
                sync(target.parent)
            except BaseException:
                shutil.rmtree(scratch, ignore_errors=True)
                raise
    except OSError as error:
        raise BackupFailed(
            f"the backup {target} cannot be written: {error.strerror}", hint="make room or name another directory"
        ) from error


def size_of(directory: Path) -> int:
    """Add up the bytes of the files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file() and not path.is_symlink())


def digest_of(path: Path) -> str:
    """Give the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _backup(directory: Path, facts: dict[str, Any]) -> Backup:
    return Backup(
        directory=directory,
        kind=Kind(facts["kind"]),
        began_at=datetime.fromisoformat(facts["began_at"]).astimezone(UTC),
        ended_at=datetime.fromisoformat(facts["ended_at"]).astimezone(UTC),
        postgresql=int(facts["postgresql"]),
        schema=facts["schema"],
        release=facts["release"],
        bytes=int(facts["bytes"]),
        archive=Path(facts["archive"]) if facts["archive"] else None,
        sha256=facts["sha256"],
    )


def damaged(directory: Path, finding: str) -> BackupUnusable:
    """Say that a backup cannot be restored, and why."""
    return BackupUnusable(f"the backup {directory} is damaged: {finding}", hint="name another backup, or make one")


def _none_there(directory: Path) -> BackupUnusable:
    if directory.suffix == UNFINISHED or directory.with_name(directory.name + UNFINISHED).exists():
        return BackupUnusable(f"the backup {directory} was never finished", hint="name another backup, or make one")
    return BackupUnusable(f"there is no backup in {directory}", hint="see `jangbu db backups` for what there is")


def _empty(scratch: Path) -> None:
    for entry in scratch.iterdir():
        if entry.name == _LOCK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            with contextlib.suppress(FileNotFoundError):
                entry.unlink()
