"""Calls as a file: what `usage calls` lists, oldest first, of one user or of everybody."""

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pyarrow.parquet
import pytest

from tests.cli.conftest import Jangbu

Write = Callable[..., str]
FILTERS = (
    (),
    ("--service", "대본"),
    ("--service", "대본", "--model", "gemini-2.5-pro"),
    ("--tag", "feature=writing", "--status", "recorded", "--key", "none"),
    ("--tag", "feature"),
    ("--status", "late"),
    ("--status", "returned"),
    ("--since", "2020-01-31", "--until", "2099-01-31T00:00:00+09:00"),
    ("--until", "2020-01-31"),
)


@pytest.fixture
def shop(jangbu: Jangbu, answer: Write) -> Jangbu:
    """Give a ledger with calls of two users, some tagged, one refunded, and of a model without a price."""
    for number, (user, service, model, noted) in enumerate(
        [
            ("김철수", "대본", "gemini-2.5-flash", {"tags": {"feature": "writing"}}),
            ("김철수", "대본", "gemini-99-dream", {}),
            ("김철수", "=image", "gemini-2.5-flash", {"tags": {"feature": "panel"}}),
            ("lee", "image", "gemini-2.5-flash", {"tags": {"feature": "writing"}}),
        ]
    ):
        if number in (0, 3):
            jangbu.ok("accounts", "create", user)
        words = ("--service", service, "--response", answer(model=model, number=number))
        made = jangbu.json("record", user, *words, "--metadata", json.dumps(noted))
        if number == 1:
            jangbu.ok("ledger", "refund", user, made["id"], "7", "--reason", "useless", "--key", "back-1")
    return jangbu


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("words", FILTERS, ids=" ".join)
def test_a_file_has_the_calls_that_are_listed_oldest_first(shop: Jangbu, words: tuple[str, ...]) -> None:
    listed = shop.json("usage", "calls", "김철수", *words)["calls"][::-1]
    found = lines_of(shop.ok("usage", "export", "김철수", *words, "--format", "jsonl").out)
    assert [each["id"] for each in found] == [each["id"] for each in listed]
    for line, each in zip(found, listed, strict=True):
        told = each.keys() - {"created_at"}
        assert {name: line[name] for name in told} == {name: each[name] for name in told}
    everybody = lines_of(shop.ok("usage", "export", "--all", *words, "--format", "jsonl").out)
    theirs = lines_of(shop.ok("usage", "export", "lee", *words, "--format", "jsonl").out)
    assert everybody == [*theirs, *found]


def test_each_format_is_written_to_a_file_that_is_there_whole(shop: Jangbu) -> None:
    asked = ("usage", "export", "김철수", "--zone", "Asia/Seoul")
    told = shop.json(*asked, "--out", "calls.csv", "--bom")
    assert (told["user"], told["file"], told["calls"], told["zone"]) == ("김철수", "calls.csv", 3, "Asia/Seoul")
    text = (shop.directory / "calls.csv").read_bytes().decode()
    assert text.startswith("\ufeffuser,id,created_at (Asia/Seoul),")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert [row["status"] for row in rows] == ["recorded", "returned", "recorded"]
    assert rows[2]["service"] == "'=image", "a spreadsheet is given no formula"
    assert "3 calls written to calls.parquet" in shop.ok(*asked, "--format", "parquet", "--out", "calls.parquet").out
    table = pyarrow.parquet.read_table(shop.directory / "calls.parquet")
    assert table.column("id").to_pylist() == [row["id"] for row in rows]
    assert "1 call written" in shop.ok("usage", "export", "lee", "--out", "lee.csv").out
    assert sorted(path.suffix for path in shop.directory.iterdir() if "calls" in path.name) == [".csv", ".parquet"]
    assert (shop.directory / "calls.csv").stat().st_mode & 0o777 == 0o600, "nobody else may read it"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_date_is_a_whole_day_of_the_zone_that_times_are_in(shop: Jangbu, zone: str) -> None:
    """At any hour it is another day in one of the two than by UTC."""
    asked = ("usage", "export", "lee", "--format", "jsonl", "--zone", zone)
    (call,) = lines_of(shop.ok(*asked).out)
    day = datetime.fromisoformat(call["created_at"]).date()
    before, after = day - timedelta(days=1), day + timedelta(days=1)
    for words, found in (
        *((("--since", f"{day}"), 1), (("--until", f"{day}"), 1), (("--since", f"{day}", "--until", f"{day}"), 1)),
        *((("--since", f"{after}"), 0), (("--until", f"{before}"), 0)),
    ):
        assert len(lines_of(shop.ok(*asked, *words).out)) == found, words


def test_what_is_no_export_ends_with_2_and_writes_nothing(offline: Jangbu) -> None:
    for words in (
        *((), ("kim", "--all"), ("kim", "--status", "lost"), ("kim", "--tag", "=writing"), ("kim", "--key", "mine")),
        *(("kim", "--since", "yesterday"), ("kim", "--since", "2026-02-01", "--until", "2026-01-31")),
        *(
            ("kim", "--service", ""),
            ("kim", "--model", ""),
            ("kim", "--service", "\udcff"),
            ("kim", "--tag", "\udcff=1"),
        ),
        *(("kim", "--format", "xlsx"), ("kim", "--format", "jsonl", "--bom"), ("kim", "--zone", "Mars/Base")),
    ):
        for asked in (("usage", "export", *words, "--out", "calls.csv"), ("usage", "calls", *words)):
            refused = offline(*asked)
            assert (refused.code, bool(refused.error_line)) == (2, True), asked
    assert offline("usage", "export", "kim", "--state", "late").code == 2
    assert not (offline.directory / "calls.csv").exists()


def test_who_is_not_there_has_no_file_and_neither_has_a_folder_that_is_not_there(shop: Jangbu) -> None:
    assert shop("usage", "export", "nobody", "--out", "nobody.csv").code == 3
    assert not (shop.directory / "nobody.csv").exists()
    assert "cannot be written" in shop("usage", "export", "--all", "--out", "missing/calls.csv").error_line
