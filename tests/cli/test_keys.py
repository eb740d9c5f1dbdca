"""Keys from the command line: shown once, listed without their secrets, revoked for good."""

import json
import unicodedata

import pytest

from jangbu.config import Settings
from jangbu.domain.keys import Scope, is_wellformed
from jangbu.errors import NotPermitted
from jangbu.wiring import open_metering
from tests.cli.conftest import Jangbu

LIMITS = (
    *("--scope", "generate", "--scope", "live", "--model", "gemini-2.5-*", "--expires", "2099-01-31"),
    *("--requests-per-minute", "60", "--tokens-per-minute", "1,000,000", "--concurrent-calls", "4"),
)


@pytest.fixture
def shop(jangbu: Jangbu) -> Jangbu:
    """Give the command on a ledger with two users."""
    for user in ("kim", "김철수"):
        jangbu.ok("accounts", "create", user)
    return jangbu


def test_a_user_key_is_made_with_its_limits(shop: Jangbu) -> None:
    made = shop.json("keys", "create", "--user", "김철수", "--name", "웹툰", *LIMITS)
    assert is_wellformed(made["key"])
    assert made["key"].startswith("jbu_")
    expected = {
        "kind": "user",
        "name": "웹툰",
        "user": "김철수",
        "hint": made["key"][:8],
        "scopes": ["generate", "live"],
        "models": ["gemini-2.5-*"],
        "requests_per_minute": 60,
        "tokens_per_minute": 1_000_000,
        "concurrent_calls": 4,
        "expires_at": "2099-01-31T00:00:00Z",
        "last_used_at": None,
        "revoked_at": None,
        "state": "active",
    }
    assert {name: made[name] for name in expected} == expected
    assert set(made) - set(expected) == {"key", "id", "created_at", "made_by"}


def test_an_app_key_is_made_with_no_limit(shop: Jangbu) -> None:
    made = shop.json("keys", "create", "--app", "shop server")
    assert made["key"].startswith("jba_")
    assert (made["kind"], made["name"], made["user"], made["scopes"], made["models"]) == (
        "app",
        "shop server",
        None,
        None,
        None,
    )


async def test_what_was_made_is_accepted_until_it_is_revoked(shop: Jangbu, database_url: str) -> None:
    made = shop.json("keys", "create", "--user", "kim")
    settings = Settings.load(database_url=database_url)
    async with open_metering(settings) as metering:
        assert (await metering.keys.authenticate(made["key"])).user == "kim"
    assert shop.json("keys", "list")["keys"][0]["last_used_at"] is not None
    shop.ok("keys", "revoke", made["id"])
    async with open_metering(settings) as metering:
        with pytest.raises(NotPermitted):
            await metering.keys.authenticate(made["key"])


def test_people_are_told_that_the_key_is_shown_once(shop: Jangbu) -> None:
    told = shop.ok("keys", "create", "--user", "kim", *LIMITS).out
    first, *_ = told.splitlines()
    assert is_wellformed(first.removeprefix("key").strip())
    assert "only time that the key is shown" in told
    assert "generate+live, gemini-2.5-*, 60 requests/min, 1,000,000 tokens/min, 4 at a time" in told


def test_a_key_is_shown_nowhere_again(shop: Jangbu) -> None:
    made = shop.json("keys", "create", "--user", "kim")
    for words in (
        ("keys", "list"),
        ("keys", "list", "--json"),
        ("keys", "revoke", made["key"]),
        ("keys", "revoke", made["key"], "--json"),
    ):
        ended = shop.ok(*words)
        assert made["key"][9:] not in ended.out
        assert made["hint"] in ended.out
    missing = shop("keys", "revoke", made["key"][:-1] + "!")
    assert missing.code == 3
    assert made["key"][9:40] not in missing.error_line


def test_the_list_shows_what_each_key_may_do_and_whether_it_is_in_force(shop: Jangbu) -> None:
    app = shop.json("keys", "create", "--app", "shop server")
    kim = shop.json("keys", "create", "--user", "kim", *LIMITS)
    korean = shop.json("keys", "create", "--user", "김철수")
    shop.ok("keys", "revoke", app["id"])
    header, *lines = shop.ok("keys", "list").out.splitlines()
    assert header.split() == ["id", "kind", "name", "user", "hint", "limits", "created", "last", "used", "state"]
    assert [line.split()[0] for line in lines] == [korean["id"], kim["id"], app["id"]]
    assert lines[0].endswith("  active")
    assert lines[1].endswith("  active until 2099-01-31T00:00:00Z")
    assert lines[2].endswith("  revoked")
    assert (
        len({cells(line[: line.index(made["hint"])]) for line, made in zip(lines, (korean, kim, app), strict=True)})
        == 1
    )
    listed = shop.json("keys", "list", "--user", "kim")["keys"]
    assert listed == [{name: value for name, value in kim.items() if name != "key"}]


