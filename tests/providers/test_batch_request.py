"""What a batch costs at most, and how its requests share one limit."""

from typing import Any

import pytest

from jangbu.providers.gemini.batch_request import batch_bounds, with_output_limits
from jangbu.providers.gemini.references import continuation_name
from jangbu.providers.gemini.request import bounds

FLASH = "gemini-2.5-flash"


def single(text: str = "hi", **config: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"contents": [{"parts": [{"text": text}]}]}
    return {**body, "generationConfig": config} if config else body


def batch(*requests: dict[str, Any], snake: bool = False) -> dict[str, Any]:
    entries = [{"request": each, "metadata": {"key": str(number)}} for number, each in enumerate(requests)]
    holder = "input_config" if snake else "inputConfig"
    return {"batch": {"displayName": "pages", holder: {"requests": {"requests": entries}}}}


@pytest.mark.parametrize("snake", [False, True])
def test_the_bounds_of_a_batch_are_those_of_its_requests_together(snake: bool) -> None:
    requests = [single(maxOutputTokens=100), single("longer", maxOutputTokens=50, candidateCount=3)]
    found = batch_bounds(batch(*requests, snake=snake), FLASH, {})
    each = [bounds("generateContent", request, FLASH) for request in requests]
    assert found is not None
    assert found.input_most == sum(bound.input_most or 0 for bound in each)
    assert (found.output_most, found.output_chosen, found.candidates) == (250, True, 4)


def test_one_request_without_a_limit_leaves_the_limit_open() -> None:
    found = batch_bounds(batch(single(maxOutputTokens=100), single()), FLASH, {})
    assert found is not None
    assert not found.output_chosen


@pytest.mark.parametrize(("model", "ends"), [(FLASH, True), ("gemini-9-next", False), (None, False)])
def test_a_batch_ends_by_itself_where_its_model_does(model: str | None, ends: bool) -> None:
    found = batch_bounds(batch(single(), single()), model, {})
    assert found is not None
    assert found.output_ends is ends
    assert bounds("batchGenerateContent", {}, model).output_ends is ends


def test_a_file_counts_in_each_request_that_names_it_and_what_is_unknown_as_all_that_the_model_takes() -> None:
    request = {"contents": [{"parts": [{"fileData": {"fileUri": "files/a"}}]}]}
    known = batch_bounds(batch(request, request), FLASH, {"files/a": 9_000})
    unknown = batch_bounds(batch(request, request), FLASH, {})
    assert known is not None
    assert unknown is not None
    assert 18_000 <= (known.input_most or 0) < 19_000
    assert unknown.input_most == 2 * 1_048_576


def test_what_was_written_before_counts_in_a_request_that_goes_on_with_it() -> None:
    name = continuation_name("dG9rZW4=")
    for spelling in ("continuationToken", "continuation_token"):
        body = batch({**single(), spelling: "dG9rZW4="})
        known, unknown = batch_bounds(body, FLASH, {name: 9_000}), batch_bounds(body, FLASH, {})
        assert known is not None
        assert unknown is not None
        assert 9_000 <= (known.input_most or 0) < 10_000
        assert unknown.input_most == 1_048_576


@pytest.mark.parametrize("body", [{"batch": {"inputConfig": {"fileName": "files/a"}}}, {"batch": 3}, {}, batch()])
def test_a_batch_without_requests_is_bounded_by_nobody_here(body: dict[str, Any]) -> None:
    assert batch_bounds(body, FLASH, {}) is None


@pytest.mark.parametrize("snake", [False, True])
def test_a_limit_is_written_into_each_request_that_has_no_lower_one(snake: bool) -> None:
    body = batch(single(), single(maxOutputTokens=9_000), single(maxOutputTokens=10, temperature=1), snake=snake)
    changed = with_output_limits(body, 500)
    expected = batch(
        single(maxOutputTokens=500), single(maxOutputTokens=500), single(maxOutputTokens=10, temperature=1), snake=snake
    )
    assert changed == expected
    assert body["batch"]["displayName"] == "pages"
    assert "generationConfig" not in single()


def test_what_is_no_request_stays_as_it_is() -> None:
    body = {"batch": {"inputConfig": {"requests": {"requests": [3, {"request": None}, {"other": 1}]}}}}
    assert with_output_limits(body, 5) == body
