"""The system user that PostgreSQL runs as: it refuses root, so root lends it a user of its own."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jangbu.errors import DatabaseUnreachable, DataDirectoryUnusable
from jangbu.storage.embedded.locks import locked

_DEDICATED = "jangbu"
_FALLBACKS = ("postgres", "nobody")
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_ACCOUNTS = Path("/etc")
"""Where the system keeps its users, in files that are replaced whenever one is added."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The user that the server's processes and files belong to."""

    name: str
    uid: int
    gid: int

    @property
    def is_lent(self) -> bool:
        """Tell whether processes have to change to this user."""
        return self.uid != os.geteuid()

    def process_options(self) -> Mapping[str, Any]:
        """Give what ``subprocess`` needs to run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_lent else {}


def owner_of(cluster: Path) -> Owner:
    """Give the user to run as: whoever owns the data already, else ourselves, or the dedicated user for root.

    Raises DataDirectoryUnusable where the data belongs to somebody whom we cannot become.
    """
    ourselves = os.geteuid()
    try:
        found = cluster.stat()
    except FileNotFoundError:
        return lent_by_root() if ourselves == 0 else Owner(_name(ourselves), ourselves, os.getegid())
    except PermissionError as error:
        raise DataDirectoryUnusable(
            f"the data directory {cluster} is closed to user {_name(ourselves)}",
            hint="run as its owner, or set JANGBU_DATA_DIR to another directory",
        ) from error
    if found.st_uid == 0 or ourselves not in {0, found.st_uid}:
        raise DataDirectoryUnusable(
            f"the data directory {cluster} belongs to user {_name(found.st_uid)}",
            hint="give it back to the user who created it, or set JANGBU_DATA_DIR to another directory",
        )
    return Owner(_name(found.st_uid), found.st_uid, found.st_gid)


def lent_by_root(dedicated: str = _DEDICATED) -> Owner:
    """Give the user whom root lends: one of our own, which is made where it is missing.

    Raises DatabaseUnreachable where it cannot be made and no other user would do.
    """
    if _entry(dedicated) is None:
        _create(dedicated)
    for name in (dedicated, *_FALLBACKS):
        entry = _entry(name)
        if entry is not None and entry.pw_uid != 0:
            return Owner(name, entry.pw_uid, entry.pw_gid)
    raise DatabaseUnreachable(
        "PostgreSQL does not run as root and no other user could be made for it",
        hint=f"create a system user {dedicated}, or run as an ordinary user",
    )


def _create(name: str) -> None:
    """Create a system user, unless somebody is faster."""
    useradd = shutil.which("useradd", path=_SYSTEM_PATH)
    if useradd is None:
        return
    options: Sequence[str] = ("--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent")
    # Of two that add the same one at once, useradd lets the second give it another number: what already runs under the
    # first one, and the data that it owns, would be nobody's.
    with locked(_ACCOUNTS):
        if _entry(name) is not None:
            return
        subprocess.run(  # noqa: S603 - found on the system's own path
            [useradd, *options, "--shell", "/usr/sbin/nologin", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env={"PATH": _SYSTEM_PATH},
        )


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
