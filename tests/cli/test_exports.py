"""A user's history in a file, checked by somebody who has nothing but the file."""

import json
import subprocess
from pathlib import Path

import pytest

from jangbu.storage.database import Database
from tests.cli.conftest import Jangbu


@pytest.fixture
def book(jangbu: Jangbu) -> Jangbu:
    """Give the command on a ledger with a history in it, and a data directory of its own for the key."""
    kim = Jangbu(jangbu.directory, {**jangbu.environment, "JANGBU_DATA_DIR": str(jangbu.directory / "data")})
    kim.ok("accounts", "create", "김철수")
    kim.ok("grant", "김철수", "10000", "--key", "order-1")
    kim.ok("ledger", "adjust", "김철수", "-500", "--reason", "잘못 준 토큰", "--key", "slip")
    return kim


def test_an_export_is_checked_where_there_is_no_database(book: Jangbu, offline: Jangbu) -> None:
    written = book.json("ledger", "export", "김철수", "--signed", "--out", "kim.jsonl")
    assert (written["user"], written["entries"]) == ("김철수", 2)
    found = offline.json("ledger", "check", "kim.jsonl", "--public-key", written["public_key"].upper())
    assert (found["ok"], found["entries"], found["line"]) == (True, 2, None)
    assert found["public_key"] == written["public_key"]
    assert "2 entries of 김철수 (project default," in offline.ok("ledger", "check", "kim.jsonl").out
    assert "잘못 준 토큰" in (book.directory / "kim.jsonl").read_text(encoding="utf-8")


def test_a_line_that_was_changed_ends_with_6_and_its_number(book: Jangbu, offline: Jangbu) -> None:
    book.ok("ledger", "export", "김철수", "--signed", "--out", "kim.jsonl")
    file = book.directory / "kim.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"delta": -500', b'"delta": -400'))
    changed = offline("ledger", "check", "kim.jsonl")
    assert changed.code == 6
    assert changed.out.startswith("line 3 differs; 1 entry of 김철수")
    assert changed.err.startswith("error: line 3 entry 2 does not have the hash of what it says")
    told = offline("ledger", "check", "kim.jsonl", "--json")
    assert (told.code, told.json["ok"], told.json["line"]) == (6, False, 3)


def test_what_is_no_export_ends_with_2(offline: Jangbu, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello\n")
    assert "this is no export of a ledger" in offline("ledger", "check", "note.txt").error_line
    for words in (("note.txt",), ("missing.jsonl",), (str(tmp_path),), ("note.txt", "--public-key", "abc")):
        assert offline("ledger", "check", *words).code == 2, words


def test_an_export_goes_to_standard_output_and_comes_from_standard_input(book: Jangbu, offline: Jangbu) -> None:
    lines = book.ok("ledger", "export", "김철수", PYTHONIOENCODING="ascii").out
    assert [json.loads(line).get("seq") for line in lines.splitlines()] == [None, 1, 2, None]
    found = offline.json("ledger", "check", "-", stdin=lines.encode())
    assert (found["ok"], found["public_key"]) == (True, None)


def test_ones_own_key_signs(book: Jangbu) -> None:
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", "own.pem"], cwd=book.directory, check=True, timeout=60
    )
    own = {"JANGBU_SIGNING_KEY": "own.pem"}
    first = book.json("ledger", "export", "김철수", "--signed", "--out", "a.jsonl", **own)
    made = book.json("ledger", "export", "김철수", "--signed", "--out", "b.jsonl")
    again = book.json("ledger", "export", "김철수", "--signed", "--out", "b.jsonl")
    assert first["public_key"] != made["public_key"] == again["public_key"]
    other = book("ledger", "check", "b.jsonl", "--public-key", first["public_key"])
    assert (other.code, "is not signed by the key" in other.err) == (6, True)


async def test_a_ledger_that_was_tampered_with_is_not_exported(book: Jangbu, database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE jangbu.entries SET reason = 'a gift' WHERE seq = 2")
    refused = book("ledger", "export", "김철수", "--signed", "--out", "kim.jsonl")
    assert (refused.code, refused.error_line.startswith("error: the chain of the ledger breaks at entry 2")) == (
        6,
        True,
    )
    assert [path.name for path in book.directory.iterdir() if "jsonl" in path.name] == []
    assert book("verify", "--json").json["mismatches"][0]["what"] == "tokens: hash of entry 2"


def test_a_user_who_is_not_there_is_not_exported(book: Jangbu) -> None:
    assert book("ledger", "export", "nobody", "--out", "nobody.jsonl").code == 3
    assert not (book.directory / "nobody.jsonl").exists()
    assert book("ledger", "export", "김철수", "--out", "missing/kim.jsonl").code == 1


def test_a_later_export_is_compared_with_an_earlier_one(book: Jangbu, offline: Jangbu) -> None:
    book.ok("ledger", "export", "김철수", "--signed", "--out", "may.jsonl")
    book.ok("grant", "김철수", "5", "--key", "order-2")
    book.ok("ledger", "export", "김철수", "--signed", "--out", "june.jsonl")
    assert offline.json("ledger", "check", "june.jsonl", "--extends", "may.jsonl")["ok"] is True
    turned = offline("ledger", "check", "may.jsonl", "--extends", "june.jsonl")
    assert (turned.code, "shorter than that of the earlier export" in turned.err) == (6, True)
    (book.directory / "may.jsonl").write_bytes(b"hello")
    assert offline("ledger", "check", "june.jsonl", "--extends", "may.jsonl").code == 2
