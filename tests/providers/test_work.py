"""How far work in the background is, in every spelling in which Google shows it."""

from typing import Any

import pytest

from jangbu.providers.gemini.work import operation_asked, work_of

RUNNING, ENDED, FAILED = (False, False), (True, False), (True, True)


@pytest.mark.parametrize(
    ("shown", "stands"),
    [
        pytest.param({}, RUNNING, id="nothing is shown"),
        pytest.param({"name": "operations/1"}, RUNNING, id="an operation"),
        pytest.param({"done": False}, RUNNING, id="an operation that says so"),
        pytest.param({"done": True, "response": {}}, ENDED, id="an operation that is done"),
        pytest.param({"done": True, "error": {"code": 3}}, FAILED, id="an operation that came to nothing"),
        pytest.param({"error": {"code": 3}}, RUNNING, id="an error of work that is not done"),
        pytest.param({"metadata": {"state": "BATCH_STATE_RUNNING"}}, RUNNING, id="a batch"),
        pytest.param({"metadata": {"state": "BATCH_STATE_SUCCEEDED"}}, ENDED, id="a batch's state in its metadata"),
        pytest.param({"state": "JOB_STATE_SUCCEEDED"}, ENDED, id="a job"),
        pytest.param({"state": "JOB_STATE_EXPIRED"}, FAILED, id="a job that expired"),
        pytest.param({"batch": {"state": "BATCH_STATE_CANCELLED"}}, FAILED, id="a batch inside of what shows it"),
        pytest.param({"batch": None, "state": "BATCH_STATE_FAILED"}, FAILED, id="no batch inside"),
        pytest.param({"status": "in_progress"}, RUNNING, id="an interaction"),
        pytest.param({"status": "queued"}, RUNNING, id="an interaction that waits"),
        pytest.param({"status": "idle"}, RUNNING, id="an interaction that waits for its next input"),
        pytest.param({"status": "completed"}, ENDED, id="an interaction that is over"),
        pytest.param({"status": "requires_action"}, ENDED, id="an interaction that waits for the app"),
        pytest.param({"status": "failed"}, FAILED, id="an interaction that failed"),
        pytest.param({"status": {"no": "text"}, "state": 5, "metadata": []}, ENDED, id="a status of another kind"),
    ],
)
def test_how_work_stands(shown: dict[str, Any], stands: tuple[bool, bool]) -> None:
    work = work_of(shown)
    assert (work.has_ended, work.has_failed) == stands


@pytest.mark.parametrize(
    ("shown", "results"),
    [
        ({"response": {"responsesFile": "files/batch-1"}}, "files/batch-1"),
        ({"metadata": {"output": {"responsesFile": "files/batch-1"}}}, "files/batch-1"),
        ({"batch": {"response": {"responsesFile": "files/batch-1"}}}, "files/batch-1"),
        (
            {"response": {"responsesFile": 7}, "metadata": {"output": {"responsesFile": "files/batch-1"}}},
            "files/batch-1",
        ),
        ({"response": {"responsesFile": "operations/1"}}, None),
        ({"response": {"inlinedResponses": {}}}, None),
        ({}, None),
    ],
)
def test_where_the_results_of_a_batch_are(shown: dict[str, Any], results: str | None) -> None:
    assert work_of(shown).results == results


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"operationName": "projects/p/operations/1"}, "projects/p/operations/1"),
        ({"operation_name": "projects/p/operations/1"}, "projects/p/operations/1"),
        ({"operationName": "projects/p/operations/1", "operation_name": "projects/p/operations/2"}, None),
        ({"operationName": "1"}, None),
        ({"operationName": ["a/b"]}, None),
        ({}, None),
    ],
)
def test_the_operation_that_is_asked_for_is_named_once(body: dict[str, Any], name: str | None) -> None:
    assert operation_asked(body) == name
