"""A ledger is backed up while it works and restored somewhere else, whole and to any time that was archived."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jangbu.storage.embedded import EmbeddedServer, stop
from tests.cli.conftest import CLEARED, Jangbu


@dataclass(frozen=True)
class Kept:
    """A ledger with an archive, one backup of each kind, and grants before and after them."""

    jangbu: Jangbu
    ledger: Path
    base: Path
    portable: Path
    between: str
    """A time at which kim had 1,500 tokens; the base backup has 1,000, the portable one and the archive's end 1,507."""

    @property
    def archive(self) -> Path:
        return next((self.ledger.parent / "wal").iterdir())


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    place = tmp_path_factory.mktemp("kept")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(CLEARED)}
    jangbu = Jangbu(place, environment)
    here = ("--data-dir", "ledger")
    # Everybody after the first one goes without the setting: the ledger remembers.
    jangbu.ok("accounts", "create", "kim", *here, JANGBU_WAL_ARCHIVE_DIR="wal")
    jangbu.ok("grant", "kim", "1000", "--key", "before", *here)
    base = jangbu.json("db", "backup", "--out", "base", *here)
    jangbu.ok("grant", "kim", "500", "--key", "after", *here)
    between = datetime.now(UTC).isoformat()
    jangbu.ok("grant", "kim", "7", "--key", "last", *here)
    portable = jangbu.json("db", "backup", "--portable", "--out", "portable", *here)
    jangbu.ok("db", "archive", *here)
    stop(place / "ledger")
    return Kept(jangbu, place / "ledger", Path(base["directory"]), Path(portable["directory"]), between)


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "new"
    stop(tmp_path / "new")


def granted(kept: Kept, data_dir: Path) -> int:
    number: int = kept.jangbu.json("balance", "kim", "--data-dir", str(data_dir))["balance"]
    return number


def restored(kept: Kept, backup: Path, new: Path, *words: str) -> Any:
    return kept.jangbu.json("db", "restore", str(backup), "--data-dir", str(new), *words)


def refused(kept: Kept, backup: Path, new: Path, *words: str) -> str:
    """Give the one line of a restore that was refused; nothing may stand where the ledger would."""
    ended = kept.jangbu("db", "restore", str(backup), "--data-dir", str(new), *words)
    assert ended.code == 2, ended.err
    assert not (new / "postgresql" / "cluster").exists()
    return ended.error_line


def test_a_backup_is_restored_with_all_that_was_archived_since_and_adds_up(kept: Kept, new: Path) -> None:
    done = restored(kept, kept.base, new)
    assert (granted(kept, new), done["mismatches"], done["replaced"]) == (1507, 0, None)
    assert done["reaches"] > kept.between
    assert kept.jangbu.json("verify", "--full", "--data-dir", str(new))["ok"]
    assert granted(kept, kept.ledger) == 1507, "the original is what it was"


def test_a_backup_is_restored_to_a_point_in_time(kept: Kept, new: Path) -> None:
    done = restored(kept, kept.base, new, "--to", kept.between)
    assert (granted(kept, new), done["mismatches"]) == (1500, 0)
    assert done["backup"]["ended_at"] <= done["reaches"] <= kept.between


def test_a_backup_is_restored_alone_where_its_archive_is_gone(kept: Kept, new: Path, tmp_path: Path) -> None:
    away = refused(kept, kept.base, new, "--archive", str(tmp_path / "nowhere"))
    assert f"the archive {tmp_path / 'nowhere'} is not there; name it with --archive" in away
    restored(kept, kept.base, new, "--to", "backup")
    assert granted(kept, new) == 1000


def test_a_portable_backup_is_restored_and_lives_on(kept: Kept, new: Path) -> None:
    assert restored(kept, kept.portable, new)["mismatches"] == 0
    assert granted(kept, new) == 1507
    kept.jangbu.ok("grant", "kim", "1", "--key", "later", "--data-dir", str(new))
    assert kept.jangbu.json("verify", "--full", "--data-dir", str(new))["ok"]


def test_of_a_directory_of_backups_the_newest_that_fits_is_taken(kept: Kept, new: Path, tmp_path: Path) -> None:
    shutil.copytree(kept.base, tmp_path / "all" / "first")
    shutil.copytree(kept.portable, tmp_path / "all" / "second")
    shown = kept.jangbu.json("db", "backups", str(tmp_path / "all"), "--check")
    assert [(each["kind"], each["state"]) for each in shown["backups"]] == [("base", "sound"), ("portable", "sound")]
    early = refused(kept, tmp_path / "all", new, "--to", "2020-01-01")
    assert "no backup in" in early
    assert "ended before 2020-01-01T00:00:00Z; the oldest ended at" in early
    done = restored(kept, tmp_path / "all", new, "--to", kept.between, "--no-verify")
    assert (done["backup"]["kind"], done["mismatches"]) == ("base", None)


