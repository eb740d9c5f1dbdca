"""The manifest of a base backup: every file with its checksum, and the part of the log that makes them consistent.

It is read here, because not every build of the wheel brings a pg_verifybackup that starts.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jangbu.errors import JangbuError
from jangbu.storage.embedded.backups import damaged, digest_of
from jangbu.storage.embedded.tools import run_tool

_MANIFEST = "backup_manifest"
_LAST_LINE = b'"Manifest-Checksum"'
_NOT_LISTED = {_MANIFEST, "postgresql.auto.conf", "recovery.signal", "standby.signal"}
_LOG_OF_CHANGES = "pg_wal"


@dataclass(frozen=True, slots=True)
class WalRange:
    """A part of the log of changes, by positions such as ``0/8000028``."""

    timeline: int
    start: str
    end: str


def wal_ranges(cluster: Path) -> list[WalRange]:
    """Give the parts of the log that a base backup needs, first things first."""
    found = json.loads((cluster / _MANIFEST).read_bytes())["WAL-Ranges"]
    return [WalRange(int(each["Timeline"]), str(each["Start-LSN"]), str(each["End-LSN"])) for each in found]


def check_cluster(cluster: Path, directory: Path, progress: Callable[[str, int, int], None]) -> None:
    """Compare the files of the backup ``directory``, or of a copy of them, with the manifest; read its log of changes.

    Raises BackupUnusable with the first thing that differs.
    """
    try:
        files = _listed(cluster, directory)
        _check_names(cluster, directory, files)
        _check_contents(cluster, directory, files, progress)
        for part in wal_ranges(cluster):
            span = [f"--timeline={part.timeline}", f"--start={part.start}", f"--end={part.end}"]
            run_tool("pg_waldump", ["--quiet", f"--path={cluster / _LOG_OF_CHANGES}", *span])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise damaged(directory, getattr(error, "strerror", None) or f"{_MANIFEST} cannot be read") from error
    except JangbuError as error:
        if error.message.startswith("pg_waldump"):
            raise damaged(directory, error.message) from error
        raise


def _listed(cluster: Path, directory: Path) -> dict[str, dict[str, Any]]:
    """Read the manifest, which bears a checksum of its own in its last line."""
    text = (cluster / _MANIFEST).read_bytes()
    body, last, _ = text.rpartition(_LAST_LINE)
    manifest = json.loads(text)
    if not last or hashlib.sha256(body).hexdigest() != manifest["Manifest-Checksum"]:
        raise damaged(directory, f"{_MANIFEST} is not what was written")
    return {_path(entry): entry for entry in manifest["Files"]}


def _path(entry: dict[str, Any]) -> str:
    if "Path" in entry:
        return str(entry["Path"])
    return os.fsdecode(bytes.fromhex(entry["Encoded-Path"]))


def _check_names(cluster: Path, directory: Path, files: dict[str, dict[str, Any]]) -> None:
    there = {str(path.relative_to(cluster)) for path in cluster.rglob("*") if not path.is_dir()}
    for name in sorted(files.keys() - there):
        raise damaged(directory, f"{name} is missing")
    for name in sorted(there - files.keys() - _NOT_LISTED):
        if not name.startswith(f"{_LOG_OF_CHANGES}/"):
            raise damaged(directory, f"{name} does not belong to it")


def _check_contents(
    cluster: Path, directory: Path, files: dict[str, dict[str, Any]], progress: Callable[[str, int, int], None]
) -> None:
    total, done = sum(int(entry["Size"]) for entry in files.values()), 0
    for name, entry in files.items():
        if entry["Checksum-Algorithm"] != "SHA256":
            raise damaged(directory, f"{name} has no SHA-256")
        if digest_of(cluster / name) != entry["Checksum"]:
            raise damaged(directory, f"{name} is not what was written")
        done += int(entry["Size"])
        progress("checking", done, total)
