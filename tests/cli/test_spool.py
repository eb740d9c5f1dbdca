"""``jangbu spool``: what waits on the local disk, told without a database."""

from pathlib import Path

from jangbu.clock import SystemClock
from jangbu.metering.spool import Spool
from tests.cli.conftest import Jangbu


def open_spool(directory: Path) -> Spool:
    return Spool.open(directory, segment_bytes=65_536, clock=SystemClock())


def test_an_empty_spool_says_so_and_needs_no_database(offline: Jangbu, tmp_path: Path) -> None:
    assert (
        offline.ok("spool", "status", JANGBU_SPOOL_DIR=str(tmp_path / "none")).out == "nothing waits to be recorded\n"
    )
    assert not (tmp_path / "none").exists()
    facts = offline.json("spool", "status", JANGBU_SPOOL_DIR=str(tmp_path / "none"))
    counts = {"waiting": 0, "kept": 0, "quarantined": 0, "bytes": 0}
    assert facts == {**counts, "oldest_seconds": None, "spools": []}


def test_what_waits_is_shown_for_each_spool_with_its_owner(offline: Jangbu, tmp_path: Path) -> None:
    living, dead = open_spool(tmp_path / "a" / "1"), open_spool(tmp_path / "a" / "2")
    living.append([b"one", b"two"])
    living.note_committed([1])
    dead.append([b"three"])
    dead.set_aside(1, "no record")
    dead.append([b"four"])
    dead.close()
    facts = offline.json("spool", "status", JANGBU_SPOOL_DIR=str(tmp_path))
    assert {name: facts[name] for name in ("waiting", "kept", "quarantined")} == {
        "waiting": 2,
        "kept": 2,
        "quarantined": 1,
    }
    assert [(each["directory"], each["waiting"], each["is_owned"]) for each in facts["spools"]] == [
        (str(tmp_path / "a" / "1"), 1, True),
        (str(tmp_path / "a" / "2"), 1, False),
    ]
    assert 0 <= facts["oldest_seconds"] < 60
    text = offline.ok("spool", "status", JANGBU_SPOOL_DIR=str(tmp_path)).out
    assert str(tmp_path / "a" / "2") in text
    assert "lives" in text
    living.close()
