"""What cannot be restored, or has no room, is refused in one line, and nothing stands where the ledger would."""

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.backups import refused
from tests.cli.conftest import Kept


def a_gap(segments: list[Path]) -> str:
    missing = segments[-2]
    missing.unlink()
    return f"lacks segment {missing.stem}"


def a_damaged_segment(segments: list[Path]) -> str:
    last = segments[-1]
    last.write_bytes(last.read_bytes()[:-100])
    return f"segment {last.name} of the archive is damaged"


def a_short_segment(segments: list[Path]) -> str:
    last = segments[-1]
    last.write_bytes(gzip.compress(b"short"))
    return f"segment {last.name} of the archive is damaged"


@pytest.mark.parametrize("spoil", [a_gap, a_damaged_segment, a_short_segment])
def test_an_archive_that_breaks_off_is_never_taken_for_its_end(
    kept: Kept, new: Path, tmp_path: Path, spoil: Callable[[list[Path]], str]
) -> None:
    shutil.copytree(kept.archive, tmp_path / "spoilt")
    finding = spoil(kept.segments(tmp_path / "spoilt"))
    assert finding in refused(kept, kept.base, new, "--archive", str(tmp_path / "spoilt"))


def a_flipped_bit(backup: Path) -> str:
    control = backup / "cluster" / "global" / "pg_control"
    content = bytearray(control.read_bytes())
    content[100] ^= 1
    control.write_bytes(content)
    return "is damaged: global/pg_control is not what was written"


def a_missing_file(backup: Path) -> str:
    (backup / "cluster" / "PG_VERSION").unlink()
    return "is damaged: PG_VERSION is missing"


def a_file_too_many(backup: Path) -> str:
    (backup / "cluster" / "base" / "stranger").touch()
    return "is damaged: base/stranger does not belong to it"


def a_manifest_that_was_edited(backup: Path) -> str:
    manifest = backup / "cluster" / "backup_manifest"
    manifest.write_text(manifest.read_text().replace("PG_VERSION", "PG_VERSIOM"))
    return "is damaged: backup_manifest is not what was written"


def a_log_that_was_cut(backup: Path) -> str:
    segment = next((backup / "cluster" / "pg_wal").glob("0*"))
    segment.write_bytes(bytes(segment.stat().st_size))
    return "is damaged: pg_waldump"


def an_unfinished_one(backup: Path) -> str:
    backup.rename(backup.with_name("backup.unfinished"))
    return "was never finished; name another backup, or make one"


def no_backup(backup: Path) -> str:
    shutil.rmtree(backup)
    return "there is no backup in"


def another_major(backup: Path) -> str:
    described(backup, postgresql=16)
    return "is of PostgreSQL 16, and this is 18; restore it with the release of Jangbu that made it"


def a_later_format(backup: Path) -> str:
    described(backup, format=2, release="9.0")
    return "was made by Jangbu 9.0, and this is"


def a_description_that_was_cut(backup: Path) -> str:
    (backup / "backup.json").write_text('{"format": 1')
    return "cannot be read: backup.json is damaged"


def described(backup: Path, **changes: Any) -> None:
    path = backup / "backup.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "spoil",
    [
        a_flipped_bit,
        a_missing_file,
        a_file_too_many,
        a_manifest_that_was_edited,
        a_log_that_was_cut,
        an_unfinished_one,
        no_backup,
        another_major,
        a_later_format,
        a_description_that_was_cut,
    ],
)
def test_a_backup_that_cannot_be_restored_is_refused_in_one_line(
    kept: Kept, new: Path, tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    shutil.copytree(kept.base, tmp_path / "backup")
    finding = spoil(tmp_path / "backup")
    assert finding in refused(kept, tmp_path / "backup", new)
    assert not list((new / "postgresql").glob("restore.new-*")) if new.exists() else True


def test_a_damaged_portable_backup_is_refused_and_listed_as_damaged(kept: Kept, new: Path, tmp_path: Path) -> None:
    shutil.copytree(kept.portable, tmp_path / "all" / "backup")
    with (tmp_path / "all" / "backup" / "ledger.dump").open("r+b") as dump:
        dump.seek(5_000)
        dump.write(b"\0\0\0\0")
    finding = "is damaged: ledger.dump is not what was written"
    assert finding in refused(kept, tmp_path / "all", new)
    listed = kept.jangbu("db", "backups", str(tmp_path / "all"), "--check")
    assert (listed.code, finding in listed.err) == (2, True)
    assert listed.out.split()[-1] == "damaged"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("words", [("db", "backup"), ("db", "backup", "--portable")])
def test_a_full_disk_leaves_no_backup(kept: Kept, tmp_path: Path, words: tuple[str, ...]) -> None:
    with small_disk(tmp_path / "disk", "40k") as disk:
        ended = kept.jangbu(*words, "--out", str(disk / "backup"), "--data-dir", str(kept.ledger))
        assert (ended.code, list(disk.iterdir())) == (1, [])
        assert "No space left on device; make room or name another directory" in ended.error_line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_restore_onto_a_disk_that_is_too_small_is_refused_before_it_begins(kept: Kept, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        ended = kept.jangbu("db", "restore", str(kept.base), "--data-dir", str(disk / "new"))
        assert (ended.code, "MiB free; make room" in ended.error_line) == (1, True)
        assert not list((disk / "new" / "postgresql").glob("*cluster*"))


class small_disk:  # noqa: N801 - used as a context manager
    def __init__(self, place: Path, size: str) -> None:
        self._place, self._size = place, size

    def __enter__(self) -> Path:
        self._place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self._size}", "none", self._place], check=False)
        if mounted.returncode != 0:
            pytest.skip("nothing can be mounted here")
        return self._place

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", self._place], check=True)
