"""``jangbu spool``: what waits on the local disk, told without a database."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.locations import ledger_spool
from jangbu.metering.spool import Spool, SpooledUsage, encode_record
from jangbu.storage.usage import UsageRow
from tests.cli.conftest import Jangbu
from tests.conftest import drop_database, execute
from tests.metering.outage import spooled_row

FLASH = "gemini-2.5-flash"
LONG_KEPT = {"JANGBU_SPOOL_KEEP_SECONDS": "0"}


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


@pytest.mark.parametrize("words", [("spool", "status"), ("doctor",)])
def test_a_spool_that_cannot_be_looked_at_is_told_with_what_to_do(
    offline: Jangbu, tmp_path: Path, words: tuple[str, ...]
) -> None:
    # For a name that is too long the system has an error, as it has for a directory without rights, whoever asks.
    said = offline(*words, "--json", JANGBU_SPOOL_DIR=str(tmp_path / ("long" * 100)))
    assert said.code != 0
    [failed] = [each for each in said.json["checks"] if each["name"] == "spool"] if said.out else [said.error]
    assert "cannot be used: File name too long" in failed["found" if said.out else "message"]
    assert "set JANGBU_SPOOL_DIR" in failed["advice" if said.out else "hint"]


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


def spooled(ledger: Path, *users: str) -> Spool:
    """Leave records in a spool as a process does that dies."""
    spool = open_spool(ledger / "a-process-that-died")
    spool.append([encode_record(SpooledUsage("default", user, "a service", FLASH, row_of(user))) for user in users])
    return spool


def row_of(user: str) -> UsageRow:
    return spooled_row("default", user, new_id(SystemClock()))


@pytest.fixture
def ledger(jangbu: Jangbu, tmp_path: Path) -> Path:
    """Give where the spools of the ledger lie, which has a user kim."""
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("grant", "kim", "1000", "--key", "first")
    address = jangbu.environment["JANGBU_DATABASE_URL"]
    return ledger_spool(Settings.load(database_url=address, spool_dir=tmp_path / "spool"))


def test_draining_records_what_a_dead_process_left(jangbu: Jangbu, ledger: Path) -> None:
    assert jangbu.ok("spool", "drain").out == "0 records drained; 0 waiting, 0 in quarantine\n"
    spooled(ledger, "kim", "kim").close()
    assert jangbu.json("spool", "status")["waiting"] == 2
    drained = jangbu.json("spool", "drain")
    assert drained == {"drained": 2, "recorded_again": 0, "waiting": 0, "quarantined": 0}
    assert jangbu.json("balance", "kim")["used_tokens"] == 900
    assert jangbu.ok("spool", "status").out == "nothing waits to be recorded (2 records kept for a fail-over)\n"
    again = jangbu.json("spool", "drain", "--again")
    assert again == {"drained": 0, "recorded_again": 2, "waiting": 0, "quarantined": 0}
    assert jangbu.json("balance", "kim")["used_tokens"] == 900


def test_what_a_fail_over_lost_comes_back(jangbu: Jangbu, ledger: Path, server: str) -> None:
    name = urlsplit(jangbu.environment["JANGBU_DATABASE_URL"]).path.strip("/")
    asyncio.run(execute(server, f"CREATE DATABASE {name}_behind TEMPLATE {name}"))
    spooled(ledger, "kim").close()
    assert jangbu.json("spool", "drain")["drained"] == 1
    asyncio.run(drop_database(server, name))
    asyncio.run(execute(server, f"ALTER DATABASE {name}_behind RENAME TO {name}"))
    assert jangbu.json("balance", "kim")["used_tokens"] == 0
    assert jangbu.json("spool", "drain", "--again")["recorded_again"] == 1
    assert jangbu.json("balance", "kim")["used_tokens"] == 450
    jangbu.ok("verify")


def test_the_spool_of_a_former_address_is_drained_where_it_is_named(
    jangbu: Jangbu, ledger: Path, tmp_path: Path
) -> None:
    former = tmp_path / "spool" / "a-former-address"
    spooled(former, "kim").close()
    assert jangbu.json("spool", "drain")["drained"] == 0
    assert jangbu.json("spool", "drain", "--from", str(former))["drained"] == 1
    assert jangbu.json("balance", "kim")["used_tokens"] == 450
    refused = jangbu("spool", "drain", "--from", str(tmp_path / "nowhere"))
    assert (refused.code, "there is no spool" in refused.error_line) == (3, True)


def test_what_the_spool_of_a_former_address_keeps_is_sent_again_where_it_is_named(
    jangbu: Jangbu, ledger: Path, tmp_path: Path
) -> None:
    former = tmp_path / "spool" / "a-former-address"
    kept = spooled(former, "kim")
    kept.note_committed([1])
    kept.close()
    assert jangbu.json("spool", "drain", "--again")["recorded_again"] == 0
    again = jangbu.ok("spool", "drain", "--again", "--from", str(former), "--json", **LONG_KEPT).json
    assert (again["drained"], again["recorded_again"]) == (0, 1)
    assert jangbu.json("balance", "kim")["used_tokens"] == 450


def test_what_was_kept_for_long_enough_is_sent_again_before_it_goes(jangbu: Jangbu, ledger: Path) -> None:
    kept = spooled(ledger, "kim", "kim")
    kept.note_committed([1])
    kept.close()
    again = jangbu.ok("spool", "drain", "--again", "--json", **LONG_KEPT).json
    # What waits is sent again, too: that the former database had it may not be noted yet.
    assert again == {"drained": 1, "recorded_again": 2, "waiting": 0, "quarantined": 0}
    assert jangbu.json("balance", "kim")["used_tokens"] == 900
    jangbu.ok("spool", "drain", **LONG_KEPT)
    assert jangbu.json("spool", "status")["kept"] == 0


def test_verify_and_doctor_tell_of_what_waits(jangbu: Jangbu, ledger: Path) -> None:
    assert "spool" in jangbu.json("verify")["checked"]
    assert {check["name"]: check["state"] for check in jangbu.json("doctor")["checks"]}["spool"] == "ok"

    class Before:
        def now(self) -> datetime:
            return datetime.now(UTC) - timedelta(minutes=2)

    living = Spool.open(ledger / "a-process-that-lives", segment_bytes=65_536, clock=Before())
    living.append([b"is never drained, because its owner lives"])
    found = jangbu("verify", "--json")
    assert found.code == 6
    (mismatch,) = found.json["mismatches"]
    assert (mismatch["invariant"], mismatch["expected"], mismatch["found"]) == ("spool", 0, 1)
    checks = {check["name"]: check for check in jangbu.json("doctor")["checks"]}
    assert checks["spool"]["state"] == "warn"
    assert checks["spool"]["found"] == "1 record waiting, 0 files in quarantine"
    living.close()


def test_a_record_of_nobody_is_kept_in_quarantine(jangbu: Jangbu, ledger: Path) -> None:
    spooled(ledger, "kim", "nobody").close()
    drained = jangbu.json("spool", "drain")
    assert (drained["drained"], drained["waiting"], drained["quarantined"]) == (1, 0, 1)
    assert jangbu.json("balance", "kim")["used_tokens"] == 450


def test_records_that_were_put_aside_keep_no_other_from_being_sent_again(jangbu: Jangbu, ledger: Path) -> None:
    left = spooled(ledger, "kim", "nobody")
    left.append([b"cannot be read"])
    left.close()
    drained = jangbu.json("spool", "drain")
    assert (drained["drained"], drained["waiting"], drained["quarantined"]) == (1, 0, 2)
    again = jangbu.json("spool", "drain", "--again")
    assert again == {"drained": 0, "recorded_again": 1, "waiting": 0, "quarantined": 2}
    assert jangbu.json("balance", "kim")["used_tokens"] == 450


def test_what_was_put_aside_is_a_mismatch_until_it_is_recorded_or_removed(jangbu: Jangbu, ledger: Path) -> None:
    left = spooled(ledger, "nobody", "nobody")
    left.append([b"cannot be read"])
    left.close()
    jangbu.ok("spool", "drain")
    found = jangbu("verify", "--json")
    assert (found.code, [each["invariant"] for each in found.json["mismatches"]]) == (6, ["spool"])
    assert (found.json["mismatches"][0]["expected"], found.json["mismatches"][0]["found"]) == (0, 3)
    assert "what is recorded adds up" in jangbu("verify").err
    jangbu.ok("accounts", "create", "nobody")
    # Also when what is kept for a fail-over is gone, the quarantine has all of it.
    for name in (ledger / "a-process-that-died").glob("*.segment"):
        name.unlink()
    again = jangbu.json("spool", "drain", "--again")
    assert (again["recorded_again"], again["quarantined"]) == (2, 1)
    assert jangbu.json("balance", "nobody")["used_tokens"] == 900
    assert jangbu.json("spool", "drain", "--again")["recorded_again"] == 0
    (refused,) = (ledger / "a-process-that-died" / "quarantine").iterdir()
    assert jangbu("verify").code == 6
    refused.unlink()
    assert jangbu("verify").code == 0
