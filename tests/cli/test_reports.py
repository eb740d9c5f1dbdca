"""Totals, days, costs and the explanation of a call."""

import json
from collections.abc import Callable

import pytest

from tests.cli.conftest import Jangbu

Write = Callable[..., str]
CALL_COST = 150 * 300 + 300 * 2_500
"""Nano-USD of 150 tokens into gemini-2.5-flash and 300 out."""


@pytest.fixture
def shop(jangbu: Jangbu, answer: Write) -> Jangbu:
    """Give a ledger with two users, two services, a priced and an unpriced model."""
    for number, (user, service, model) in enumerate(
        [
            ("김철수", "대본", "gemini-2.5-flash"),
            ("김철수", "대본", "gemini-2.5-flash"),
            ("lee", "image", "gemini-99-dream"),
        ]
    ):
        jangbu.ok("accounts", "create", user)
        jangbu.ok("record", user, "--service", service, "--response", answer(model=model, number=number))
    return jangbu


def test_totals_are_sum_count_and_average_by_service_and_model(shop: Jangbu) -> None:
    [line] = shop.json("usage", "totals", "김철수")["totals"]
    assert (line["service"], line["model"]) == ("대본", "gemini-2.5-flash")
    assert (line["total_tokens"], line["calls"], line["average_tokens"]) == (900, 2, 450)
    assert (line["prompt_tokens"], line["completion_tokens"], line["cost_nano"]) == (300, 600, 2 * CALL_COST)
    everybody = shop.json("usage", "totals", "--all")
    assert (len(everybody["totals"]), everybody["total"]["total_tokens"]) == (2, 1_350)
    assert shop.ok("usage", "totals", "김철수").out.splitlines()[1].split()[:7] == [
        "대본", "gemini-2.5-flash", "2", "300", "600", "0", "900",
    ]  # fmt: skip


def test_days_are_listed_newest_first_and_filled_with_zeros_on_demand(shop: Jangbu) -> None:
    [day] = shop.json("usage", "daily", "김철수")["days"]
    assert (day["service"], day["calls"], day["total_tokens"]) == ("대본", 2, 900)
    week = shop.json("usage", "daily", "김철수", "--days", "7", "--zeros")["days"]
    assert [each["calls"] for each in week] == [2, 0, 0, 0, 0, 0, 0]
    assert [each["day"] for each in week] == sorted((each["day"] for each in week), reverse=True)
    assert shop.json("usage", "daily", "--all", "--until", "2020-01-31")["days"] == []
    assert shop.ok("usage", "daily", "--all", "--until", "2020-01-31").out == "no calls\n"


@pytest.mark.parametrize(("by", "names"), [("model", 2), ("service", 2), ("user", 2)])
def test_costs_are_grouped_and_what_has_no_price_is_never_nothing(shop: Jangbu, by: str, names: int) -> None:
    found = shop.json("cost", "--all", "--by", by)
    priced, unpriced = found["costs"]
    assert len(found["costs"]) == names
    assert (priced["cost_nano"], priced["input_cost_nano"]) == (2 * CALL_COST, 2 * 150 * 300)
    assert (unpriced["cost_nano"], unpriced["unpriced"]) == (None, 1)
    shown = shop.ok("cost", "--all", "--by", by).out
    assert "$0.001590" in shown
    assert "unpriced" in shown.splitlines()[2]


def test_calls_are_listed_with_their_ids_page_by_page_and_nobody_elses(shop: Jangbu) -> None:
    newest = shop.json("usage", "calls", "김철수", "--limit", "1")
    oldest = shop.json("usage", "calls", "김철수", "--limit", "2", "--before", newest["next"])
    assert [len(page["calls"]) for page in (newest, oldest)] == [1, 1]
    assert (newest["next"], oldest["next"]) == (newest["calls"][0]["id"], None)
    assert newest["calls"][0]["id"] > oldest["calls"][0]["id"]
    assert shop.json("explain", oldest["calls"][0]["id"])["user"] == "김철수"
    [other] = shop.json("usage", "calls", "lee")["calls"]
    assert (other["service"], other["model"], other["cost_nano"]) == ("image", "gemini-99-dream", None)
    assert (other["prompt_tokens"], other["completion_tokens"], other["total_tokens"]) == (150, 300, 450)
    lines = shop.ok("usage", "calls", "김철수", "--limit", "1").out.splitlines()
    assert lines[1].split()[2:] == ["대본", "gemini-2.5-flash", "150", "300", "450", "$0.000795", "recorded"]
    assert lines[2] == f"(more: --before {newest['next']})"
    assert shop("usage", "calls", "nobody").code == 3
    assert shop("usage", "calls", "lee", "--before", "first").code == 2


