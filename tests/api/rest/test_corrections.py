"""Corrections over HTTP: each an entry with a reason, none of them twice, and no more than was charged."""

import asyncio
from typing import Any

import pytest

from tests.api.rest.stage import Stage, record

NOTHING = "0192f3a0-0000-7000-8000-000000000001"


async def charged(api: Stage, user: str = "kim") -> str:
    """Record a call of 450 tokens; give its id."""
    return str((await api.post("/records", record(user=user))).ok["id"])


async def test_a_refund_gives_back_no_more_than_the_call_was_charged(api: Stage) -> None:
    call = await charged(api)
    order = {"call": call, "amount": 400, "reason": "출력 오류"}
    first = await api.post("/accounts/kim/refunds", order, once="refund-1")
    assert (first.status, first.ok["available"], first.ok["replayed"]) == (201, 999_950, False)
    again = await api.post("/accounts/kim/refunds", order, once="refund-1")
    assert (again.status, again.ok["id"], again.ok["replayed"]) == (200, first.ok["id"], True)
    refused = await api.post("/accounts/kim/refunds", {**order, "amount": 51})
    assert (refused.status, refused.code) == (400, "invalid_input")
    assert "charged 450 and 400 were given back" in refused.body["detail"]
    assert (await api.post("/accounts/kim/refunds", {**order, "amount": 1}, once="refund-1")).status == 409
    entry = (await api.get("/accounts/kim/entries?limit=1")).ok["entries"][0]
    assert (entry["kind"], entry["delta"], entry["reference"], entry["reason"]) == ("refund", 400, call, "출력 오류")
    shown = (await api.get(f"/calls/{call}")).ok
    assert (shown["net_tokens"], [each["delta"] for each in shown["returns"]]) == (50, [400])


async def test_a_call_is_voided_once_whatever_the_key_with_what_was_not_refunded_yet(api: Stage) -> None:
    call = await charged(api)
    await api.post("/accounts/kim/refunds", {"call": call, "amount": 50, "reason": "r"})
    order = {"call": call, "reason": "recorded twice"}
    first = await api.post("/accounts/kim/voids", order, once="void-1")
    assert (first.status, first.ok["available"]) == (201, 1_000_000)
    for once in ("void-1", "void-2"):
        again = await api.post("/accounts/kim/voids", order, once=once)
        assert (again.status, again.ok["id"], again.ok["replayed"]) == (200, first.ok["id"], True)
    for path, body in (("grants", {"amount": 5}), ("voids", {**order, "call": await charged_again(api)})):
        assert (await api.post(f"/accounts/kim/{path}", body, once="void-1")).code == "idempotency_conflict"
    assert (await api.ledger.accounts.balance("kim")).granted == 1_000_450


async def charged_again(api: Stage) -> str:
    return str((await api.post("/records", record(2))).ok["id"])


async def test_a_voided_call_gives_its_money_back_too(api: Stage) -> None:
    await api.post("/accounts/kim/money/grants", {"amount_nano": 5_000_000_000})
    call = await charged(api)
    debited = (await api.get("/accounts/kim/money")).ok
    assert debited["available_nano"] == 5_000_000_000 - debited["used_nano"] < 5_000_000_000
    await api.post("/accounts/kim/voids", {"call": call, "reason": "r"})
    assert (await api.get("/accounts/kim/money")).ok["available_nano"] == 5_000_000_000


async def test_a_balance_is_adjusted_down_and_up_but_not_below_what_was_granted(api: Stage) -> None:
    down = await api.post("/accounts/kim/adjustments", {"delta": -500, "reason": "granted twice"}, once="a-1")
    assert (down.status, down.ok["balance"]) == (201, 999_500)
    assert (await api.post("/accounts/kim/adjustments", {"delta": 200, "reason": "r"})).ok["balance"] == 999_700
    refused = await api.post("/accounts/kim/adjustments", {"delta": -1_000_000, "reason": "r"})
    assert (refused.status, refused.body["detail"]) == (400, "this would take more than was ever granted")
    entries = (await api.get("/accounts/kim/entries?limit=2")).ok["entries"]
    assert [(each["kind"], each["delta"], each["reason"]) for each in entries] == [
        ("adjustment", 200, "r"),
        ("adjustment", -500, "granted twice"),
    ]


