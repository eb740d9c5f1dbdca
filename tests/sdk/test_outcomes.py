"""An error that ends a call says whether the call was answered, never left, or is lost."""

import asyncio

import google.auth.exceptions
import httpx2
import pytest
from google.genai import errors

from jangbu.domain.flow import Lost, Rejected
from jangbu.sdk.outcomes import failed

REQUEST = httpx2.Request("POST", "http://localhost/v1/models/m:generateContent")
BODY = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "error",
    [
        errors.ServerError(503, BODY),
        errors.ClientError(429, BODY),
        httpx2.ConnectError("refused", request=REQUEST),
        httpx2.ConnectTimeout("slow", request=REQUEST),
        httpx2.PoolTimeout("busy", request=REQUEST),
        httpx2.UnsupportedProtocol("ftp", request=REQUEST),
        google.auth.exceptions.DefaultCredentialsError("no credentials"),  # type: ignore[no-untyped-call]
        TypeError("a function is not JSON"),
    ],
)
def test_an_error_of_the_provider_and_a_call_that_never_left_cost_nothing(error: BaseException) -> None:
    assert isinstance(failed(error), Rejected)


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ReadTimeout("slow", request=REQUEST),
        httpx2.WriteError("broken", request=REQUEST),
        httpx2.ReadError("reset", request=REQUEST),
        httpx2.RemoteProtocolError("closed", request=REQUEST),
        TimeoutError(),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        ValueError("an answer that is no JSON"),
    ],
)
def test_whatever_happened_after_sending_is_not_known(error: BaseException) -> None:
    assert isinstance(failed(error), Lost)


def test_an_app_that_gives_up_waiting_is_not_told_as_a_provider_that_is_silent() -> None:
    assert failed(asyncio.CancelledError()) == Lost("the app did not wait for the answer")
