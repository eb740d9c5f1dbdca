"""Entries and corrections from the command line."""

from collections.abc import Callable

import pytest

from tests.cli.conftest import Jangbu

Write = Callable[..., str]


@pytest.fixture
def kim(jangbu: Jangbu) -> Jangbu:
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("grant", "kim", "10000", "--key", "order-1")
    return jangbu


def spend(jangbu: Jangbu, file: str) -> str:
    call: str = jangbu.json("record", "kim", "--service", "text_generation", "--response", file)["id"]
    return call


def test_entries_are_shown_newest_first_with_their_running_balance(kim: Jangbu, answer: Write) -> None:
    spend(kim, answer(150, 300))
    shown = kim.json("ledger", "kim")
    assert [(each["seq"], each["kind"], each["delta"], each["balance_after"]) for each in shown["entries"]] == [
        (2, "usage", -450, 9_550),
        (1, "grant", 10_000, 10_000),
    ]
    header, newest, oldest = kim.ok("ledger", "kim").out.splitlines()
    assert header.split() == ["seq", "time", "kind", "delta", "balance_after", "reference", "reason", "key"]
    assert newest.split()[2:] == ["usage", "-450", "9,550"]
    assert oldest.split()[2:] == ["grant", "+10,000", "10,000", "order-1"]


def test_entries_are_paged(kim: Jangbu, answer: Write) -> None:
    spend(kim, answer())
    page = kim.json("ledger", "--limit", "1", "kim")
    assert ([each["seq"] for each in page["entries"]], page["next"]) == ([2], 2)
    rest = kim.json("ledger", "show", "kim", "--before", "2")
    assert ([each["seq"] for each in rest["entries"]], rest["next"]) == ([1], None)


def test_a_user_named_like_a_verb_is_shown_by_the_verb(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "refund")
    assert jangbu.json("ledger", "show", "refund")["user"] == "refund"


def test_a_refund_gives_back_no_more_than_the_call_was_charged(kim: Jangbu, answer: Write) -> None:
    call = spend(kim, answer(150, 300))
    refund = ("ledger", "refund", "kim", call)
    first = kim.json(*refund, "400", "--reason", "출력 오류", "--key", "r1")
    assert (first["available"], first["replayed"]) == (9_950, False)
    assert "nothing changed" in kim.ok(*refund, "400", "--reason", "출력 오류", "--key", "r1").out
    refused = kim(*refund, "51", "--reason", "too much", "--key", "r2")
    assert refused.code == 2
    assert "charged 450 and 400 were given back" in refused.error_line
    assert kim.json("balance", "kim")["available"] == 9_950
    assert "출력 오류" in kim.ok("ledger", "kim").out


def test_a_call_is_voided_once(kim: Jangbu, answer: Write) -> None:
    call = spend(kim, answer(150, 300))
    assert kim.json("ledger", "void", "kim", call, "--reason", "duplicate")["available"] == 10_000
    assert kim.json("ledger", "void", "kim", call, "--reason", "duplicate")["replayed"] is True
    assert "everything adds up" in kim.ok("verify").out


def test_a_balance_is_adjusted_down_and_up(kim: Jangbu) -> None:
    assert kim.json("ledger", "adjust", "kim", "-500", "--reason", "-1 was wrong", "--key", "-a")["available"] == 9_500
    assert "by +200 tokens" in kim.ok("ledger", "adjust", "kim", "200", "--reason", "r", "--key", "b").out
    entries = kim.json("ledger", "kim")["entries"]
    assert [(each["delta"], each["reason"]) for each in entries[:2]] == [(200, "r"), (-500, "-1 was wrong")]


@pytest.mark.parametrize(
    "words",
    [
        ("adjust", "kim", "0", "--reason", "r", "--key", "k"),
        ("adjust", "kim", "5", "--reason", " ", "--key", "k"),
        ("adjust", "kim", "5", "--reason", "r", "--key", ""),
        ("refund", "kim", "no-id", "5", "--reason", "r", "--key", "k"),
        ("refund", "kim", "01890a5d-ac96-774b-bcce-b302099a8057", "-5", "--reason", "r", "--key", "k"),
        ("show", "kim", "--limit", "0"),
        ("adjust", "kim", "--reason", "r", "--key", "k"),
    ],
)
def test_a_correction_that_is_none_is_refused(kim: Jangbu, words: tuple[str, ...]) -> None:
    refused = kim("ledger", *words)
    assert refused.code == 2
    assert refused.error_line
    assert kim.json("balance", "kim")["available"] == 10_000


def test_what_is_not_there_is_not_found(kim: Jangbu) -> None:
    nothing = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert kim("ledger", "nobody").code == 3
    assert kim("ledger", "void", "kim", nothing, "--reason", "r").code == 3
    assert kim("ledger", "refund", "kim", nothing, "5", "--reason", "r", "--key", "k").code == 3
