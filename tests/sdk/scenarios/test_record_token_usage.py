"""The guide's own function: an answer is recorded, never a number."""

import json
from typing import Any

import pytest

from jangbu import InvalidAnswer, InvalidMetadata, Meter, NotFound
from tests.sdk.scenarios.stage import MODEL, USER, Stage

ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "장부"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 150, "candidatesTokenCount": 300, "totalTokenCount": 450},
    "modelVersion": "gemini-2.5-flash",
    "responseId": "answer-1",
}


def forms() -> dict[str, Any]:
    text = json.dumps(ANSWER)
    return {"dict": ANSWER, "text": text, "bytes": text.encode(), "events": f"data: {text}\r\n\r\n".encode()}


@pytest.mark.parametrize("form", ["dict", "text", "bytes", "events"])
def test_an_answer_is_recorded_in_whatever_form_it_is_held(meter: Meter, form: str) -> None:
    receipt = meter.record_token_usage(USER, "script", "asked-for", forms()[form], {"panels": 4})
    assert (receipt.user, receipt.model, receipt.charged_tokens) == (USER, "gemini-2.5-flash", 450)
    assert meter.balance(USER).used == 450


def test_a_response_object_is_recorded(stage: Stage) -> None:
    answer = stage.new_client().models.generate_content(model=MODEL, contents="hello")
    receipt = stage.meter.record_token_usage(USER, "text_generation", "asked-for", answer)
    assert answer.usage_metadata is not None
    assert receipt.charged_tokens == answer.usage_metadata.total_token_count
    assert [(record.model, record.response_id) for record in stage.records()] == [(MODEL, answer.response_id)]


async def test_recording_may_be_awaited(meter: Meter) -> None:
    receipt = await meter.arecord_token_usage(USER, "script", "asked-for", ANSWER)
    assert receipt.charged_tokens == 450


def test_the_same_answer_gives_the_first_receipt_again(meter: Meter) -> None:
    first = meter.record_token_usage(USER, "script", "asked-for", ANSWER)
    again = meter.record_token_usage(USER, "script", "asked-for", json.dumps(ANSWER))
    assert (again.id, again.replayed, first.replayed) == (first.id, True, False)
    assert meter.balance(USER).used == 450


def test_the_name_given_counts_only_where_the_answer_names_none(meter: Meter) -> None:
    nameless = {name: value for name, value in ANSWER.items() if name != "modelVersion"}
    assert meter.record_token_usage(USER, "script", "gemini-2.0-flash-exp", nameless).model == "gemini-2.0-flash-exp"


@pytest.mark.parametrize("response", [450, {"total_tokens_to_deduct": 2}, b"", "no answer", None, object()])
def test_a_number_and_whatever_else_is_no_answer_is_refused(meter: Meter, response: object) -> None:
    with pytest.raises(InvalidAnswer):
        meter.record_token_usage(USER, "script", "model", response)
    assert meter.balance(USER).used == 0


@pytest.mark.parametrize("response", [{"error": {"code": 503, "message": "overloaded"}}, {"candidates": []}, {}])
def test_a_call_that_failed_is_none_to_record(stage: Stage, response: object) -> None:
    with pytest.raises(InvalidAnswer, match="says nothing of what it used"):
        stage.meter.record_token_usage(USER, "script", MODEL, response)
    assert (stage.meter.balance(USER).used, list(stage.records())) == (0, [])


def test_an_answer_that_was_blocked_is_recorded_and_costs_nothing(meter: Meter) -> None:
    receipt = meter.record_token_usage(USER, "script", MODEL, {"promptFeedback": {"blockReason": "SAFETY"}})
    assert (receipt.charged_tokens, meter.balance(USER).used) == (0, 0)


def test_a_service_that_is_too_long_is_refused(meter: Meter) -> None:
    with pytest.raises(InvalidMetadata):
        meter.record_token_usage(USER, "x" * 51, "model", ANSWER)


@pytest.mark.parametrize(
    "metadata",
    [{"a": "\x00"}, {"a": "\ud800"}, {"a": "x" * 5_000}, {"a": float("nan")}, {1: "one", "1": "another"}, None],
)
def test_metadata_that_cannot_be_kept_is_refused_and_nothing_changes(
    meter: Meter, metadata: dict[Any, Any] | None
) -> None:
    if metadata is None:
        metadata = {}
        for _ in range(100_000):
            metadata = {"a": metadata}
    with pytest.raises(InvalidMetadata):
        meter.record_token_usage(USER, "script", MODEL, ANSWER, metadata)
    assert meter.balance(USER).used == 0


def test_a_user_without_an_account_is_not_found(meter: Meter) -> None:
    with pytest.raises(NotFound):
        meter.record_token_usage("nobody", "script", "model", ANSWER)
