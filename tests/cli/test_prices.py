"""Prices from the command line: dated, versioned, and never changed for what was recorded."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, Jangbu

BOOK = {
    "entries": [{"models": ["gemini-99-dream"], "usd": {"input": "0.1", "output": "0.4"}, "source": "the price page"}]
}


def test_the_book_in_force_is_listed_with_exact_prices(jangbu: Jangbu) -> None:
    listed = jangbu.json("prices", "list", "--model", "gemini-2.5-flash")
    assert listed["version"] == 1
    assert ("input", 300_000_000, 1_000_000) in {
        (row["meter"], row["price_nano"], row["unit_size"]) for row in listed["prices"]
    }
    assert "gemini-2.5-flash  input" in jangbu.ok("prices", "list", "--model", "gemini-2.5-flash").out
    assert jangbu("prices", "list", "--version", "99").code == 3


def test_an_own_price_prices_what_comes_and_backfills_what_had_none(jangbu: Jangbu, answer: Callable[..., str]) -> None:
    jangbu.ok("accounts", "create", "kim")
    file = answer(1_000, 2_000, model="gemini-99-dream")
    assert jangbu.json("record", "kim", "--service", "s", "--response", file)["cost_nano"] is None
    price = ("prices", "set", "gemini-99-dream")
    assert jangbu.json(*price, "input", "0.10", "--source", "contract") == {"version": 2, "is_new": True}
    assert "version 2 is in force already" in jangbu.ok(*price, "input", "0.10", "--source", "contract").out
    assert jangbu.json(*price, "output", "0.4", "--source", "contract")["version"] == 3
    assert jangbu.json("prices", "backfill") == {"priced": 1}
    assert jangbu.json("cost", "kim")["total"]["cost_nano"] == 1_000 * 100 + 2_000 * 400
    assert [each["version"] for each in jangbu.json("prices", "versions")["versions"]] == [3, 2, 1]
    assert "everything adds up" in jangbu.ok("verify", "--full").out


def test_an_own_price_is_taken_away_and_the_books_holds_again(jangbu: Jangbu, answer: Callable[..., str]) -> None:
    jangbu.ok("accounts", "create", "kim")
    flash = ("gemini-2.5-flash", "input")
    jangbu.ok("prices", "set", *flash, "0.10", "--source", "contract")
    jangbu.ok("prices", "set", *flash, "0.20", "--source", "contract", "--from", "2099-01-01")
    file = answer(1_000, 0, model="gemini-2.5-flash")
    assert jangbu.json("record", "kim", "--service", "s", "--response", file)["cost_nano"] == 1_000 * 100
    for other in (("--tier", "batch"), ("--platform", "vertex"), ("--above", "5"), ("--from", "2098-01-01")):
        refused = jangbu("prices", "unset", *flash, *other)
        assert refused.code == 3, "that is another price"
        assert "no own price for input of gemini-2.5-flash" in refused.error_line
    assert jangbu.json("prices", "unset", *flash) == {"version": 4, "is_new": True}
    own = [row for row in jangbu.json("prices", "list", "--model", flash[0])["prices"] if row["source"] == "contract"]
    assert [row["valid_from"] for row in own] == ["2099-01-01T00:00:00+00:00"]
    file = answer(2_000, 0, model="gemini-2.5-flash", number=2)
    assert jangbu.json("record", "kim", "--service", "s", "--response", file)["cost_nano"] == 2_000 * 300
    assert jangbu.json("cost", "kim")["total"]["cost_nano"] == 1_000 * 100 + 2_000 * 300
    assert jangbu("prices", "unset", *flash).code == 3
    assert jangbu("prices", "unset", "gemini-2.5-flash", "input", "--platform", "elsewhere").code == 2


def test_a_book_is_compared_then_imported(jangbu: Jangbu, tmp_path: Path) -> None:
    (tmp_path / "book.json").write_text(json.dumps(BOOK))
    changes = jangbu.json("prices", "diff", "book.json")["changes"]
    assert sum(change["kind"] == "added" for change in changes) == 2
    assert jangbu.ok("prices", "diff").out == "no difference\n"
    unasked = jangbu("prices", "import", "book.json")
    assert unasked.code == 2
    assert "gemini-99-dream" in unasked.out
    assert "--yes" in unasked.err
    assert jangbu.json("prices", "versions")["versions"][0]["version"] == 1
    written = jangbu.json("prices", "import", "book.json", "--note", "새 모델", "--yes")
    assert written == {"version": 2, "is_new": True}
    again = jangbu.json("prices", "import", "book.json")
    assert again == {"version": 2, "is_new": False}
    assert len(jangbu.json("prices", "list", "--model", "gemini-99-dream")["prices"]) == 2
    assert jangbu.json("prices", "list", "--model", "gemini-2.5-flash")["prices"], "nothing is taken away"
    assert "새 모델" in jangbu.ok("prices", "versions").out


def test_the_prices_of_genai_prices_are_in_the_shipped_book(jangbu: Jangbu) -> None:
    kinds = {change["kind"] for change in jangbu.json("prices", "diff", "--genai-prices")["changes"]}
    assert "added" not in kinds
    assert "changed" not in kinds


def test_a_markup_is_charged_from_now_on(jangbu: Jangbu, answer: Callable[..., str]) -> None:
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("prices", "markup", "12.5")
    jangbu.json("record", "kim", "--service", "s", "--response", answer(1_000, 0, model="gemini-2.5-flash"))
    total = jangbu.json("cost", "kim")["total"]
    assert (total["cost_nano"], total["charge_nano"]) == (300_000, 337_500)
    for wrong in ("much", "1.23456", "-101"):
        assert jangbu("prices", "markup", "--", wrong).code == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"entries": [{"models": ["m"]}]}', '{"entries": [3]}'])
def test_a_file_that_is_no_price_book_is_refused(offline: Jangbu, tmp_path: Path, content: str) -> None:
    (tmp_path / "book.json").write_text(content)
    refused = offline("prices", "import", "book.json")
    assert refused.code == 2
    assert "book.json" in refused.error_line


@pytest.mark.parametrize(
    "words",
    [
        ("gemini-x", "thinking", "1", "--source", "s"),
        ("gemini-x", "input", "cheap", "--source", "s"),
        ("gemini-x", "input", "0.1234567891", "--source", "s"),
        ("gemini-x", "input", "-1", "--source", "s"),
        ("gemini-x", "input", "1", "--source", " "),
        ("gemini-x", "input", "1", "--source", "s", "--tier", "gold"),
        ("gemini-x", "input", "1", "--source", "s", "--from", "soon"),
        ("gemini-x", "input", "1"),
    ],
)
def test_a_price_that_is_none_is_refused(offline: Jangbu, words: tuple[str, ...]) -> None:
    refused = offline("prices", "set", *words)
    assert refused.code == 2
    assert refused.error_line


def test_an_own_price_has_dates_that_every_zone_knows(jangbu: Jangbu) -> None:
    price = ("prices", "set", "gemini-2.5-flash", "input", "0.1", "--source", "contract")
    for day in ("0001-01-01", "1999-12-31", "9999-12-31"):
        refused = jangbu(*price, "--from", day)
        assert refused.code == 2
        assert "outside of the years 2000 to 8999" in refused.error_line
    assert jangbu.json(*price, "--from", "2000-01-01")["version"] == 2


def test_an_own_price_that_another_one_outdoes_is_refused_and_not_said_to_be_in_force(
    jangbu: Jangbu, answer: Callable[..., str]
) -> None:
    jangbu.ok("accounts", "create", "kim")
    price = ("prices", "set", "gemini-2.5-flash", "input")
    jangbu.ok(*price, "0.10", "--source", "contract", "--from", "2020-01-01")
    refused = jangbu(*price, "0.05", "--source", "a better contract")
    assert refused.code == 2
    assert "from 2020-01-01T00:00:00Z on would win over one that always holds" in refused.error_line
    jangbu.ok(*price, "0.05", "--source", "a better contract", "--from", "2021-01-01")
    jangbu.ok("record", "kim", "--service", "s", "--response", answer(1_000, 0, model="gemini-2.5-flash"))
    assert jangbu.json("cost", "kim")["total"]["cost_nano"] == 1_000 * 50
    for day in ("2020-01-01", "2021-01-01"):
        jangbu.ok("prices", "unset", *price[2:], "--from", day)
    jangbu.ok(*price, "0.20", "--source", "contract", "--from", "2099-01-01")
    assert jangbu.json(*price, "0.05", "--source", "contract")["is_new"], "one that begins later outdoes nothing now"


def test_a_book_is_read_from_standard_input(jangbu: Jangbu) -> None:
    book = json.dumps(BOOK).encode()
    changes = jangbu("prices", "diff", "-", "--json", stdin=book)
    assert sum(change["kind"] == "added" for change in json.loads(changes.out)["changes"]) == 2
    assert jangbu("prices", "diff", "-", "--json", stdin=book.decode().encode("utf-16")).out == changes.out
    assert jangbu("prices", "import", "-", stdin=book).code == 2, "nobody is there to ask"
    assert "price version 2 is in force" in jangbu.ok("prices", "import", "-", "--yes", stdin=book).out
    assert jangbu.json("prices", "versions")["versions"][0]["note"] == "imported from standard input"
    refused = jangbu("prices", "import", "-", "--yes", stdin=b"\xff\xfe{")
    assert (refused.code, "standard input: no UTF-8" in refused.error_line) == (2, True)


def test_a_book_that_a_setting_names_is_grown_by_nothing_that_the_next_start_would_undo(
    jangbu: Jangbu, tmp_path: Path
) -> None:
    (tmp_path / "set.json").write_text(json.dumps(BOOK))
    (tmp_path / "more.json").write_text(json.dumps(BOOK).replace("0.1", "0.2"))

    def with_book(*words: str) -> Ended:
        return jangbu(*words, JANGBU_PRICE_BOOK="set.json")

    refused = with_book("prices", "import", "more.json", "--yes")
    assert refused.code == 2
    assert "JANGBU_PRICE_BOOK" in refused.error_line
    assert with_book("prices", "import", "set.json").code == 0, "that is in force already"
    assert with_book("prices", "set", "gemini-99-dream", "input", "0.3", "--source", "contract").code == 0
    assert with_book("prices", "markup", "20").code == 0
    listed = json.loads(with_book("prices", "list", "--json").out)
    assert [row["price_nano"] for row in listed["prices"] if row["meter"] == "input"] == [100_000_000, 300_000_000]
    (tmp_path / "set.json").write_text((tmp_path / "more.json").read_text())
    listed = json.loads(with_book("prices", "list", "--json").out)
    assert [row["price_nano"] for row in listed["prices"] if row["meter"] == "input"] == [200_000_000, 300_000_000]
