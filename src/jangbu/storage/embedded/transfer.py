"""Filling a scratch cluster from a backup: copying files and checking the copy, or loading rows."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jangbu.storage.embedded import cluster, postmaster
from jangbu.storage.embedded.archive import Progress
from jangbu.storage.embedded.backup import check
from jangbu.storage.embedded.backups import CLUSTER, DUMP, Backup
from jangbu.storage.embedded.manifest import check_cluster
from jangbu.storage.embedded.owner import Owner
from jangbu.storage.embedded.places import PORT, Places, make_socket_dir
from jangbu.storage.embedded.postmaster import Additions
from jangbu.storage.embedded.tools import run_tool

_NOTHING = Additions()
_POLL_SECONDS = 0.01


def copy_cluster(backup: Backup, scratch: Places, owner: Owner, progress: Progress) -> None:
    """Copy the files of a base backup, check the copy, and give it to the server's user.

    Recovery puts them all to disk before it begins, as it does after a crash.
    """
    source, done = backup.directory / CLUSTER, 0
    for directory, _, names in os.walk(source):
        target = scratch.cluster / Path(directory).relative_to(source)
        target.mkdir(mode=0o700)
        os.chown(target, owner.uid, owner.gid)
        for name in names:
            copied = target / name
            shutil.copyfile(Path(directory) / name, copied, follow_symlinks=False)
            copied.chmod(0o600)
            os.chown(copied, owner.uid, owner.gid)
            done += copied.stat().st_size
            progress("copying", done, max(done, backup.bytes))
    check_cluster(scratch.cluster, backup.directory, progress)
    # What the other server logged would be taken for words of the one that recovers.
    shutil.rmtree(scratch.log_dir, ignore_errors=True)


def load_dump(backup: Backup, scratch: Places, owner: Owner, programs: Path, progress: Progress) -> None:
    """Make a new cluster and load the rows of a portable backup, all or none."""
    check(backup, progress)
    password = cluster.new_password()
    cluster.make_cluster(scratch, owner, programs, password)
    done = 0

    def count(_line: str) -> None:
        nonlocal done
        done += 1
        progress("loading", done, 0)

    with serving(scratch, owner, programs) as socket_dir:
        where = f"host={socket_dir} port={PORT} user={cluster.USER} dbname={cluster.DATABASE}"
        arguments = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", "--verbose"]
        # What they let roles see is of a server that has these roles.
        arguments.append("--no-policies")
        dump = backup.directory / DUMP
        secrets = {"PGPASSWORD": password}
        run_tool("pg_restore", [f"--dbname={where}", *arguments, dump], secrets=secrets, told=count)
        # A dump has no statistics, and without them the first plans would be poor.
        run_tool("vacuumdb", [f"--dbname={where}", "--analyze-only", "--no-password"], secrets=secrets)


@contextmanager
def serving(scratch: Places, owner: Owner, programs: Path, additions: Additions = _NOTHING) -> Iterator[Path]:
    """Have a server work on a scratch cluster for a block, recovery included; give its socket's directory."""
    socket_dir = make_socket_dir(scratch, owner)
    try:
        server = postmaster.start(scratch, owner, programs, socket_dir, lambda _milliseconds: _pause(), additions)
        try:
            yield socket_dir
        finally:
            postmaster.stop(server)
    finally:
        shutil.rmtree(socket_dir, ignore_errors=True)


def _pause() -> bool:
    time.sleep(_POLL_SECONDS)
    return True
