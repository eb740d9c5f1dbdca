"""No answer is believed to have more tokens than any can: a few that did would be more than a ledger's sums hold."""

from collections.abc import Mapping
from typing import Any

import pytest

from jangbu import prices
from jangbu.domain.pricing import AMOUNT_MAX
from jangbu.domain.usage import (
    ANSWER_COUNT_MAX,
    ANSWER_UNITS_MAX,
    SUM_COUNT_MAX,
    Anomaly,
    Platform,
    Source,
    Surface,
    Units,
    Usage,
)
from jangbu.providers import gemini

COUNTED = {"promptTokenCount": ANSWER_COUNT_MAX, "totalTokenCount": ANSWER_COUNT_MAX}
INPUT, OVER = {"total_input_tokens": 1, "total_tokens": 1}, ANSWER_COUNT_MAX + 1


def read(answer: Any, surface: Surface = Surface.GENERATE_CONTENT) -> Usage:
    return gemini.parse_object(answer, surface=surface)


def with_counts(**counts: int) -> Mapping[str, Any]:
    return {"usageMetadata": {**COUNTED, **counts}, "candidates": [{"finishReason": "STOP"}]}


def searched(times: int) -> Mapping[str, Any]:
    usage = {**INPUT, "grounding_tool_count": [{"type": "google_search", "count": times}]}
    return {"id": "i", "status": "completed", "usage": usage}


def test_the_largest_count_that_is_believed_is_charged() -> None:
    assert read(with_counts()).total_tokens == ANSWER_COUNT_MAX
    assert read(searched(ANSWER_UNITS_MAX), Surface.INTERACTIONS).units.grounding_queries == ANSWER_UNITS_MAX


@pytest.mark.parametrize(
    ("answer", "surface"),
    [
        (with_counts(promptTokenCount=OVER), Surface.GENERATE_CONTENT),
        (with_counts(candidatesTokenCount=1), Surface.GENERATE_CONTENT),
        (with_counts(totalTokenCount=OVER), Surface.GENERATE_CONTENT),
        (with_counts(cachedContentTokenCount=OVER), Surface.GENERATE_CONTENT),
        (with_counts(promptTokenCount=2**50, totalTokenCount=2**50), Surface.STREAM_GENERATE_CONTENT),
        ({"usage": {"prompt_tokens": 1, "total_tokens": OVER}}, Surface.OPENAI),
        ({"status": "completed", "usage": {**INPUT, "total_tokens": OVER}}, Surface.INTERACTIONS),
        (searched(ANSWER_UNITS_MAX + 1), Surface.INTERACTIONS),
        ({"embedding": {}, "usageMetadata": {"promptTokenCount": OVER}}, Surface.EMBED_CONTENT),
    ],
)
def test_an_answer_with_more_than_any_can_have_is_kept_and_not_charged(answer: Any, surface: Surface) -> None:
    usage = read(answer, surface)
    assert (usage.source, usage.total_tokens, usage.units) == (Source.NONE, 0, Units())
    assert Anomaly.INVALID_USAGE in usage.anomalies
    assert usage.raw


def test_a_batch_is_believed_to_have_what_its_answers_can_have_together() -> None:
    most = SUM_COUNT_MAX // ANSWER_COUNT_MAX
    full, beyond = (read([with_counts()] * answers, Surface.BATCH) for answers in (most, most + 1))
    assert full.total_tokens == SUM_COUNT_MAX
    assert (beyond.source, beyond.total_tokens) == (Source.NONE, 0)
    assert sum(member.total_tokens for member in beyond.members) == 0, "the answers are the sum that is charged"
    assert Anomaly.INVALID_USAGE in beyond.anomalies


def test_a_video_is_believed_to_last_as_long_as_any_can() -> None:
    samples = [{"video": {"durationSeconds": seconds}} for seconds in (8, ANSWER_UNITS_MAX + 1)]
    answer = {"name": "models/veo-3/operations/1", "done": True, "response": {"generatedVideos": samples}}
    units = read(answer, Surface.PREDICT_LONG_RUNNING).units
    assert units == Units(videos=2, video_seconds=8)


def test_what_was_charged_before_is_read_again_as_it_was() -> None:
    raw = [{"promptTokenCount": 2**50, "totalTokenCount": 2**50}]
    again = gemini.restate(Surface.GENERATE_CONTENT, raw, Platform.GEMINI_API, "gemini-2.5-flash", None, Units())
    assert again.total_tokens == 2**50


def test_it_takes_very_many_of_the_dearest_answers_to_leave_what_a_ledger_holds() -> None:
    per_token = (row for row in prices.shipped().rows if row.unit_size >= 1_000_000)
    dearest = max(ANSWER_COUNT_MAX * row.price_nano // row.unit_size for row in per_token)
    assert AMOUNT_MAX // dearest > 50_000
