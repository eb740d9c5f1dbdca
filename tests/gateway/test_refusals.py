"""What end users are told of an error, and what the operator is told instead."""

import json

import pytest

from jangbu import errors
from jangbu.gateway.refusals import refusal

FOR_THE_OPERATOR = [
    errors.DatabaseUnreachable("PostgreSQL does not answer: db.internal:5432", hint="check JANGBU_DATABASE_URL"),
    errors.RecordingFailed("the usage of call 1 is not recorded: disk full"),
    errors.SpoolFull("the spool /srv/spool holds what it may", hint="raise JANGBU_SPOOL_BYTES_MAX"),
    errors.SpoolUnusable("the spool /srv/spool cannot be used: disk failed", hint="look at JANGBU_SPOOL_DIR"),
    errors.NotConfigured("the gateway has no key for Gemini", hint="set GEMINI_API_KEY where it runs"),
    errors.NotFound("user 'lee' has no account", hint="run `jangbu accounts create lee`"),
]


@pytest.mark.parametrize("error", FOR_THE_OPERATOR, ids=lambda error: error.code)
def test_what_only_the_operator_can_mend_is_logged_and_not_told(
    error: errors.JangbuError, caplog: pytest.LogCaptureFixture
) -> None:
    told = json.loads(refusal(error).body)["error"]["message"]
    for word in ("JANGBU_", "GEMINI_", "`jangbu", "PostgreSQL", "disk", "db.internal", "/srv"):
        assert word not in told
    assert told
    assert str(error) in caplog.text


def test_who_runs_dry_is_told_to_get_more_and_not_to_grant() -> None:
    error = errors.InsufficientBalance(user="kim", needed=20, available=10)
    told = json.loads(refusal(error).body)["error"]["message"]
    assert "get more tokens" in told
    assert "grant" not in told


def test_what_the_caller_can_mend_is_told_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    error = errors.InvalidInput("the body is no JSON", hint="send an object")
    assert json.loads(refusal(error).body)["error"]["message"] == "the body is no JSON; send an object"
    assert caplog.text == ""


@pytest.mark.parametrize(
    "error",
    [
        errors.DatabaseUnreachable("away"),
        errors.HoldInDoubt("away"),
        errors.BalanceLocked("locked"),
        errors.SpoolFull("full"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_call_that_was_not_made_because_it_could_not_be_recorded_may_be_made_again_soon(
    error: errors.JangbuError,
) -> None:
    refused = refusal(error)
    assert (refused.status, refused.headers) == (503, {"retry-after": "5"})
    details = json.loads(refused.body)["error"]["details"]
    assert details[0]["metadata"] == {"retry_after_seconds": "5"}


def test_who_was_answered_and_not_recorded_is_not_asked_to_call_again() -> None:
    assert refusal(errors.RecordingFailed("the usage of call 1 is not recorded")).headers == {}


def test_who_was_answered_and_can_never_be_recorded_is_kept_from_calling_again() -> None:
    refused = refusal(errors.RecordRefused("the usage of call 1 is not recorded: a number is larger than it may be"))
    assert (refused.status, refused.headers) == (400, {}), "no client tries again by itself"
    assert "do not try again" in json.loads(refused.body)["error"]["message"]