async def test_corrections_that_meet_under_one_key_are_made_once(api: Stage) -> None:
    call = await charged(api)
    for path, body in (
        ("adjustments", {"delta": 7, "reason": "r"}),
        ("refunds", {"call": call, "amount": 3, "reason": "r"}),
        ("voids", {"call": call, "reason": "r"}),
        ("money/grants", {"amount_nano": 11}),
        ("money/adjustments", {"delta_nano": -1, "reason": "r"}),
    ):
        made = [api.post(f"/accounts/kim/{path}", body, once=f"race-{path}") for _ in range(10)]
        assert sorted(each.status for each in await asyncio.gather(*made)) == [200] * 9 + [201], path
    assert (await api.ledger.accounts.balance("kim")).granted == 1_000_457
    assert (await api.get("/accounts/kim/money")).ok["balance_nano"] == 10


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("adjustments", {"delta": 0, "reason": "r"}),
        ("adjustments", {"delta": 5}),
        ("adjustments", {"delta": 5, "reason": " "}),
        ("adjustments", {"delta": 5, "reason": "x" * 501}),
        ("adjustments", {"delta": 5, "reason": "a\x00b"}),
        ("adjustments", {"delta": 2**62 + 1, "reason": "r"}),
        ("adjustments", {"delta": 5.0, "reason": "r"}),
        ("refunds", {"call": NOTHING, "amount": 0, "reason": "r"}),
        ("refunds", {"call": NOTHING, "amount": 5, "reason": ""}),
        ("refunds", {"call": "none", "amount": 5, "reason": "r"}),
        ("voids", {"call": NOTHING}),
        ("money/grants", {"amount_nano": 0}),
        ("money/grants", {"amount": 5}),
        ("money/adjustments", {"delta_nano": 0, "reason": "r"}),
    ],
)
async def test_a_correction_that_is_none_is_refused(api: Stage, path: str, body: dict[str, Any]) -> None:
    await api.post("/accounts/kim/money/grants", {"amount_nano": 5})
    assert (await api.post(f"/accounts/kim/{path}", body)).code == "invalid_input"
    assert (await api.ledger.accounts.balance("kim")).granted == 1_000_000


@pytest.mark.parametrize("path", ["refunds", "voids"])
async def test_nobody_corrects_what_is_not_there_or_another_users(api: Stage, path: str) -> None:
    amount = {"amount": 5} if path == "refunds" else {}
    theirs = await charged(api, "이서연")
    for user, call in (("kim", NOTHING), ("kim", theirs), ("nobody", theirs)):
        asked = await api.post(f"/accounts/{user}/{path}", {"call": call, "reason": "r", **amount})
        assert (asked.status, asked.code) == (404, "not_found")


async def test_a_balance_of_money_is_opened_by_its_first_grant(api: Stage) -> None:
    closed = (await api.get("/accounts/kim/money")).ok
    assert (closed["is_open"], closed["balance_nano"]) == (False, 0)
    refused = await api.post("/accounts/kim/money/adjustments", {"delta_nano": 5, "reason": "r"})
    assert (refused.code, refused.body["detail"]) == ("not_found", "user 'kim' has no balance of money")
    order = {"amount_nano": 2_000, "expires_at": "2099-01-01T00:00:00Z", "source": "gift"}
    made = await api.post("/accounts/kim/money/grants", order, once="pay-1")
    assert (made.status, made.ok["available_nano"], made.ok["expires_at"]) == (201, 2_000, "2099-01-01T00:00:00Z")
    assert (await api.post("/accounts/kim/money/grants", order, once="pay-1")).status == 200
    assert (await api.post("/accounts/kim/grants", {"amount": 2_000}, once="pay-1")).code == "idempotency_conflict"
    await api.post("/accounts/kim/money/adjustments", {"delta_nano": -500, "reason": "r"})
    (grant,) = (await api.get("/accounts/kim/money/grants")).ok["grants"]
    assert (grant["id"], grant["remaining"], grant["source"]) == (made.ok["id"], 1_500, "gift")
    first = (await api.get("/accounts/kim/money/entries?limit=1")).ok
    rest = (await api.get(f"/accounts/kim/money/entries?limit=1&cursor={first['next']}")).ok
    assert [each["delta"] for each in first["entries"] + rest["entries"]] == [-500, 2_000]
    assert (await api.get("/accounts/kim/balance")).ok["balance"] == 1_000_000
    assert (await api.get("/accounts/nobody/money")).code == "not_found"
