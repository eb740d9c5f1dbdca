"""The data files of PostgreSQL: judging what is there, and making them in one step."""

import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jangbu.errors import DatabaseUnreachable, DataDirectoryUnusable
from jangbu.storage.embedded.owner import Owner
from jangbu.storage.embedded.places import Places
from jangbu.storage.embedded.programs import MAJOR

USER = "jangbu"
DATABASE = "jangbu"
UNFINISHED_RESTORE = "restore.new-"
"""How the scratch directory of a restore begins, below the server's home."""
SYNC_METHOD = "syncfs" if sys.platform == "linux" else "fsync"
"""How a thousand files are put to disk: where that is offered all at once, which took half of the time or less."""
_PARENT_DEATH_SIGNAL = 1
_ESSENTIAL = ("global/pg_control", "postgresql.conf", "pg_hba.conf", "base", "pg_wal", "pg_xact")
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_locks_per_transaction": "128",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_wal_size": "1GB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
_ACCESS = """\
# Only through the socket and only with the password; the superuser has none and cannot log in.
local all all scram-sha-256
# Base backups are asked for in this way.
local replication all scram-sha-256
"""
_RIGHTS = f"ALTER ROLE {USER} REPLICATION\nGRANT EXECUTE ON FUNCTION pg_catalog.pg_switch_wal() TO {USER}\n"
"""What backups need beside the ledger's own rights; statements of the single-user backend, one a line."""
_RIGHTS_EDITION = 1


@dataclass(frozen=True, slots=True)
class Handle:
    """A cluster as the server's user reaches it: a path, and the descriptors that must be passed on for it."""

    path: str
    descriptors: tuple[int, ...] = ()


def check_data(places: Places) -> bool:
    """Tell whether there is a cluster that we can use; change nothing.

    Raises DataDirectoryUnusable for another major version, for damage, and for a directory that is itself a cluster.
    """
    try:
        return _check(places)
    except PermissionError as error:
        raise DataDirectoryUnusable(
            f"the data directory {places.data_dir} is closed to you",
            hint="run as its owner, or set JANGBU_DATA_DIR to another directory",
        ) from error


def damaged(places: Places, finding: str) -> DataDirectoryUnusable:
    """Say that the data cannot be used, and why."""
    return DataDirectoryUnusable(
        f"the data in {places.cluster} is damaged: {finding}",
        hint="restore a backup into a new JANGBU_DATA_DIR; nothing was changed",
    )


