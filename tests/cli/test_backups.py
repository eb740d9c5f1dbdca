"""A ledger is backed up while it works and restored somewhere else, whole and to any time that was archived."""

import shutil
from pathlib import Path

from jangbu.storage.embedded import EmbeddedServer, stop
from tests.cli.backups import granted, refused, restored
from tests.cli.conftest import Jangbu, Kept


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


def test_older_backups_and_what_only_they_needed_are_removed_on_demand(kept: Kept, new: Path, tmp_path: Path) -> None:
    here = ("--data-dir", str(new))
    restored(kept, kept.portable, new, "--no-verify")
    stop(new)
    kept.jangbu.ok("balance", "kim", *here, JANGBU_WAL_ARCHIVE_DIR=str(tmp_path / "wal"))
    for name in ("one", "two"):
        kept.jangbu.ok("db", "backup", "--out", str(tmp_path / "all" / name), *here)
    last = kept.jangbu.json("db", "backup", "--portable", "--keep", "1", "--out", str(tmp_path / "all" / "rows"), *here)
    assert last["removed"] == [], "rows are no later files"
    archive = next((tmp_path / "wal").iterdir())
    before = kept.segments(archive)
    made = kept.jangbu.json("db", "backup", "--keep", "2", "--out", str(tmp_path / "all" / "three"), *here)
    assert made["removed"] == [str(tmp_path / "all" / "one")]
    left = [each["kind"] for each in kept.jangbu.json("db", "backups", str(tmp_path / "all"), "--check")["backups"]]
    assert left == ["base", "portable", "base"]
    assert set(before) - set(kept.segments(archive)), "the archive is shorter"
    restored(kept, tmp_path / "all" / "two", new.with_name("again"), "--no-verify")
    stop(new.with_name("again"))
    assert kept.jangbu("db", "backup", "--keep", "0", *here).code == 2
