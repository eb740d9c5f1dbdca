"""``jangbu grant --file``: a CSV is looked at whole, and granted once."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Jangbu

PLAIN = "user,tokens,expires,priority,source\nkim,1000\n이서연,500,2099-01-31,-1,gift\n"


@pytest.fixture
def file(jangbu: Jangbu, tmp_path: Path) -> Path:
    """Give a file of grants for two users that there are."""
    for user in ("kim", "이서연"):
        jangbu.ok("accounts", "create", user)
    path = tmp_path / "grants.csv"
    path.write_text(PLAIN, encoding="utf-8-sig")
    return path


def balances(jangbu: Jangbu) -> dict[str, int]:
    return {each["user"]: each["balance"] for each in jangbu.json("accounts", "list")["accounts"]}


def test_a_dry_run_shows_what_would_be_granted_and_grants_nothing(jangbu: Jangbu, file: Path) -> None:
    for more in ((), ("--yes",)):
        *lines, said = jangbu.ok("grant", "--file", str(file), "--dry-run", "--key", "june", *more).out.splitlines()
        assert [line.split() for line in lines] == [
            ["line", "user", "tokens", "expires", "priority", "source", "available", "granted"],
            ["2", "kim", "1,000", "never", "0", "purchase", "0"],
            ["3", "이서연", "500", "2099-01-31T00:00:00Z", "-1", "gift", "0"],
        ]
        assert said == "to grant: 1,500 tokens to 2 accounts (key june)"
    found = jangbu.json("grant", "--file", str(file), "--dry-run", "--key", "june")
    assert (found["schema_version"], found["ok"], found["dry_run"], found["key"]) == (1, True, True, "june")
    assert (found["accounts"], found["tokens"], found["replayed"]) == (2, 1_500, 0)
    assert found["grants"][1] == {
        "line": 3, "user": "이서연", "amount": 500, "expires_at": "2099-01-31T00:00:00Z", "priority": -1,
        "source": "gift", "id": None, "replayed": False,
    }  # fmt: skip
    assert set(balances(jangbu).values()) == {0}


def test_a_file_is_granted_once_however_often(jangbu: Jangbu, file: Path) -> None:
    first = jangbu.json("grant", "--file", str(file), "--yes", "--key", "june")
    assert (first["tokens"], first["replayed"], first["dry_run"]) == (1_500, 0, False)
    assert balances(jangbu) == {"kim": 1_000, "이서연": 500}
    file.write_text(PLAIN.replace(",", ";"), encoding="cp949")
    again = jangbu.json("grant", "--file", str(file), "--key", "june")
    assert again["replayed"] == 2
    assert [each["id"] for each in again["grants"]] == [each["id"] for each in first["grants"]]
    said = jangbu.ok("grant", "--file", "-", "--yes", "--key", "june", stdin=PLAIN.encode()).out
    assert said == "0 tokens to 0 accounts granted; 2 accounts had theirs before with this key (key june)\n"
    assert balances(jangbu) == {"kim": 1_000, "이서연": 500}
    jangbu.ok("grant", "--file", str(file), "--yes", "--key", "july")
    assert balances(jangbu) == {"kim": 2_000, "이서연": 1_000}


@pytest.mark.parametrize("words", [("--yes",), ("--dry-run",), ("--yes", "--key", " june"), ("--yes", "--key", "")])
def test_a_file_without_a_key_is_refused(jangbu: Jangbu, file: Path, words: tuple[str, ...]) -> None:
    refused = jangbu("grant", "--file", str(file), *words)
    assert refused.code == 2
    assert ("under one key nobody is granted twice; a new month, a new key" in refused.err) is ("--key" not in words)
    assert set(balances(jangbu).values()) == {0}


def test_a_wrong_file_grants_nothing_and_names_each_line(jangbu: Jangbu, file: Path) -> None:
    file.write_text("user,tokens,expires\nkim,0,2020-01-01\nlee,5\nkim,5\n이서연,5,2020-01-01\n")
    refused = jangbu("grant", "--file", str(file), "--yes", "--key", "june")
    assert refused.code == 2
    assert [line.split()[0] for line in refused.out.splitlines()] == ["line", "2", "3", "4", "5"]
    assert refused.err.startswith(f"error: 4 lines of {file} cannot be granted, and nothing was; line 2: '0' is no ")
    assert refused.err.count("\n") == 1
    as_json = jangbu("grant", "--file", str(file), "--yes", "--key", "june", "--json")
    assert (as_json.code, as_json.error["code"], as_json.json["ok"]) == (2, "invalid_input", False)
    codes = [(each["line"], each["code"]) for each in as_json.json["errors"]]
    assert codes == [(2, "tokens"), (3, "unknown"), (4, "twice"), (5, "past")]
    assert all(each["message"] and each["hint"] for each in as_json.json["errors"])
    assert set(balances(jangbu).values()) == {0}


def test_users_of_whom_nobody_knows_are_not_found(jangbu: Jangbu, file: Path) -> None:
    file.write_text("user,tokens\nkim,5\nlee,5\n")
    refused = jangbu("grant", "--file", str(file), "--yes", "--key", "june", "--json")
    assert (refused.code, refused.error["code"]) == (3, "not_found")
    account = jangbu.json("accounts", "show", "kim")["account_id"]
    file.write_text(f"user,tokens\n{account},5\n")
    assert jangbu("grant", "--file", str(file), "--yes", "--key", "june").code == 3, (
        "in a file a user is named by their own id alone"
    )
    assert set(balances(jangbu).values()) == {0}


def test_a_key_that_was_used_for_other_lines_is_a_conflict(jangbu: Jangbu, file: Path) -> None:
    jangbu.ok("grant", "--file", str(file), "--yes", "--key", "june")
    file.write_text(PLAIN.replace("1000", "2000"))
    for words in (("--yes",), ("--dry-run",)):
        refused = jangbu("grant", "--file", str(file), "--key", "june", *words, "--json")
        assert (refused.code, refused.error["code"]) == (1, "idempotency_conflict")
        assert "only the lines that are new into a file under a new key" in refused.error["hint"]
    assert balances(jangbu) == {"kim": 1_000, "이서연": 500}


@pytest.mark.parametrize(
    "words",
    [
        ("kim", "5", "--key", "a", "--dry-run"), ("kim", "5", "--key", "a", "--yes"), ("kim", "--file", "f"),
        ("--file", "f", "--key", "a", "--expires", "2099-01-01"), ("--file", "f", "--key", "a", "--source", "gift"),
        ("--file", "f", "--key", "a", "--priority", "1"), ("kim", "5", "--file", "f"), ("--key", "a"),
        ("kim", "--key", "a"), ("--file", "f"), ("--file", "no-such-file", "--key", "a"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_a_usage_error_and_grants_nothing(offline: Jangbu, words: tuple[str, ...]) -> None:
    refused = offline("grant", *words)
    assert refused.code == 2
    assert refused.error_line


def test_nothing_is_granted_where_nobody_agrees(jangbu: Jangbu, file: Path) -> None:
    for more in ((), ("--json",)):
        refused = jangbu("grant", "--file", str(file), "--key", "june", *more)
        assert (refused.code, "give --yes" in refused.err) == (2, True)
    assert "to grant: 1,500 tokens to 2 accounts" in jangbu("grant", "--file", str(file), "--key", "june").out
    assert set(balances(jangbu).values()) == {0}


@pytest.mark.parametrize(("answer", "code", "granted"), [(b"y\n", 0, 1_000), (b"n\n", 2, 0)])
def test_a_person_is_asked_and_sees_how_far_it_is(
    jangbu: Jangbu, file: Path, answer: bytes, code: int, granted: int
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "jangbu", "grant", "--file", str(file), "--key", "june"],
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, cwd=jangbu.directory,
        env={**jangbu.environment, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(ours, 1_000)
    os.write(ours, answer)
    out, _ = process.communicate(timeout=60)
    os.set_blocking(ours, False)
    seen += os.read(ours, 100_000)
    os.close(ours)
    assert process.returncode == code
    assert b"Grant 1,500 tokens to 2 accounts?" in seen
    assert (b"granting" in seen) is (code == 0), "the bar is on standard error"
    assert b"granting" not in out
    assert balances(jangbu)["kim"] == granted
