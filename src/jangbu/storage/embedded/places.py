"""Where everything of an embedded server lies on disk."""

import hashlib
import os
import pwd
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jangbu.errors import DatabaseUnreachable, DataDirectoryUnusable, InvalidSettings
from jangbu.storage.embedded.owner import Owner

PORT = 5432
"""Only names the socket file: nothing listens on TCP."""
_SOCKET_PATH_LONGEST = 100
"""The kernel allows 107 bytes on Linux and 103 on macOS for the path of a socket."""


def default_data_dir() -> Path:
    """Give the data directory for a user who named none: a system place for root, else the XDG data home.

    Raises InvalidSettings where the user has no home directory.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/jangbu")
    data_home = os.environ.get("XDG_DATA_HOME", "")
    if Path(data_home).is_absolute():
        return Path(data_home) / "jangbu"
    home = os.environ.get("HOME", "") or _recorded_home()
    if not Path(home).is_absolute():
        raise InvalidSettings("there is no home directory to keep the ledger in", hint="set JANGBU_DATA_DIR")
    return Path(home) / ".local" / "share" / "jangbu"


@dataclass(frozen=True, slots=True)
class Places:
    """The files of the server below one data directory."""

    data_dir: Path

    @property
    def home(self) -> Path:
        """The server's own directory: the rest of the data directory is not its business."""
        return self.data_dir / "postgresql"

    @property
    def cluster(self) -> Path:
        """What PostgreSQL calls its data directory."""
        return self.home / "cluster"

    @property
    def password_file(self) -> Path:
        """One line in the format of libpq's password file, mode 0600."""
        return self.home / "password"

    @property
    def rights_file(self) -> Path:
        """Which edition of the ledger's user's rights the cluster has; an earlier release's cluster has none."""
        return self.home / "rights"

    @property
    def archive_file(self) -> Path:
        """Where the log of changes is archived, as JSON; without it, it is not."""
        return self.home / "archive.json"

    @property
    def startup_log(self) -> Path:
        """What PostgreSQL says before its own log is open."""
        return self.home / "startup.log"

    @property
    def log_dir(self) -> Path:
        """PostgreSQL's own log: one file for each day of the week, overwritten a week later."""
        return self.cluster / "log"


def places_of(data_dir: Path) -> Places:
    """Give the places below a data directory, under the one name that all processes agree on."""
    return Places(Path(os.path.realpath(data_dir)))


def make_home(places: Places) -> None:
    """Create what is missing of the data directory, private to its user. Raises DataDirectoryUnusable."""
    try:
        places.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        places.home.mkdir(mode=0o700, exist_ok=True)
        writable = os.access(places.home, os.W_OK | os.X_OK)
    except OSError as error:
        raise DataDirectoryUnusable(
            f"the data directory {places.data_dir} cannot be created: {error.strerror}",
            hint="set JANGBU_DATA_DIR to a directory that you may write",
        ) from error
    if not writable:
        raise DataDirectoryUnusable(
            f"the data directory {places.data_dir} is not writable for you",
            hint="run as its owner, or set JANGBU_DATA_DIR to another directory",
        )


def make_socket_dir(places: Places, owner: Owner) -> Path:
    """Create the directory of the socket: short, and closed to everybody but the server's user.

    The name depends on the data directory alone, so that the address of a server survives its restarts and does not
    change with a login session. Raises DatabaseUnreachable where none can be had.
    """
    found = places.data_dir.stat()
    identity = f"{places.data_dir}:{found.st_dev}:{found.st_ino}"
    name = f"jangbu-{owner.uid}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    bases = ("/run", "/tmp") if os.geteuid() == 0 else ("/tmp",)  # noqa: S108 - the directory is verified below
    for base in (*bases, tempfile.gettempdir()):
        directory = Path(base) / name
        if len(os.fsencode(directory)) <= _SOCKET_PATH_LONGEST - len(f"/.s.PGSQL.{PORT}") and _is_ours(
            directory, owner
        ):
            return directory
    raise DatabaseUnreachable(
        f"no private directory for the server's socket can be made in {bases[0]}",
        hint=f"remove {Path(bases[-1]) / name} if somebody else made it",
    )


def _is_ours(directory: Path, owner: Owner) -> bool:
    """Make the directory, or check that the one that is there belongs to the server's user and to nobody else."""
    try:
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            pass
        else:
            os.chown(directory, owner.uid, owner.gid)
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner.uid and stat.S_IMODE(found.st_mode) == 0o700


def _recorded_home() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""
