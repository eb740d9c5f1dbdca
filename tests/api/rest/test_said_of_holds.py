"""What is said when a hold ends, or with the records of a batch: kept as it was said, or refused with what to do."""

import json
from typing import Any
from uuid import UUID

import pytest

from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call, TakeHold
from tests.api.rest.stage import Stage, answer, record

KEPT = ["새 줄\nand more", "a\tb", "=1+1", "<script>alert(1)</script>", "x" * 200]


async def unknown(api: Stage) -> UUID:
    """Give a hold of kim's of whose call nobody knows the outcome."""
    call = Call(new_id(api.ledger.clock), "kim", "text_generation", "gemini-2.5-flash", Bounds(100, 50, True))
    await api.ledger.execute(TakeHold(call, base=100, least=150, most=150, take_all=False))
    await api.ledger.holds.mark_unknown(api.ledger.accounts.id_of("kim"), call.id, "it broke off")
    return call.id


async def balance(api: Stage) -> tuple[int, int]:
    found = await api.ledger.accounts.balance("kim")
    return found.used, found.held


@pytest.mark.parametrize("reason", KEPT, ids=lambda reason: ascii(reason[:12]))
async def test_a_reason_is_kept_as_it_was_said(api: Stage, reason: str) -> None:
    hold = await unknown(api)
    assert (await api.post(f"/holds/{hold}/release", {"reason": reason})).ok["released"] is True
    (shown,) = (await api.get("/holds?state=released")).ok["holds"]
    assert shown["reason"] == reason


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        pytest.param(rb'{"reason": "a\u0000b"}', "send text only", id="NUL"),
        pytest.param(rb'{"reason": "a\u001bb"}', "send text only", id="what steers a terminal"),
        pytest.param(rb'{"reason": "a\ud800"}', "whole characters", id="half a pair"),
        pytest.param(b'{"reason": "\xff"}', "UTF-8", id="no UTF-8"),
        pytest.param(b'{"reason": NaN}', "null", id="NaN"),
        pytest.param(b'{"reason": 1e999}', "as text", id="a number beyond all bounds"),
        pytest.param(b'{"reason": "a", "reason": "b"}', "one value", id="a name twice"),
        pytest.param(b'{"reason": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "flatter", id="too deep"),
        pytest.param(json.dumps({"reason": "x" * 501}).encode(), "at most 500", id="too long"),
        pytest.param(b'{"reason": " "}', "match", id="blank"),
        pytest.param(b'{"reason": ["a"]}', "valid string", id="a list"),
        pytest.param(b'{"reason": "a", "metadata": {}}', "not permitted", id="a field that there is not"),
        pytest.param(b"", "required", id="nothing"),
    ],
)
async def test_a_reason_that_cannot_be_kept_ends_no_hold(api: Stage, body: bytes, advice: str) -> None:
    hold = await unknown(api)
    refused = await api.post(f"/holds/{hold}/release", body)
    assert (refused.status, refused.code) == (400, "invalid_input")
    assert advice in json.dumps(refused.body)
    assert await balance(api) == (0, 150)


async def test_a_body_that_is_too_large_ends_no_hold(api: Stage) -> None:
    refused = await api.post(f"/holds/{await unknown(api)}/release", {"reason": "x" * 70_000})
    assert (refused.status, refused.code, refused.body["hint"]) == (413, "too_large", "send less at once")
    assert await balance(api) == (0, 150)


@pytest.mark.parametrize(
    ("more", "code", "advice"),
    [
        pytest.param({"model": "a\0b"}, "invalid_input", "text only", id="NUL in the model"),
        pytest.param({"model": "a\nb"}, "invalid_input", "one line", id="a line break in the model"),
        pytest.param({"model": "a\u202eb"}, "invalid_input", "one line", id="turned text in the model"),
        pytest.param({"model": "m" * 201}, "invalid_input", "at most 200", id="a long model"),
        pytest.param({"surface": "telepathy"}, "invalid_input", "generate_content", id="no such surface"),
        pytest.param({"metadata": {"a": 1}}, "invalid_input", "not permitted", id="metadata, which a hold has"),
        pytest.param({"answer": '{"a":' * 5_000 + "1" + "}" * 5_000}, "invalid_answer", "whole", id="too deep"),
    ],
)
async def test_evidence_that_cannot_be_kept_charges_nothing(
    api: Stage, more: dict[str, Any], code: str, advice: str
) -> None:
    hold = await unknown(api)
    refused = await api.post(f"/holds/{hold}/charge", {"answer": answer(1), **more})
    assert (refused.status, refused.code) == (400, code)
    assert advice in json.dumps(refused.body)
    assert await balance(api) == (0, 150)