def test_a_time_that_no_backup_or_archive_reaches_is_refused(kept: Kept, new: Path) -> None:
    assert "cannot be restored to a time before it" in refused(kept, kept.base, new, "--to", "2020-01-01")
    late = refused(kept, kept.base, new, "--to", "2999-01-01")
    assert "the archive does not reach 2999-01-01T00:00:00Z: the last change in it is of 20" in late
    assert "holds one moment alone" in refused(kept, kept.portable, new, "--to", kept.between)
    assert "no date or time" in refused(kept, kept.base, new, "--to", "yesterday")


def a_gap(archive: Path) -> str:
    missing = sorted(archive.glob("*.gz"))[-2]
    missing.unlink()
    return f"lacks segment {missing.stem}"


def a_damaged_segment(archive: Path) -> str:
    last = sorted(archive.glob("*.gz"))[-1]
    last.write_bytes(last.read_bytes()[:-100])
    return f"segment {last.name} of the archive is damaged"


def a_short_segment(archive: Path) -> str:
    last = sorted(archive.glob("*.gz"))[-1]
    last.write_bytes(gzip.compress(b"short"))
    return f"segment {last.name} of the archive is damaged"


@pytest.mark.parametrize("spoil", [a_gap, a_damaged_segment, a_short_segment])
def test_an_archive_that_breaks_off_is_never_taken_for_its_end(
    kept: Kept, new: Path, tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    shutil.copytree(kept.archive, tmp_path / "spoilt")
    finding = spoil(tmp_path / "spoilt")
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


def test_a_ledger_is_replaced_only_on_demand_never_while_it_is_used_and_is_kept(kept: Kept, new: Path) -> None:
    restored(kept, kept.portable, new, "--no-verify")
    kept.jangbu.ok("grant", "kim", "99", "--key", "mine", "--data-dir", str(new))
    again = kept.jangbu("db", "restore", str(kept.portable), "--data-dir", str(new))
    assert (again.code, "there is a ledger in" in again.error_line, "--replace" in again.err) == (2, True, True)
    with EmbeddedServer(new):
        used = kept.jangbu("db", "restore", str(kept.portable), "--data-dir", str(new), "--replace")
        assert (used.code, "is in use; stop the processes that use it" in used.error_line) == (7, True)
    done = restored(kept, kept.base, new, "--to", "backup", "--replace")
    assert granted(kept, new) == 1000
    stop(new)
    shutil.rmtree(new / "postgresql" / "cluster")
    Path(done["replaced"]).rename(new / "postgresql" / "cluster")
    assert granted(kept, new) == 1606, "what was replaced is whole, and has the same password"


def test_a_place_that_is_taken_is_not_written_to(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("mine")
    for out in ("taken", "taken/mine"):
        ended = kept.jangbu("db", "backup", "--out", str(tmp_path / out), "--data-dir", str(kept.ledger))
        assert (ended.code, "there is something in" in ended.error_line) == (2, True)
    ended = kept.jangbu("db", "backup", "--out", "", "--data-dir", str(kept.ledger))
    assert (ended.code, "without a name" in ended.error_line) == (2, True)
    assert (tmp_path / "taken" / "mine").read_text() == "mine"


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


def start(kept: Kept, *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "jangbu", *words],
        cwd=kept.jangbu.directory,
        env=kept.jangbu.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_once(process: "subprocess.Popen[bytes]", holds: Callable[[], object]) -> None:
    """Kill -9 a command at the first moment at which something holds."""
    while not holds():
        assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_backup_that_is_killed_is_none_and_does_not_hinder_the_next(kept: Kept, tmp_path: Path) -> None:
    words = ("db", "backup", "--out", str(tmp_path / "all" / "one"), "--data-dir", str(kept.ledger))
    scratch = tmp_path / "all" / "one.unfinished"
    kill_once(start(kept, *words), (scratch / "cluster" / "base").exists)
    listed = kept.jangbu.json("db", "backups", str(tmp_path / "all"))["backups"]
    assert listed == [{"directory": str(scratch), "state": "unfinished"}]
    kept.jangbu.ok(*words)
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["one"]
    assert kept.jangbu.json("db", "backups", str(tmp_path / "all"), "--check")["backups"][0]["state"] == "sound"


def scratch_of(new: Path, part: str) -> Callable[[], object]:
    return lambda: next((new / "postgresql").glob(f"restore.new-*/postgresql/{part}"), None)


@pytest.mark.parametrize("part", ["cluster/base", "cluster/recovery.signal", "cluster/postmaster.pid"])
def test_a_restore_that_is_killed_leaves_no_empty_ledger_and_is_run_again(kept: Kept, new: Path, part: str) -> None:
    words = ("db", "restore", str(kept.base), "--data-dir", str(new))
    kill_once(start(kept, *words), scratch_of(new, part))
    ended = kept.jangbu("balance", "kim", "--data-dir", str(new))
    assert (ended.code, "was not finished; run it again" in ended.error_line) == (7, True)
    restored(kept, kept.base, new)
    assert granted(kept, new) == 1507
    assert not list((new / "postgresql").glob("restore.new-*"))


def test_a_ledger_outlives_every_kill_of_a_restore_in_its_place(kept: Kept, new: Path) -> None:
    restored(kept, kept.portable, new, "--no-verify")
    kept.jangbu.ok("grant", "kim", "1", "--key", "mine", "--data-dir", str(new))
    stop(new)
    words = ("db", "restore", str(kept.base), "--replace", "--no-verify", "--data-dir", str(new))
    for part in ("cluster/base", "cluster/recovery.signal", "cluster/postmaster.pid"):
        kill_once(start(kept, *words), scratch_of(new, part))
        assert granted(kept, new) == 1508
        stop(new)
    # As it is between the two renames, which no signal hits reliably.
    (new / "postgresql" / "cluster").rename(new / "postgresql" / "cluster.replaced-0")
    assert "was not finished" in kept.jangbu("balance", "kim", "--data-dir", str(new)).error_line
    restored(kept, kept.base, new, "--replace")
    assert granted(kept, new) == 1507
    assert (new / "postgresql" / "cluster.replaced-0").exists()


def test_archiving_is_turned_off_by_name_and_begins_anew_elsewhere(kept: Kept, new: Path, tmp_path: Path) -> None:
    here = ("--data-dir", str(new))
    restored(kept, kept.portable, new, "--no-verify")
    bare = kept.jangbu("db", "archive", *here)
    assert (bare.code, "the ledger is not archived; set JANGBU_WAL_ARCHIVE_DIR" in bare.error_line) == (2, True)
    stop(new)
    kept.jangbu.ok("balance", "kim", *here, JANGBU_WAL_ARCHIVE_DIR=str(tmp_path / "a"))
    first = kept.jangbu.json("db", "archive", *here)["directory"]
    assert Path(first).parent == tmp_path / "a"
    stop(new)
    kept.jangbu.ok("balance", "kim", *here, JANGBU_WAL_ARCHIVE_DIR=str(tmp_path / "b"))
    assert Path(kept.jangbu.json("db", "archive", *here)["directory"]).parent == tmp_path / "b"
    kept.jangbu.ok("balance", "kim", *here, JANGBU_WAL_ARCHIVE_DIR="off")
    assert kept.jangbu("db", "archive", *here).code == 2


def test_an_archive_that_cannot_be_written_is_told_and_loses_nothing(kept: Kept, new: Path, tmp_path: Path) -> None:
    here = ("--data-dir", str(new))
    (tmp_path / "file").touch()
    restored(kept, kept.portable, new, "--no-verify")
    stop(new)
    wrong = kept.jangbu("balance", "kim", *here, JANGBU_WAL_ARCHIVE_DIR=str(tmp_path / "file"))
    assert (wrong.code, "setting wal_archive_dir" in wrong.error_line) == (2, True)
    kept.jangbu.ok("balance", "kim", *here, JANGBU_WAL_ARCHIVE_DIR=str(tmp_path / "wal"))
    archive = Path(kept.jangbu.json("db", "archive", *here)["directory"])
    archive.rename(tmp_path / "unmounted")
    stop(new)
    kept.jangbu.ok("grant", "kim", "1", "--key", "one", *here)
    failing = kept.jangbu("db", "archive", *here)
    assert (failing.code, "cannot be archived; see that the directory" in failing.error_line) == (1, True)
    (tmp_path / "unmounted").rename(archive)
    stop(new)
    assert kept.jangbu.json("db", "archive", *here)["archived"] > 0
    numbers = sorted(int(path.name[:24], 16) for path in archive.glob("0*.gz") if len(path.name) == 27)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "no segment is missing"


def test_ones_own_server_is_backed_up_as_rows_alone(jangbu: Jangbu, tmp_path: Path) -> None:
    jangbu.ok("accounts", "create", "kim")
    refused = jangbu("db", "backup")
    assert (refused.code, "by its own tools" in refused.error_line) == (2, True)
    made = jangbu.json("db", "backup", "--portable", "--out", "rows")
    assert (made["kind"], made["schema"]) == ("portable", made["schema"])
    assert "no data directory is named" in jangbu("db", "restore", "rows").error_line
    jangbu.ok("db", "restore", "rows", "--data-dir", "new")
    try:
        assert jangbu.json("balance", "kim", "--data-dir", "new")["balance"] == 0
    finally:
        stop(tmp_path / "new")
