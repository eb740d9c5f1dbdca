"""What the demo proves can fail: every way in which a ledger may differ from what was answered is found."""

import json
from dataclasses import fields, replace
from typing import Any
from uuid import UUID

import pytest

from jangbu.cli.demo.calls import Kind, PlannedCall
from jangbu.cli.demo.comparison import compare
from jangbu.cli.demo.performing import CALL_HEADER
from jangbu.storage.usage import UsageRecord
from jangbu.testing import Answer

CALL = PlannedCall(0, "김민지", "text_generation", "gemini-2.5-flash", Kind.TEXT)
USAGE = {
    "promptTokenCount": 10,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 2,
    "toolUsePromptTokenCount": 3,
    "cachedContentTokenCount": 4,
    "totalTokenCount": 20,
}
ANSWER = Answer(
    order=1,
    at="2027-01-01T00:00:00Z",
    method="POST",
    path="/v1beta/models/gemini-2.5-flash:generateContent",
    surface="generate_content",
    status=200,
    model="gemini-2.5-flash",
    user="%EA%B9%80%EB%AF%BC%EC%A7%80",
    labels={CALL_HEADER: "0"},
    response_id="r1",
    reported=USAGE,
    counted=USAGE,
)
READ: dict[str, Any] = {
    "id": UUID(int=2),
    "user": "김민지",
    "model": "gemini-2.5-flash",
    "prompt": 10,
    "candidates": 5,
    "thoughts": 2,
    "tool": 3,
    "cached": 4,
    "total": 20,
    "response_id": "r1",
    "metadata": json.dumps({"tags": {"call": "0"}}),
}
"""The columns that are compared; the others do not matter here."""
RECORD = UsageRecord(**{**dict.fromkeys(column.name for column in fields(UsageRecord)), **READ})


def different(answers: list[Answer], records: list[UsageRecord]) -> list[tuple[Any, ...]]:
    return [(row.what, row.expected, row.found) for row in compare(answers, records, [CALL]).differences]


def test_an_answer_and_its_record_are_the_same() -> None:
    compared = compare([ANSWER], [RECORD], [CALL])
    assert (compared.compared, compared.tokens, compared.differences) == (1, 20, ())


@pytest.mark.parametrize("count", ["prompt", "candidates", "thoughts", "tool", "cached", "total"])
def test_one_token_more_is_found(count: str) -> None:
    wrong = replace(RECORD, **{count: getattr(RECORD, count) + 1})
    assert different([ANSWER], [wrong]) == [(count, getattr(RECORD, count), getattr(RECORD, count) + 1)]


def test_another_payer_and_another_model_are_found() -> None:
    assert different([ANSWER], [replace(RECORD, user="kim")]) == [("user", "김민지", "kim")]
    assert different([ANSWER], [replace(RECORD, model="other")]) == [("model", "gemini-2.5-flash", "other")]


def test_an_answer_that_was_lost_and_one_that_never_was_are_found() -> None:
    assert different([ANSWER], []) == [("answer without a record", 20, None)]
    assert different([], [RECORD]) == [("record without an answer", None, 20)]


def test_an_answer_that_was_recorded_twice_is_found() -> None:
    assert different([ANSWER], [RECORD, replace(RECORD, id=UUID(int=3))]) == [("records of one id", 1, 2)]


def test_a_record_of_a_call_that_failed_is_found() -> None:
    failed = replace(ANSWER, status=503, reported=None, counted=None, response_id=None)
    assert different([failed], []) == []
    assert different([failed], [RECORD]) == [("record without an answer", None, 20)]


def test_of_an_answer_that_broke_off_what_had_arrived_counts() -> None:
    arrived = {**USAGE, "candidatesTokenCount": 1, "totalTokenCount": 16}
    cut = replace(ANSWER, reported=arrived, completely_sent=False)
    assert different([cut], [replace(RECORD, candidates=1, total=16)]) == []
    assert different([cut], [RECORD]) == [("candidates", 1, 5), ("total", 16, 20)]


def test_an_embedding_that_reports_nothing_is_what_count_tokens_counts() -> None:
    call = replace(CALL, kind=Kind.EMBEDDING, prompt_bytes=40)
    silent = replace(ANSWER, reported=None, counted=None, response_id=None)
    counted = replace(RECORD, prompt=10, candidates=0, thoughts=0, tool=0, cached=0, total=10, response_id=None)
    assert compare([silent], [counted], [call]).differences == ()
    assert [row.what for row in compare([silent], [replace(counted, prompt=9)], [call]).differences] == ["prompt"]
