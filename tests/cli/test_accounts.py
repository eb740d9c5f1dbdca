"""Accounts, grants and balances from the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import Jangbu


def test_an_account_is_opened_once(jangbu: Jangbu) -> None:
    assert jangbu.ok("accounts", "create", "kim").out == "account of kim opened\n"
    assert jangbu.ok("accounts", "create", "kim").out == "account of kim was open already\n"
    again = jangbu.json("accounts", "create", "kim")
    assert (again["user"], again["is_new"], again["balance"], again["state"]) == ("kim", False, 0, "active")


def test_a_grant_is_granted_once_for_its_key(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "kim")
    first = jangbu.json("grant", "kim", "100000", "--key", "order-1")
    again = jangbu.json("grant", "kim", "100,000", "--key", "order-1")
    assert (first["amount"], first["balance"], first["replayed"]) == (100_000, 100_000, False)
    assert (again["id"], again["balance"], again["replayed"]) == (first["id"], 100_000, True)
    assert "granted before" in jangbu.ok("grant", "kim", "100_000", "--key", "order-1").out
    assert jangbu.ok("grant", "kim", "1", "--key", "order-2").out == "1 token granted to kim: 100,001 available\n"


def test_a_key_with_other_content_is_a_conflict(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("grant", "kim", "100", "--key", "order-1")
    refused = jangbu("grant", "kim", "200", "--key", "order-1", "--json")
    assert refused.code == 1
    assert refused.error["code"] == "idempotency_conflict"
    assert jangbu("grant", "kim", "200", "--key", "order-1").error_line.startswith("error: key 'order-1' was used at ")
    assert jangbu.json("balance", "kim")["balance"] == 100


def test_a_balance_says_what_was_bought_used_held_and_is_left(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("grant", "kim", "1234567", "--key", "order-1")
    assert jangbu.json("balance", "kim") == {
        "user": "kim",
        "balance": 1_234_567,
        "used_tokens": 0,
        "held_tokens": 0,
        "available": 1_234_567,
        "expiring": None,
    }
    header, line = jangbu.ok("balance", "kim").out.splitlines()
    assert header.split() == ["user", "balance", "used_tokens", "held_tokens", "available"]
    assert line.split() == ["kim", "1,234,567", "0", "0", "1,234,567"]


def test_a_balance_says_what_expires_within_a_week(jangbu: Jangbu) -> None:
    first, last, later = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (2, 6, 8))
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("grant", "kim", "1", "--key", "first", "--expires", first)
    jangbu.ok("grant", "kim", "7000", "--key", "later", "--expires", later)
    assert jangbu.json("balance", "kim")["expiring"] == {"tokens": 1, "first_at": first, "last_at": first}
    said = jangbu.ok("balance", "kim").out.splitlines()[2:]
    assert said == [f"1 token expires on {first} unless it is used before"]
    jangbu.ok("grant", "kim", "500", "--key", "second", "--expires", first)
    said = jangbu.ok("balance", "kim").out.splitlines()[2:]
    assert said == [f"501 tokens expire on {first} unless they are used before"]
    jangbu.ok("grant", "kim", "1000", "--key", "last", "--expires", last)
    assert jangbu.json("balance", "kim")["expiring"] == {"tokens": 1_501, "first_at": first, "last_at": last}
    said = jangbu.ok("balance", "kim").out.splitlines()[2:]
    assert said == [f"1,501 tokens expire by {last} unless they are used before, the first of them on {first}"]


def test_a_full_account_id_names_a_user(jangbu: Jangbu) -> None:
    account = jangbu.json("accounts", "create", "김철수")["account_id"]
    assert jangbu.json("balance", account)["user"] == "김철수"


def test_an_account_shows_its_grants_with_their_expiry(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("grant", "kim", "500", "--key", "a", "--source", "gift", "--priority", "-1", "--expires", "2099-01-31")
    jangbu.ok("grant", "kim", "700", "--key", "b", "--expires", "2098-01-31T09:00:00+09:00")
    shown = jangbu.json("accounts", "show", "kim")
    assert [(each["amount"], each["priority"], each["expires_at"]) for each in shown["grants"]] == [
        (700, 0, "2098-01-31T00:00:00Z"),
        (500, -1, "2099-01-31T00:00:00Z"),
    ]
    assert "2098-01-31T00:00:00Z" in jangbu.ok("accounts", "show", "kim").out


def test_a_blocked_account_is_shown_as_blocked_until_it_is_unblocked(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "kim")
    assert jangbu.json("accounts", "block", "kim")["state"] == "blocked"
    assert jangbu.ok("accounts", "block", "kim", "--unblock").out == "account of kim is active\n"


def test_a_token_of_a_users_view_is_printed_alone(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "kim")
    shown = jangbu.json("accounts", "view-token", "kim", "--seconds", "60")
    assert (shown["user"], shown["token"].count(".")) == ("kim", 2)
    assert jangbu.ok("accounts", "view-token", "kim").out.count("\n") == 1
    assert jangbu.ok("accounts", "revoke-view-tokens").out.startswith("no token that was made until now")
    assert jangbu("accounts", "view-token", "kim", "--seconds", "3601").code == 2
    assert jangbu("accounts", "view-token", "lee").code == 3


def test_accounts_are_listed_page_by_page(jangbu: Jangbu) -> None:
    for user in ("a", "b", "c"):
        jangbu.ok("accounts", "create", user)
    first = jangbu.json("accounts", "list", "--limit", "2")
    assert ([each["user"] for each in first["accounts"]], first["next"]) == (["a", "b"], "b")
    second = jangbu.json("accounts", "list", "--limit", "2", "--after", "b")
    assert ([each["user"] for each in second["accounts"]], second["next"]) == (["c"], None)


def test_another_project_has_other_users(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "kim")
    assert jangbu("balance", "kim", "--project", "other").code == 3
    assert jangbu("--project", "other", "balance", "kim").code == 3


@pytest.mark.parametrize(
    ("amount", "why"),
    [
        ("-5", "out of range"),
        ("0", "out of range"),
        ("1.5", "no whole number"),
        ("1e6", "no whole number"),
        ("９", "no whole number"),
        ("1,00", "no whole number"),
        ("9223372036854775808", "out of range"),
        ("9" * 5000, "out of range"),
        ("", "no whole number"),
    ],
)
def test_an_amount_that_is_no_count_of_tokens_is_refused(offline: Jangbu, amount: str, why: str) -> None:
    refused = offline("grant", "kim", amount, "--key", "k")
    assert refused.code == 2
    assert why in refused.error_line


@pytest.mark.parametrize("expiry", ["tomorrow", "2027-13-01", "2027-01-01T09:00:00", ""])
def test_an_expiry_that_is_no_moment_is_refused(offline: Jangbu, expiry: str) -> None:
    refused = offline("grant", "kim", "5", "--key", "k", "--expires", expiry)
    assert refused.code == 2
    assert "the expiry" in refused.error_line


def test_a_grant_to_nobody_says_how_to_open_the_account(jangbu: Jangbu) -> None:
    refused = jangbu("grant", "nobody", "5", "--key", "k")
    assert refused.code == 3
    assert "jangbu accounts create nobody" in refused.error_line


def test_who_erases_nobody_is_told_who_has_an_account(jangbu: Jangbu) -> None:
    for yes in ((), ("--yes",)):
        refused = jangbu("accounts", "erase", "nobody", *yes)
        assert refused.code == 3
        assert "'nobody' has no account" in refused.error_line
        assert "`jangbu accounts list` shows who has one" in refused.error_line


def test_what_is_advised_means_the_same_project(jangbu: Jangbu) -> None:
    refused = jangbu("--project", "the shop", "grant", "nobody", "5", "--key", "k")
    assert "`jangbu accounts create nobody --project 'the shop'`" in refused.error_line


@pytest.mark.parametrize("user", ["", "a\nb", "x" * 201, "\x1b[31mred"])
def test_a_name_that_is_no_user_id_is_refused_on_one_line(jangbu: Jangbu, user: str) -> None:
    refused = jangbu("accounts", "create", user)
    assert refused.code == 2
    assert "no user id" in refused.error_line
    assert "\x1b" not in refused.err
