"""What the tests of backups ask of a ledger again and again."""

from pathlib import Path
from typing import Any

from tests.cli.conftest import Kept


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
