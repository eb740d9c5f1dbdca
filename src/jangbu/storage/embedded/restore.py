"""Restoring a backup: everything is made ready in a scratch directory and then takes its place at once.

The ledger that is replaced, if any, is kept beside it under another name. A death at any moment leaves the old ledger,
the new one, or neither in place and both on disk: then nothing starts there until the restore is run again.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jangbu.errors import BackupFailed, BackupUnusable, DataDirectoryInUse, InvalidInput
from jangbu.storage.embedded import cluster
from jangbu.storage.embedded.archive import Progress
from jangbu.storage.embedded.backups import Backup, Kind
from jangbu.storage.embedded.locks import START, USERS, FileLock, is_supervised
from jangbu.storage.embedded.owner import Owner, owner_of
from jangbu.storage.embedded.places import Places, make_home, make_socket_dir, places_of
from jangbu.storage.embedded.postmaster import check_unused
from jangbu.storage.embedded.programs import MAJOR, programs_for
from jangbu.storage.embedded.recovery import Goal, recover
from jangbu.storage.embedded.server import stop
from jangbu.storage.embedded.transfer import copy_cluster, load_dump

_LOCK_MS = 5_000
_TRIES_MOST = 100
_RETRY_SECONDS = 0.1
_SPARE_BYTES = 64 * 2**20
"""What a server needs beyond the backup to come up: a segment or two of the log, and its temporary files."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A ledger that was restored. ``reaches`` is the moment up to which nothing that was committed is missing: what
    was recorded after it may be kept in spools, and is recorded again by ``jangbu spool drain --again``."""

    data_dir: Path
    reaches: datetime
    replaced: Path | None
    """Where the files of the ledger that was there before are kept."""


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a restore is made ready: the target, the scratch directory in it, and whose files they are."""

    target: Places
    scratch: Places
    owner: Owner
    programs: Path
    password: str


def restore(backup: Backup, data_dir: Path, goal: Goal, *, replace: bool, progress: Progress) -> Restored:
    """Restore a backup into a data directory without a ledger, or with ``replace`` in the place of the one it has.

    Raises InvalidInput where a ledger is there, BackupUnusable where the backup cannot be restored as asked,
    DataDirectoryInUse where the ledger is used, and BackupFailed for anything else: nothing was changed then.
    """
    places = places_of(data_dir)
    _judge(backup, goal, places, replace)
    make_home(places)
    with _alone(places):
        try:
            with _site(places, backup.bytes) as site:
                match backup.kind:
                    case Kind.BASE:
                        copy_cluster(backup, site.scratch, site.owner, progress)
                        reaches = recover(backup, goal, site.scratch, site.owner, site.programs, progress)
                    case Kind.PORTABLE:
                        load_dump(backup, site.scratch, site.owner, site.programs, progress)
                        reaches = backup.began_at
                cluster.give_rights(site.scratch, site.owner, site.programs, site.password)
                replaced = _take_place(site)
        except OSError as error:
            raise BackupFailed(
                f"the backup cannot be restored into {data_dir}: {error.strerror}",
                hint="see that the disk has room and works; nothing was changed",
            ) from error
    return Restored(places.data_dir, reaches, replaced)


def _judge(backup: Backup, goal: Goal, places: Places, replace: bool) -> None:
    if backup.kind is Kind.BASE and backup.postgresql != MAJOR:
        raise BackupUnusable(
            f"the backup {backup.directory} is of PostgreSQL {backup.postgresql}, and this is {MAJOR}",
            hint="restore it with the release of Jangbu that made it, and move on by its jangbu db backup --portable",
        )
    if backup.kind is Kind.PORTABLE and backup.postgresql > MAJOR:
        raise BackupUnusable(
            f"the backup {backup.directory} is of PostgreSQL {backup.postgresql}, and this is {MAJOR}",
            hint="use a release of Jangbu that brings that version",
        )
    if backup.kind is Kind.PORTABLE and goal.until is not None:
        raise InvalidInput("a portable backup holds one moment alone", hint="leave --to out, or name a base backup")
    if goal.until is not None and goal.until < backup.ended_at:
        raise InvalidInput(
            f"the backup ended at {backup.ended_at:%Y-%m-%dT%H:%M:%S.%fZ}, and cannot be restored to a time before it",
            hint="name an older backup, or a later time",
        )
    if (places.data_dir / "PG_VERSION").exists() or backup.directory.is_relative_to(places.home):
        raise InvalidInput(f"{places.data_dir} is not a directory for a ledger", hint="name a new --data-dir")
    if places.cluster.exists() and not replace:
        raise InvalidInput(
            f"there is a ledger in {places.data_dir} already",
            hint="name a new --data-dir, or --replace to put the restored one in its place; the old one is kept",
        )


