"""Kill -9 in the middle of a backup or a restore: nothing half-made is taken for whole, and no ledger is lost."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from jangbu.storage.embedded import stop
from tests.cli.backups import granted, restored
from tests.cli.conftest import Kept

PARTS = ("cluster/base", "cluster/recovery.signal", "cluster/postmaster.pid")
"""What a restore makes, in this order, as it copies, as it is about to recover, and as it recovers."""


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


def test_a_restore_that_is_killed_leaves_no_empty_ledger_and_is_run_again(kept: Kept, new: Path) -> None:
    words = ("db", "restore", str(kept.base), "--data-dir", str(new))
    for part in PARTS:
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
    for part in PARTS:
        kill_once(start(kept, *words), scratch_of(new, part))
        assert granted(kept, new) == 1508
        stop(new)
    # As it is between the two renames, which no signal hits reliably.
    (new / "postgresql" / "cluster").rename(new / "postgresql" / "cluster.replaced-0")
    assert "was not finished" in kept.jangbu("balance", "kim", "--data-dir", str(new)).error_line
    restored(kept, kept.base, new, "--replace", "--no-verify")
    assert granted(kept, new) == 1507
    assert (new / "postgresql" / "cluster.replaced-0").exists()