def test_a_ledger_without_keys_says_how_to_make_one(jangbu: Jangbu) -> None:
    assert "jangbu keys create" in jangbu.ok("keys", "list").out
    assert jangbu.json("keys", "list") == {"keys": []}


def test_a_list_that_is_cut_says_so(shop: Jangbu) -> None:
    for number in range(3):
        shop.ok("keys", "create", "--app", f"app {number}")
    shown = shop.ok("keys", "list", "--limit", "2").out
    assert len(shown.splitlines()) == 4
    assert "more: --limit 20" in shown
    assert "more" not in shop.ok("keys", "list").out


def test_revoking_is_done_once_and_may_be_repeated(shop: Jangbu) -> None:
    made = shop.json("keys", "create", "--user", "kim")
    first = shop.json("keys", "revoke", made["id"])
    again = shop.json("keys", "revoke", made["id"])
    assert (first["state"], first["was_in_force"]) == ("revoked", True)
    assert (again["revoked_at"], again["was_in_force"]) == (first["revoked_at"], False)
    assert "nothing changed" in shop.ok("keys", "revoke", made["id"]).out


def test_a_key_that_is_not_there_is_not_found(shop: Jangbu) -> None:
    refused = shop("keys", "revoke", "0198c0de-0000-7000-8000-000000000000", "--json")
    assert (refused.code, refused.error["code"]) == (3, "not_found")
    assert "keys list" in shop("--project", "another", "keys", "revoke", "x").error_line


def test_a_user_without_an_account_gets_no_key(shop: Jangbu) -> None:
    refused = shop("keys", "create", "--user", "nobody")
    assert refused.code == 3
    assert "jangbu accounts create nobody" in refused.error_line
    assert shop("keys", "list", "--user", "nobody").code == 3


def test_a_full_account_id_names_the_user_of_a_key(shop: Jangbu) -> None:
    account = shop.json("accounts", "show", "김철수")["account_id"]
    made = shop.json("keys", "create", "--user", account)
    assert (made["user"], made["name"]) == ("김철수", "김철수")
    assert [key["id"] for key in shop.json("keys", "list", "--user", account)["keys"]] == [made["id"]]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "give either --user USER or --app NAME"),
        (("--user", "kim", "--app", "web"), "give either --user USER or --app NAME"),
        (("--app", "web", "--name", "other"), "leave --name away"),
        (("--user", "kim", "--requests-per-minute", "0"), "requests a minute 0 is out of range"),
        (("--user", "kim", "--tokens-per-minute", "1.5"), "no whole number"),
        (("--user", "kim", "--concurrent-calls", "-1"), "out of range"),
        (("--user", "kim", "--expires", "tomorrow"), "the expiry"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error_before_anything_is_opened(
    offline: Jangbu, words: tuple[str, ...], why: str
) -> None:
    refused = offline("keys", "create", *words)
    assert refused.code == 2
    assert why in refused.error_line


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--user", "kim", "--scope", "everything"), "one of generate, embed, files"),
        (("--user", "kim", "--model", "gemini-*-pro"), "no model of a key"),
        (("--user", "kim", "--name", ""), "no name of a key"),
        (("--app", ""), "no name of a key"),
        (("--user", "kim", "--requests-per-minute", "2147483648"), "from 1 to 2,147,483,647"),
        (("--user", "kim", "--expires", "2020-01-01"), "passed already"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_a_usage_error(shop: Jangbu, words: tuple[str, ...], why: str) -> None:
    refused = shop("keys", "create", *words)
    assert refused.code == 2
    assert why in refused.error_line
    assert shop.json("keys", "list") == {"keys": []}


def test_the_help_names_every_scope(offline: Jangbu) -> None:
    shown = offline.ok("keys", "create", "--help").out
    assert [scope for scope in Scope if scope not in shown] == []


def test_errors_are_json_where_json_was_asked_for(offline: Jangbu) -> None:
    refused = offline("keys", "create", "--json")
    assert (refused.code, json.loads(refused.err)["error"]["code"]) == (2, "invalid_input")
    assert offline("keys", "list", "--json").code == 7


def cells(text: str) -> int:
    """Give how many cells of a terminal a text takes: two for Hangul."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