@contextmanager
def _alone(places: Places) -> Iterator[None]:
    """Keep everybody else from starting a server here. Raises DataDirectoryInUse where one is used."""
    with FileLock(places.home / START) as start, FileLock(places.home / USERS) as users:
        while True:
            start.exclusive(within_ms=_LOCK_MS)
            if not users.try_exclusive():
                raise DataDirectoryInUse(
                    f"the ledger in {places.data_dir} is in use",
                    hint="stop the processes that use it (jangbu serve, your app), then try again",
                )
            users.release()
            if not is_supervised(places.home):
                break
            # Nobody uses it; it only has not stopped yet.
            start.release()
            stop(places.data_dir)
        yield


@contextmanager
def _site(places: Places, needed: int) -> Iterator[_Site]:
    owner = owner_of(places.cluster)
    for leftover in places.home.glob(f"{cluster.UNFINISHED_RESTORE}*"):
        _remove(Places(leftover), owner)
    free = shutil.disk_usage(places.home).free
    if free < needed + _SPARE_BYTES:
        raise BackupFailed(
            f"the backup takes {(needed + _SPARE_BYTES) >> 20:,} MiB and {places.data_dir} has {free >> 20:,} MiB free",
            hint="make room or name another --data-dir; nothing was changed",
        )
    directory = Path(tempfile.mkdtemp(prefix=cluster.UNFINISHED_RESTORE, dir=places.home))
    try:
        scratch = Places(directory)
        make_home(scratch)
        password = cluster.password_of(places) or cluster.new_password()
        yield _Site(places, scratch, owner, programs_for(owner), password)
    finally:
        # A death between the two renames leaves it there, which is how everybody else knows.
        if places.cluster.exists() or not any(places.home.glob("cluster.replaced-*")):
            shutil.rmtree(directory, ignore_errors=True)


def _remove(leftover: Places, owner: Owner) -> None:
    """Remove what a killed restore left, once its server has ended with it."""
    socket_dir = make_socket_dir(leftover, owner)
    check_unused(leftover, socket_dir)
    shutil.rmtree(socket_dir, ignore_errors=True)
    for _ in range(_TRIES_MOST):
        # The last processes of the server may write a file while its directory is removed.
        shutil.rmtree(leftover.data_dir, ignore_errors=True)
        if not leftover.data_dir.exists():
            return
        time.sleep(_RETRY_SECONDS)
    shutil.rmtree(leftover.data_dir)


def _take_place(site: _Site) -> Path | None:
    """Put the restored cluster in its place; keep the one that was there, and give its path."""
    target = site.target
    if cluster.password_of(target) != site.password:
        cluster.write_private(target.password_file, f"*:*:*:{cluster.USER}:{site.password}\n")
    replaced = None
    if target.cluster.exists():
        replaced = target.home / f"cluster.replaced-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        target.cluster.rename(replaced)
        # The old ledger's archive is not to be mixed with the changes of the new one.
        target.archive_file.unlink(missing_ok=True)
    cluster.note_rights(target)
    try:
        site.scratch.cluster.rename(target.cluster)
    except OSError:
        if replaced is not None:
            replaced.rename(target.cluster)
        raise
    cluster.sync(target.home)
    return replaced
