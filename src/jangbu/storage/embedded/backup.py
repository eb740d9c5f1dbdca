"""Making backups: of the embedded server's files while it works, or of the ledger's rows of any server."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from jangbu.errors import JangbuError
from jangbu.storage.embedded.archive import Progress, forget, segment_number
from jangbu.storage.embedded.backups import (
    CLUSTER,
    DUMP,
    UNFINISHED,
    Backup,
    Kind,
    damaged,
    digest_of,
    listed,
    release,
    size_of,
    unfinished,
)
from jangbu.storage.embedded.cluster import SYNC_METHOD, sync
from jangbu.storage.embedded.manifest import check_cluster, wal_ranges
from jangbu.storage.embedded.programs import MAJOR
from jangbu.storage.embedded.tools import run_tool

_KILOBYTES = re.compile(r"\s*(\d+)/(\d+) kB")
_KILOBYTE = 1024


@dataclass(frozen=True, slots=True)
class Source:
    """The ledger that is backed up."""

    dsn: str
    postgresql: int
    """The server's major version."""
    schema: str | None
    now: Callable[[], datetime]
    """Reads the server's clock."""
    archive: Path | None = None


def make_base(source: Source, target: Path, progress: Progress) -> Backup:
    """Copy the server's files while it works, and check every byte of the copy against its checksum.

    Raises InvalidInput where the target is taken, BackupFailed for anything that goes wrong: nothing is left then.
    """
    with unfinished(target) as scratch:
        began_at = source.now()
        where, secrets = without_secret(source.dsn)
        run_tool(
            "pg_basebackup",
            [
                f"--dbname={where}",
                f"--pgdata={scratch / CLUSTER}",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--manifest-checksums=SHA256",
                f"--sync-method={SYNC_METHOD}",
                "--label=jangbu",
                "--no-password",
                "--progress",
            ],
            secrets=secrets,
            told=_kilobytes("copying", progress),
        )
        ended_at = source.now()
        made = Backup(
            directory=target,
            kind=Kind.BASE,
            began_at=began_at,
            ended_at=ended_at,
            postgresql=MAJOR,
            schema=source.schema,
            release=release(),
            bytes=size_of(scratch),
            archive=source.archive,
        )
        check(replace(made, directory=scratch), progress)
        made.write(scratch)
    return made


def make_portable(source: Source, target: Path, progress: Progress) -> Backup:
    """Write the ledger as it is in one moment, in a form that later major versions read. Raises as ``make_base``."""
    with unfinished(target) as scratch:
        began_at = source.now()
        where, secrets = without_secret(source.dsn)
        dump = scratch / DUMP
        run_tool(
            "pg_dump",
            [
                f"--dbname={where}",
                f"--file={dump}",
                "--format=custom",
                "--schema=jangbu",
                "--no-owner",
                "--no-privileges",
                "--no-password",
                "--lock-wait-timeout=60s",
                "--verbose",
            ],
            secrets=secrets,
            told=lambda _line: progress("writing", dump.stat().st_size if dump.exists() else 0, 0),
        )
        sync(dump)
        made = Backup(
            directory=target,
            kind=Kind.PORTABLE,
            began_at=began_at,
            ended_at=source.now(),
            postgresql=source.postgresql,
            schema=source.schema,
            release=release(),
            bytes=dump.stat().st_size,
            sha256=digest_of(dump),
        )
        check(replace(made, directory=scratch), progress)
        made.write(scratch)
    return made


def keep_newest(made: Backup, count: int) -> list[Path]:
    """Remove all backups of the same kind beside one that was just made but the newest ``count``; give their paths.

    What the archive holds from before the oldest base backup that is left serves none of them, and is removed, too.
    """
    beside = [each for each in listed(made.directory.parent) if isinstance(each, Backup)]
    surplus = [each.directory for each in beside if each.kind is made.kind][:-count]
    for directory in surplus:
        # One that is half removed is not to be taken for a whole one.
        doomed = directory.with_name(directory.name + UNFINISHED)
        directory.rename(doomed)
        shutil.rmtree(doomed)
    if made.archive is not None and made.archive.is_dir():
        served = [each for each in beside if each.archive == made.archive and each.directory not in surplus]
        starts = [wal_ranges(each.directory / CLUSTER)[0].start for each in served]
        forget(made.archive, min(segment_number(start) for start in starts))
    return surplus


def check(backup: Backup, progress: Progress) -> None:
    """Read a backup to its end and compare it with its checksums. Raises BackupUnusable for one that is damaged."""
    match backup.kind:
        case Kind.BASE:
            check_cluster(backup.directory / CLUSTER, backup.directory, progress)
        case Kind.PORTABLE:
            dump = backup.directory / DUMP
            try:
                whole = digest_of(dump) == backup.sha256
            except OSError as error:
                raise damaged(backup.directory, error.strerror or str(error)) from error
            if not whole:
                raise damaged(backup.directory, f"{DUMP} is not what was written")
            try:
                run_tool("pg_restore", ["--list", dump])
            except JangbuError as error:
                raise damaged(backup.directory, error.message) from error


def without_secret(dsn: str) -> tuple[str, dict[str, str]]:
    """Give the address without its password, and what hands the password to PostgreSQL's programs unseen."""
    found = urlsplit(dsn)
    options = parse_qsl(found.query)
    password = found.password and unquote(found.password)
    password = dict(options).get("password", password)
    user, at, host = found.netloc.rpartition("@")
    kept = urlencode([(name, value) for name, value in options if name != "password"])
    bare = urlunsplit(found._replace(netloc=f"{user.partition(':')[0]}{at}{host}", query=kept))
    return bare, {"PGPASSWORD": password} if password else {}


def _kilobytes(step: str, progress: Progress) -> Callable[[str], None]:
    """Read the progress that PostgreSQL's programs tell."""

    def tell(line: str) -> None:
        found = _KILOBYTES.match(line)
        if found is not None:
            progress(step, int(found[1]) * _KILOBYTE, int(found[2]) * _KILOBYTE)

    return tell
