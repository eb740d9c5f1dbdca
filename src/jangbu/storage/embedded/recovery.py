"""Recovery: the changes since a base backup are made again, from the archive and up to the time that was asked for."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jangbu.errors import BackupUnusable, JangbuError
from jangbu.storage.embedded import archive
from jangbu.storage.embedded.archive import Progress
from jangbu.storage.embedded.backups import Backup
from jangbu.storage.embedded.cluster import SYNC_METHOD
from jangbu.storage.embedded.manifest import wal_ranges
from jangbu.storage.embedded.owner import Owner
from jangbu.storage.embedded.places import Places
from jangbu.storage.embedded.postmaster import Additions
from jangbu.storage.embedded.transfer import serving

_LAST_CHANGE = re.compile(r"last completed transaction was at log time ([0-9-]+ [0-9:.]+)\+00")
_TOO_FAR = "recovery ended before configured recovery target was reached"


@dataclass(frozen=True, slots=True)
class Goal:
    """How far to restore: all that there is, to a time, or no further than the backup itself.

    ``archive`` names where the backup's archive lies now, where that is not the place that the backup remembers.
    """

    until: datetime | None = None
    backup_alone: bool = False
    archive: Path | None = None


def recover(backup: Backup, goal: Goal, scratch: Places, owner: Owner, programs: Path, progress: Progress) -> datetime:
    """Bring a copied cluster to the goal and stop; give the moment up to which nothing committed is missing.

    Raises BackupUnusable where the archive does not lead there.
    """
    directory = _archive(backup, goal)
    if directory is not None and goal.until is None:
        needed = wal_ranges(scratch.cluster)[0]
        archive.check(directory, needed.timeline, archive.segment_number(needed.start), progress)
    progress("recovering", 0, 0)
    signal_file = scratch.cluster / "recovery.signal"
    signal_file.touch(mode=0o600)
    os.chown(signal_file, owner.uid, owner.gid)
    settings = {"hot_standby": "off", "archive_mode": "off", "recovery_target_action": "promote"}
    settings["recovery_init_sync_method"] = SYNC_METHOD
    if goal.until is not None:
        settings["recovery_target_time"] = goal.until.astimezone(UTC).isoformat(sep=" ")
    with archive.fetching(directory, owner) as source:
        additions = Additions({**settings, **source.settings}, source.descriptors)
        try:
            with serving(scratch, owner, programs, additions):
                pass
        except JangbuError as error:
            raise _why_not(backup, goal, scratch, error) from error
    return _last_change(scratch) or backup.began_at


def _archive(backup: Backup, goal: Goal) -> Path | None:
    if goal.backup_alone:
        return None
    directory = goal.archive or backup.archive
    if directory is None and goal.until is not None:
        raise BackupUnusable(
            f"the backup {backup.directory} has no archive of later changes",
            hint="leave --to out for the ledger as the backup holds it, or name the archive with --archive",
        )
    if directory is not None and not directory.is_dir():
        raise BackupUnusable(
            f"the archive {directory} is not there",
            hint="name it with --archive, or give --to backup for the ledger as the backup holds it",
        )
    return directory


def _last_change(scratch: Places) -> datetime | None:
    """Find in the server's log when the last change that it made again was committed."""
    said = [log.read_text("utf-8", "replace") for log in _by_age(scratch)]
    found = _LAST_CHANGE.findall("".join(said))
    return datetime.fromisoformat(found[-1]).replace(tzinfo=UTC) if found else None


def _by_age(scratch: Places) -> list[Path]:
    return sorted(scratch.log_dir.glob("*.log"), key=lambda log: log.stat().st_mtime_ns)


def _why_not(backup: Backup, goal: Goal, scratch: Places, error: JangbuError) -> JangbuError:
    if goal.until is not None and _TOO_FAR in error.message:
        last = _last_change(scratch)
        reach = f"the last change in it is of {last:%Y-%m-%dT%H:%M:%SZ}" if last else "it has no later change"
        return BackupUnusable(
            f"the archive does not reach {goal.until:%Y-%m-%dT%H:%M:%SZ}: {reach}",
            hint="leave --to out for all that there is; a ledger that still works archives by jangbu db archive",
        )
    return BackupUnusable(
        f"the backup {backup.directory} cannot be recovered: {error.message}", hint="name another one"
    )
