"""Holds whose outcome nobody knows: ended by evidence or by an operator."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Held, MarkUnknown, TakeHold
from jangbu.wiring import open_metering
from tests.cli.conftest import Jangbu


@pytest.fixture
async def hold(jangbu: Jangbu, database_url: str) -> str:
    """Give the id of a hold of 500 tokens whose call left and never came back."""
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("grant", "kim", "1000", "--key", "order-1")
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        call = Call(new_id(SystemClock()), "kim", "대본", "gemini-2.5-flash", Bounds(100, 400, output_chosen=True))
        assert await metering.execute(TakeHold(call, 100, 500, 500)) == Held(500)
        await metering.execute(MarkUnknown(call, "the connection broke"))
    return str(call.id)


def test_an_unknown_hold_is_listed_with_its_reason(jangbu: Jangbu, hold: str) -> None:
    [listed] = jangbu.json("holds", "list", "--user", "kim")["holds"]
    assert (listed["id"], listed["state"], listed["amount"]) == (hold, "unknown", 500)
    assert "the connection broke" in jangbu.ok("holds", "list", "--state", "unknown").out
    assert jangbu.json("balance", "kim")["held_tokens"] == 500
    checks = {check["name"]: check for check in jangbu.json("doctor")["checks"]}
    assert checks["unknown outcomes"]["state"] == "warn"


def test_the_answer_that_came_after_all_is_charged(jangbu: Jangbu, hold: str, answer: Callable[..., str]) -> None:
    receipt = jangbu.json("holds", "resolve", hold, "--charge-from", answer(90, 200))
    assert (receipt["id"], receipt["charged_tokens"], receipt["held_before"]) == (hold, 290, 500)
    balance = jangbu.json("balance", "kim")
    assert (balance["used_tokens"], balance["held_tokens"], balance["available"]) == (290, 0, 710)
    gone = jangbu("holds", "resolve", hold, "--charge-from", answer(90, 200))
    assert gone.code == 3
    assert f"jangbu explain {hold}" in gone.error_line
    assert "everything adds up" in jangbu.ok("verify", "--full").out


def test_an_answer_that_was_charged_before_ends_the_hold_and_says_so(
    jangbu: Jangbu, hold: str, answer: Callable[..., str]
) -> None:
    first = jangbu.json("record", "kim", "--service", "s", "--response", answer(90, 200))["id"]
    said = jangbu.ok("holds", "resolve", hold, "--charge-from", answer(90, 200)).out
    assert f"hold {hold} is given back, and nothing is charged: its answer was recorded before, as call {first}" in said
    assert "nothing changed" not in said, "the hold is gone"
    balance = jangbu.json("balance", "kim")
    assert (balance["used_tokens"], balance["held_tokens"]) == (290, 0)


def test_an_answer_that_another_user_handed_over_ends_no_hold(
    jangbu: Jangbu, hold: str, answer: Callable[..., str]
) -> None:
    jangbu.ok("accounts", "create", "lee")
    jangbu.ok("grant", "lee", "1000", "--key", "order-2")
    first = jangbu.json("record", "lee", "--service", "s", "--response", answer(90, 200))["id"]
    refused = jangbu("holds", "resolve", hold, "--charge-from", answer(90, 200))
    assert refused.code == 1
    assert f"this answer was charged before, as that of call {first}" in refused.error_line
    balance = jangbu.json("balance", "kim")
    assert (balance["used_tokens"], balance["held_tokens"]) == (0, 500)


def test_an_empty_object_is_no_evidence_that_a_call_cost_nothing(jangbu: Jangbu, hold: str, tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "error.json").write_text('{"error": {"code": 503, "status": "UNAVAILABLE"}}')
    for name in ("empty.json", "error.json"):
        refused = jangbu("holds", "resolve", hold, "--charge-from", name)
        assert refused.code == 2
        assert "says nothing of what it used" in refused.error_line
        assert "release the hold and say why" in refused.error_line
    assert jangbu.json("balance", "kim")["held_tokens"] == 500
    refused = jangbu("record", "kim", "--service", "대본", "--response", "empty.json")
    assert refused.code == 2
    assert "says nothing of what it used" in refused.error_line
    assert jangbu.json("usage", "calls", "kim")["calls"] == []


def test_an_operator_may_give_the_tokens_back(jangbu: Jangbu, hold: str) -> None:
    release = ("holds", "resolve", hold, "--release", "--reason", "구글 쪽 기록 없음")
    assert jangbu.json(*release) == {"id": hold, "released": True}
    assert jangbu.json("balance", "kim")["available"] == 1_000
    assert "nothing changed" in jangbu.ok(*release).out


def test_a_hold_is_ended_in_one_way_and_with_a_reason(jangbu: Jangbu, hold: str, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    for words in (
        (),
        ("--release",),
        ("--release", "--reason", "r", "--charge-from", "x"),
        ("--charge-from", "broken.json"),
    ):
        refused = jangbu("holds", "resolve", hold, *words)
        assert refused.code == 2
        assert refused.error_line
    assert jangbu("holds", "list", "--state", "lost").code == 2
    assert jangbu.json("balance", "kim")["held_tokens"] == 500


@pytest.mark.parametrize("user", ["kim", "lee"])
async def test_the_answer_of_another_held_call_ends_no_hold(
    jangbu: Jangbu, hold: str, database_url: str, answer: Callable[..., str], user: str
) -> None:
    jangbu.ok("holds", "resolve", hold, "--charge-from", answer(90, 200))
    if user != "kim":
        jangbu.ok("accounts", "create", user)
        jangbu.ok("grant", user, "1000", "--key", "order-1")
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        call = Call(new_id(SystemClock()), user, "대본", "gemini-2.5-flash", Bounds(10, 40, output_chosen=True))
        assert await metering.execute(TakeHold(call, 10, 50, 50)) == Held(50)
        await metering.execute(MarkUnknown(call, "the connection broke"))
    for file in (answer(90, 200), answer(90, 210)):
        refused = jangbu("holds", "resolve", str(call.id), "--charge-from", file)
        assert refused.code == 1
        assert f"this answer was charged before, as that of call {hold}" in refused.error_line
        assert "give the answer of the hold's own call" in refused.error_line
    assert jangbu.json("balance", user)["held_tokens"] == 50
    assert jangbu.json("balance", "kim")["used_tokens"] == 290
    assert jangbu.json("holds", "resolve", str(call.id), "--charge-from", answer(5, 5, number=2))["id"] == str(call.id)


async def test_a_hold_whose_call_may_be_under_way_is_not_charged_by_another_answer(
    jangbu: Jangbu, hold: str, database_url: str, answer: Callable[..., str]
) -> None:
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        call = Call(new_id(SystemClock()), "kim", "대본", "gemini-2.5-flash", Bounds(10, 40, output_chosen=True))
        assert await metering.execute(TakeHold(call, 10, 50, 50)) == Held(50)
    refused = jangbu("holds", "resolve", str(call.id), "--charge-from", answer(90, 200))
    assert refused.code == 1
    assert "may still be under way" in refused.error_line
    assert jangbu.json("balance", "kim")["held_tokens"] == 550