@pytest.mark.parametrize(
    "query",
    [
        *("user=%00", "user=", f"user={'u' * 201}", "user=%E2%80%AE", "user=%ff", "user=nobody"),
        *("state=lost", "state=", "&".join(["state=open"] * 5), "metadata=1"),
        *("cursor=x", "cursor=%00", "cursor=", "cursor=" + "A" * 5_000),
        *("limit=0", "limit=-1", "limit=1e3", "limit=NaN", "limit=1001", "limit=" + "9" * 5_000, "limit=1&limit=2"),
    ],
    ids=lambda query: query[:20],
)
async def test_what_is_asked_of_holds_beyond_its_bounds_is_refused(api: Stage, query: str) -> None:
    refused = await api.get(f"/holds?{query}")
    assert (refused.status, refused.code) in ((400, "invalid_input"), (404, "not_found"))
    assert refused.body["detail"]


@pytest.mark.parametrize("hold", ["%00", "x", "0192f3a0-0000-7000-8000-00000000000g", "1" * 5_000])
async def test_what_is_no_id_of_a_hold_ends_none(api: Stage, hold: str) -> None:
    refused = await api.post(f"/holds/{hold}/release", {"reason": "no answer"})
    assert (refused.status, refused.code) == (400, "invalid_input")


@pytest.mark.parametrize(
    ("more", "code", "advice"),
    [
        pytest.param({"user": "a\0b"}, "invalid_input", "text only", id="NUL in the user"),
        pytest.param({"user": "a\u202eb"}, "invalid_input", "1 to 200 printable", id="turned text in the user"),
        pytest.param({"service": "a\nb"}, "invalid_input", "1 to 50 printable", id="a line break in the service"),
        pytest.param({"call_id": "a\0b"}, "invalid_input", "1 to 200 printable", id="NUL in the call's id"),
        pytest.param({"model": "a\nb"}, "invalid_input", "one line", id="a line break in the model"),
        pytest.param({"service_tier": "a\0"}, "invalid_input", "text only", id="NUL in the tier"),
        pytest.param({"metadata": {str(n): n for n in range(33)}}, "invalid_metadata", "to 32", id="too many names"),
        pytest.param({"metadata": {"a": "가" * 700}}, "invalid_metadata", "4,096", id="too many bytes"),
        pytest.param({"metadata": {"a": {"b": {"c": {}}}}}, "invalid_metadata", "flatter", id="too deep"),
        pytest.param({"metadata": {"a": "\0"}}, "invalid_metadata", "text only", id="NUL in metadata"),
    ],
)
async def test_one_of_a_batch_that_cannot_be_kept_is_told_of_and_nothing_else_is_lost_silently(
    api: Stage, more: dict[str, Any], code: str, advice: str
) -> None:
    sent = {"records": [record(1), record(2, **more), record(3)]}
    answered = await api.post("/records/batch", sent)
    if answered.status == 200:
        statuses = [each["status"] for each in answered.ok["results"]]
        refused, recorded = answered.ok["results"][1]["error"], 2
        assert statuses == ["created", "failed", "created"]
    else:
        # What a field of one may not even hold refuses all, and says whose field it was.
        refused, recorded = answered.body, 0
        assert answered.status == 400
        assert refused["errors"][0]["where"].startswith("body.records.1.")
    assert refused["code"] == code
    assert advice in json.dumps(refused)
    assert await balance(api) == (450 * recorded, 0)