def test_calls_are_narrowed_by_time_part_status_tag_and_key(shop: Jangbu, answer: Write) -> None:
    tagged = ("--metadata", '{"tags": {"feature": "writing"}}', "--response", answer(number=9))
    first = shop.json("record", "김철수", "--service", "panel", *tagged)["id"]
    every = [each["id"] for each in shop.json("usage", "calls", "김철수")["calls"]]
    for words, found in (
        (("--service", "panel"), [first]),
        (("--service", "panel", "--model", "gemini-2.5-pro"), []),
        (("--tag", "feature=writing", "--status", "recorded", "--key", "none"), [first]),
        (("--tag", "feature"), [first]),
        (("--tag", "feature=comics"), []),
        (("--status", "late"), []),
        (("--key", first), []),
        (("--since", "2020-01-31", "--until", "2099-01-31T00:00:00+09:00"), every),
        (("--until", "2020-01-31"), []),
    ):
        told = shop.json("usage", "calls", "김철수", *words)
        assert ([each["id"] for each in told["calls"]], told["is_whole"]) == (found, True), words
    for words in (
        *(("--status", "lost"), ("--tag", "=writing"), ("--key", "mine"), ("--since", "yesterday")),
        ("--since", "2026-02-01", "--until", "2026-01-31"),
    ):
        assert shop("usage", "calls", "김철수", *words).code == 2, words


def test_one_user_or_everybody_must_be_named(offline: Jangbu) -> None:
    for words in (("cost",), ("cost", "kim", "--all"), ("usage", "totals"), ("usage", "daily", "--days", "0", "--all")):
        assert offline(*words).code == 2
        assert offline(*words).error_line
    refused = offline("cost", "--all", "--by", "dog")
    assert (refused.code, refused.error_line) == (
        2, "error: costs are not kept by 'dog'; one of model, service, user\n"
    )  # fmt: skip


def test_a_user_without_an_account_is_not_found(jangbu: Jangbu) -> None:
    assert [jangbu(*words, "nobody").code for words in (("usage", "totals"), ("usage", "daily"), ("cost",))] == [
        3,
        3,
        3,
    ]


def test_a_call_is_explained_from_googles_words_to_the_debit(jangbu: Jangbu, answer: Write) -> None:
    jangbu.ok("accounts", "create", "김철수")
    jangbu.ok("grant", "김철수", "1000", "--key", "order-1")
    record = ("record", "김철수", "--service", "대본", "--response", answer(150, 300), "--metadata", '{"panels": 4}')
    call = jangbu.json(*record)["id"]
    found = jangbu.json("explain", call)
    assert found["evidence"]["usage"][0]["totalTokenCount"] == 450
    assert [line["amount_nano"] for line in found["price_lines"]] == [150 * 300, 300 * 2_500]
    assert found["cost_nano"] == CALL_COST
    assert (found["entry"]["delta"], found["entry"]["balance_after"], found["net_tokens"]) == (-450, 550, 450)
    assert (found["metadata"], found["response_id"]) == ({"panels": 4}, "answer-1")
    shown = jangbu.ok("explain", call).out
    assert "prompt 150 + candidates 300 + thoughts 0 + tool 0 = 450, charged 450" in shown
    assert "$0.3 for 1,000,000" in shown


def test_a_call_is_explained_by_each_of_its_names(jangbu: Jangbu, answer: Write) -> None:
    jangbu.ok("accounts", "create", "kim")
    record = ("record", "kim", "--service", "chat")
    call = jangbu.json(*record, "--response", answer(number=7), "--call-id", " order 7/1 ")["id"]
    jangbu.ok(*record, "--response", answer(number=8))
    for name in (call, call.replace("-", ""), f"x-jangbu-call-id: {call}", "answer-7", " order 7/1 "):
        assert jangbu.json("explain", name)["id"] == call
        assert jangbu.json("explain", name, "--user", "kim")["id"] == call


def test_calls_of_one_name_are_listed_and_none_of_them_is_guessed(shop: Jangbu, answer: Write) -> None:
    calls = {}
    for number, user in ((8, "김철수"), (9, "lee")):
        recorded = ("record", user, "--service", "s", "--response", answer(number=number), "--call-id", "page-1")
        calls[user] = shop.json(*recorded)["id"]
    told = shop("explain", "page-1", "--json")
    assert (told.code, [(each["user"], each["id"]) for each in json.loads(told.out)["calls"]]) == (
        2,
        [("lee", calls["lee"]), ("김철수", calls["김철수"])],
    )
    assert json.loads(told.err)["error"]["message"] == "'page-1' is the name of several calls"
    lines = shop("explain", "page-1").out.splitlines()
    assert [line.split()[0] for line in lines] == ["call", calls["lee"], calls["김철수"]]
    assert (lines[1].split()[-1], lines[2].split()[-1]) == ("lee", "김철수")
    assert shop.json("explain", "page-1", "--user", "lee")["id"] == calls["lee"]
    assert shop("explain", calls["lee"], "--user", "김철수").code == 3


def test_a_call_that_is_not_there_is_not_found(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "kim")
    for name in ("01890a5d-ac96-774b-bcce-b302099a8057", "first", "", " "):
        assert jangbu("explain", name).code == 3
        assert jangbu("explain", name, "--user", "kim").code == 3
    assert jangbu("explain", "first", "--user", "nobody").code == 3
