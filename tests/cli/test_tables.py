"""Tables: aligned whatever the script, and harmless whatever the content."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from jangbu.cli.output import one_line
from jangbu.cli.tables import pairs, table


def width(text: str) -> int:
    """Give the cells that a terminal uses: two for Hangul and its like."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def test_korean_text_and_latin_text_line_up() -> None:
    lines = table(("user", "tokens>"), [("김철수", "1,000"), ("kim", "20"), ("이서연abc", "3")]).splitlines()
    assert {width(line) for line in lines} == {width("이서연abc") + 2 + len("tokens")}
    assert lines[1] == "김철수      1,000"
    assert lines[2] == "kim            20"


def test_numbers_stand_to_the_right_and_text_to_the_left() -> None:
    assert table(("a", "b>"), [("x", "1"), ("xx", "22")]).splitlines() == ["a    b", "x    1", "xx  22"]


def test_a_table_without_rows_says_so() -> None:
    assert table(("a",), [], empty="no accounts") == "no accounts"


def test_long_cells_are_neither_cut_nor_wrapped_where_no_terminal_is() -> None:
    long = "가" * 3_000
    assert table(("a",), [(long,)]).splitlines() == ["a", long]


def test_markup_is_text() -> None:
    assert table(("a",), [("[red]x[/red] :smile:",)]).splitlines()[1] == "[red]x[/red] :smile:"


@given(st.text())
def test_nothing_that_a_terminal_obeys_gets_through(text: str) -> None:
    assert one_line(text).isprintable()
    assert one_line(text) == " ".join(one_line(text).split(" "))


def test_pairs_line_up() -> None:
    assert pairs([("user", "김철수"), ("available", "5")]).splitlines() == ["user       김철수", "available  5"]