def make_cluster(places: Places, owner: Owner, programs: Path, password: str | None = None) -> None:
    """Make a new cluster beside its place and move it there when it is complete and on disk.

    A death at any point leaves nothing but a scratch directory, which the next attempt removes. Raises
    DatabaseUnreachable when a program of PostgreSQL fails, with its last words.
    """
    password = password or new_password()
    for leftover in places.home.glob("cluster.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=places.home))
    try:
        os.chown(scratch, owner.uid, owner.gid)
        with reachable(scratch, owner) as handle:
            _run(owner, handle, [programs / "initdb", "-D", handle.path, *_initdb_options()])
            statements = (
                f"CREATE ROLE {USER} LOGIN CREATEDB PASSWORD '{password}' IN ROLE pg_monitor, pg_checkpoint\n"
                f"CREATE DATABASE {DATABASE} OWNER {USER}\n{_RIGHTS}"
            )
            _run(owner, handle, [programs / "postgres", "--single", "-D", handle.path, "postgres"], statements)
        (scratch / "pg_hba.conf").write_text(_ACCESS, "ascii")
        sync(scratch / "pg_hba.conf")
        write_private(places.password_file, f"*:*:*:{USER}:{password}\n")
        note_rights(places)
        scratch.rename(places.cluster)
        sync(places.home)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def new_password() -> str:
    """Give a password that nobody can guess."""
    return secrets.token_hex(32)


def password_of(places: Places) -> str | None:
    """Give the password that the ledger's user has, or None where no file says so."""
    try:
        return places.password_file.read_text("ascii").strip().rpartition(":")[2] or None
    except (OSError, ValueError):
        return None


def has_rights(places: Places) -> bool:
    """Tell whether the cluster, which may be an earlier release's, gives the ledger's user what backups need."""
    try:
        return places.rights_file.read_text("ascii").strip() == str(_RIGHTS_EDITION)
    except (OSError, ValueError):
        return False


def give_rights(places: Places, owner: Owner, programs: Path, password: str | None = None) -> None:
    """Give the ledger's user what backups need, and a password where one is given. No server may run on the cluster.

    Raises DatabaseUnreachable with PostgreSQL's last words; the cluster is as good as before.
    """
    statements = _RIGHTS if password is None else f"{_RIGHTS}ALTER ROLE {USER} PASSWORD '{password}'\n"
    with reachable(places.cluster, owner) as handle:
        _run(owner, handle, [programs / "postgres", "--single", "-D", handle.path, "postgres"], statements)
    access = places.cluster / "pg_hba.conf"
    if access.read_text("utf-8", "replace") != _ACCESS:
        write_private(access, _ACCESS)
        os.chown(access, owner.uid, owner.gid)
        sync(places.cluster)
    note_rights(places)


def note_rights(places: Places) -> None:
    """Remember that the cluster gives these rights."""
    write_private(places.rights_file, f"{_RIGHTS_EDITION}\n")


@contextmanager
def reachable(directory: Path, owner: Owner) -> Iterator[Handle]:
    """Give a name for the directory that works for the server's user.

    Root's directories are often closed to others (/root, a private temporary directory), and loosening them is not
    ours to do. So root opens the directory and passes the open descriptor on: the server's user enters through
    /proc/self/fd, which asks for no right on the directories above.
    """
    if not owner.is_lent or not Path("/proc/self/fd").exists():
        yield Handle(str(directory))
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield Handle(f"/proc/self/fd/{descriptor}", (descriptor,))
    finally:
        os.close(descriptor)


def die_with_parent(signal_number: int, parent: int | None = None) -> Callable[[], None] | None:
    """Give what a child runs before its program: the kernel shall send it this signal when its parent dies.

    A child that asks for it itself names its parent. Linux only; elsewhere the next user ends what was left over.
    """
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    parent = os.getpid() if parent is None else parent

    def ask() -> None:
        library.prctl(_PARENT_DEATH_SIGNAL, signal_number)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _check(places: Places) -> bool:
    if (places.data_dir / "PG_VERSION").exists():
        raise DataDirectoryUnusable(
            f"{places.data_dir} is the data directory of another PostgreSQL",
            hint="set JANGBU_DATA_DIR to a directory of its own, or JANGBU_DATABASE_URL to that server",
        )
    if not places.cluster.exists():
        if any(places.home.glob(f"{UNFINISHED_RESTORE}*")):
            raise DataDirectoryUnusable(
                f"a restore into {places.data_dir} was not finished",
                hint="run it again, or remove the directory; an empty ledger is not put in its place",
            )
        return False
    version_file = places.cluster / "PG_VERSION"
    try:
        version = version_file.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise damaged(places, "PG_VERSION cannot be read") from error
    if version != str(MAJOR):
        raise DataDirectoryUnusable(
            f"{places.cluster} was made by PostgreSQL {version[:20] or 'of no version'}, and this is {MAJOR}",
            hint="with the release of Jangbu that made it: jangbu db backup --portable; then with this one: "
            "jangbu db restore into a new data directory",
        )
    for name in _ESSENTIAL:
        if not (places.cluster / name).exists():
            raise damaged(places, f"{name} is missing")
    if not places.password_file.exists():
        raise damaged(places, f"the password file {places.password_file} is missing")
    return True


def _initdb_options() -> Sequence[str]:
    options = ["--username=postgres", "--auth=reject", "--data-checksums", "--encoding=UTF8", "--no-instructions"]
    options.append(f"--sync-method={SYNC_METHOD}")
    options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [*options, *(f"--set={name}={value}" for name, value in _SETTINGS.items())]


def _run(owner: Owner, handle: Handle, command: Sequence[str | Path], statements: str = "") -> None:
    result = subprocess.run(  # noqa: S603 - a program of the wheel
        command,
        input=statements,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        cwd="/",
        env={"LC_ALL": "C"},
        umask=0o077,
        pass_fds=handle.descriptors,
        preexec_fn=die_with_parent(signal.SIGKILL),
        **owner.process_options(),
    )
    # The single-user backend reports failed statements in words only.
    if result.returncode != 0 or "ERROR:" in result.stdout:
        lines = [line for line in result.stdout.splitlines() if line.strip()]
        telling = [line for line in lines if "error:" in line.lower() or "fatal:" in line.lower()]
        raise DatabaseUnreachable(
            f"the database cannot be made: {(telling or lines or ['no reason given'])[-1].strip()}",
            hint="see that the disk of JANGBU_DATA_DIR has room and works; nothing was changed",
        )


def write_private(path: Path, text: str) -> None:
    """Write a file whole and for its owner's eyes alone: whoever reads it finds the old text or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def sync(path: Path) -> None:
    """Have a file's content, or a directory's names, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
