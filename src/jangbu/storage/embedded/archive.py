"""The archive of the log of changes: each finished segment, compressed and on disk before PostgreSQL forgets it.

A ledger archives into a directory of its own below the one that was set, because two that shared one, such as a ledger
and its restored copy, would each take the other's changes for its own. Which one it is stands in a note beside the
cluster: so it goes on whichever process starts the server, and until somebody turns it off.
"""

import contextlib
import gzip
import json
import os
import re
import secrets
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jangbu.errors import BackupUnusable, InvalidSettings
from jangbu.storage.embedded.cluster import reachable, sync, write_private
from jangbu.storage.embedded.owner import Owner
from jangbu.storage.embedded.places import Places
from jangbu.storage.embedded.postmaster import Additions

OFF = "off"
SWITCH_SECONDS = 60
"""How old a change may grow before its segment is archived, full or not."""
SEGMENT_BYTES = 16 * 2**20
_SEGMENTS_A_LOG = 2**32 // SEGMENT_BYTES
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})\.gz")
_PIECE_BYTES = 2**20
_PROGRAMS = ("sh", "gzip", "cmp", "sync", "mv", "rm")
_NOWHERE = "false"

Progress = Callable[[str, int, int], None]
"""Told the name of a step, how much of it is done, and how much it has; 0 where nobody knows."""


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of an archive that lead on from a backup without a gap."""

    first: int
    last: int
    """The number of the last one; one below ``first`` where there is none."""
    timeline: int


def archive_of(places: Places) -> Path | None:
    """Give the directory that the ledger archives into, or None."""
    try:
        return Path(json.loads(places.archive_file.read_text("utf-8"))["directory"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def configure(places: Places, owner: Owner, wanted: str | None) -> None:
    """Remember where to archive from the next start of the server on; None changes nothing, ``off`` ends it.

    Raises InvalidSettings where the directory cannot be made, or where a program that archiving takes is missing.
    """
    if wanted is None:
        return
    if wanted == OFF:
        places.archive_file.unlink(missing_ok=True)
        return
    root = Path(wanted).absolute()
    found = archive_of(places)
    if found is not None and found.parent == root:
        return
    missing = [name for name in _PROGRAMS if shutil.which(name, path=os.defpath) is None]
    if missing:
        raise InvalidSettings(f"archiving takes the program {missing[0]}", hint="install it, or unset wal_archive_dir")
    directory = root / f"ledger-{secrets.token_hex(4)}"
    try:
        directory.mkdir(mode=0o700, parents=True)
        os.chown(directory, owner.uid, owner.gid)
        sync(root)
    except OSError as error:
        raise InvalidSettings(
            f"setting wal_archive_dir: {root} cannot be written: {error.strerror}",
            hint="name a directory that you may write, on another disk than the ledger's",
        ) from error
    write_private(places.archive_file, json.dumps({"directory": str(directory)}))
    sync(places.home)


@contextmanager
def archiving(places: Places, owner: Owner) -> Iterator[Additions]:
    """Give what a server is started with to archive, or nothing where the ledger is not archived.

    Where the directory is away (a disk that is not mounted), every attempt fails and PostgreSQL keeps its segments
    until it is back: nothing is lost while the ledger's own disk has room.
    """
    directory = archive_of(places)
    if directory is None:
        yield Additions()
        return
    with contextlib.ExitStack() as open_until_started:
        path, descriptors = str(directory), tuple[int, ...]()
        with contextlib.suppress(OSError):
            handle = open_until_started.enter_context(reachable(directory, owner))
            path, descriptors = handle.path, handle.descriptors
        settings = {"archive_mode": "on", "archive_command": archive_command(path)}
        yield Additions({**settings, "archive_timeout": f"{SWITCH_SECONDS}s"}, descriptors)


def archive_command(directory: str) -> str:
    """Give the shell's words that archive one segment.

    What is there already is never written again: the same segment counts as archived, another one as a failure. It
    bears its name only once it is whole and on disk, and the name is on disk before PostgreSQL is told.
    """
    place = shlex.quote(directory.replace("%", "%%"))
    return (
        f'd={place}; to="$d/%f.gz"; '
        'if [ -e "$to" ]; then gzip -dc "$to" | cmp -s - "%p"; '
        'else rm -f "$to.part" && gzip -c -1 "%p" > "$to.part" && sync "$to.part" '
        '&& mv -n "$to.part" "$to" && [ ! -e "$to.part" ] && sync "$d"; fi'
    )


@contextmanager
def fetching(directory: Path | None, owner: Owner) -> Iterator[Additions]:
    """Give what a server is started with to recover from an archive, or from what lies in the cluster alone."""
    if directory is None:
        yield Additions({"restore_command": _NOWHERE})
        return
    with reachable(directory, owner) as handle:
        place = shlex.quote(handle.path.replace("%", "%%"))
        command = f'gzip -dc {place}/%f.gz > "%p"'
        yield Additions({"restore_command": command, "recovery_target_timeline": "latest"}, handle.descriptors)


def check(directory: Path, timeline: int, first: int, progress: Progress) -> Segments:
    """Read every segment from ``first`` on to its end; give how far they lead without a gap.

    PostgreSQL would take a segment that is missing or damaged for the end of the archive, and stop there without a
    word. Raises BackupUnusable for a gap, and for a segment that cannot be read.
    """
    numbers = sorted(number for number in _numbers(directory, timeline) if number >= first)
    for done, number in enumerate(numbers):
        name = segment_name(timeline, first + done)
        if number != first + done:
            raise BackupUnusable(
                f"the archive {directory} lacks segment {name}",
                hint="bring it back; --to backup restores the backup without the archive",
            )
        progress("checking the archive", done, len(numbers))
        _check_segment(directory / f"{name}.gz")
    return Segments(first, first + len(numbers) - 1, timeline)


def forget(directory: Path, first: int) -> int:
    """Remove the segments before one that is the first to be needed; give how many they were."""
    removed = 0
    for entry in directory.iterdir():
        number = _number(entry.name)
        if number is not None and number < first:
            entry.unlink()
            removed += 1
    return removed


def segment_number(position: str) -> int:
    """Give the number of the segment that a position (``0/3000028``) lies in."""
    high, _, low = position.partition("/")
    return ((int(high, 16) << 32) + int(low, 16)) // SEGMENT_BYTES


def segment_name(timeline: int, number: int) -> str:
    """Give the name that PostgreSQL has for a segment."""
    return f"{timeline:08X}{number // _SEGMENTS_A_LOG:08X}{number % _SEGMENTS_A_LOG:08X}"


def _numbers(directory: Path, timeline: int) -> Iterator[int]:
    for entry in directory.iterdir():
        number = _number(entry.name)
        if number is not None and entry.name.startswith(f"{timeline:08X}"):
            yield number


def _number(name: str) -> int | None:
    found = _SEGMENT.fullmatch(name)
    return int(found[2], 16) * _SEGMENTS_A_LOG + int(found[3], 16) if found is not None else None


def _check_segment(path: Path) -> None:
    size = 0
    try:
        with gzip.open(path) as file:
            while piece := file.read(_PIECE_BYTES):
                size += len(piece)
    except (OSError, EOFError, ValueError) as error:
        raise _damaged(path) from error
    except Exception as error:
        # zlib raises an error of its own kind.
        raise _damaged(path) from error
    if size != SEGMENT_BYTES:
        raise _damaged(path)


def _damaged(path: Path) -> BackupUnusable:
    return BackupUnusable(
        f"segment {path.name} of the archive is damaged",
        hint="bring it back from a copy; --to a time before it, or --to backup, does without it",
    )
