"""A key of the gateway's own that Google refuses when a session begins: by its answer to the upgrade, or after it."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from jangbu import telemetry
from jangbu.providers.gemini.key_errors import closing_refusal
from jangbu.testing import FakeGemini
from tests.gateway.live import (
    SETUP,
    closed,
    connected,
    eventually,
    is_used,
    provider,
    reported,
    scripted,
    session,
    set_up,
    turn,
)
from tests.gateway.stage import stage
from tests.gateway.test_home_key import by_weight_alone

KEYS = "AIza-the-key-that-was-revoked=1000,AIza-the-key-that-is-well=1"
LEAKED = "Your API key was reported as leaked. Please use another API key."
REFUSED = json.dumps(
    {"error": {"code": 403, "details": [{"reason": "SERVICE_DISABLED", "domain": "googleapis.com"}]}}
).encode()


@contextmanager
def failures() -> Iterator[list[str]]:
    """Note why the provider failed."""
    seen: list[str] = []
    end = telemetry.subscribe(lambda _, facts: seen.append(facts["reason"]), "upstream.failed")
    try:
        yield seen
    finally:
        end()


class Google:
    """Refuses the key that was revoked, and talks to others: before the upgrade or ``after`` it."""

    def __init__(self, *, after: bool) -> None:
        self.keys: list[str] = []
        self._after = after

    def answer(self, request: Request) -> Response | None:
        """Answer an upgrade."""
        self.keys.append(request.headers["x-goog-api-key"])
        if self._after or not self._refuses(request):
            return None
        return Response(403, "Forbidden", Headers({"content-length": str(len(REFUSED))}), REFUSED)

    async def converse(self, upstream: ServerConnection) -> None:
        """Speak, with whoever was upgraded."""
        assert upstream.request is not None
        if self._refuses(upstream.request):
            await upstream.close(1008, LEAKED)
        else:
            await set_up(upstream)
            await upstream.wait_closed()

    def _refuses(self, request: Request) -> bool:
        return request.headers["x-goog-api-key"].endswith("revoked")


@pytest.mark.parametrize("after", [False, True])
async def test_a_session_whose_key_is_refused_begins_with_the_next(
    database_url: str, gemini: FakeGemini, caplog: pytest.LogCaptureFixture, *, after: bool
) -> None:
    google = Google(after=after)
    async with (
        provider(google.converse, google.answer) as url,
        scripted(database_url, gemini, url, upstream_keys=KEYS) as served,
    ):
        with failures() as seen, caplog.at_level(logging.WARNING):
            for _ in range(3):
                async with session(served):
                    pass
        # It rests after its first refusal, however often its turn would be.
        assert seen == ["key_refused"]
        assert sum(key.endswith("revoked") for key in google.keys) == 1
        assert "Gemini refuses upstream key 1" in caplog.text
        assert "AIza" not in caplog.text


@pytest.mark.parametrize("after", [False, True])
async def test_a_client_is_not_sent_to_look_at_its_own_key_where_none_is_left(
    database_url: str, gemini: FakeGemini, caplog: pytest.LogCaptureFixture, *, after: bool
) -> None:
    google = Google(after=after)
    async with (
        provider(google.converse, google.answer) as url,
        scripted(database_url, gemini, url, gemini_api_key="AIza-revoked") as served,
    ):
        with failures() as seen, caplog.at_level(logging.WARNING):
            async with connected(served) as client:
                await client.send_json(SETUP)
                code, reason = await closed(client)
        assert (code, reason) == (
            1011,
            "UPSTREAM_UNREACHABLE: Gemini cannot be called at the moment; try again later",
        )
        assert seen == ["key_refused"]
        assert "Gemini refuses upstream key 1" in caplog.text
        assert await served.used() == (0, 0)


@pytest.mark.parametrize("keys", ["tired=1000,revoked=1", "tired=1,revoked=1000"])
async def test_a_client_hears_of_the_key_that_is_tired_where_the_other_is_refused(
    database_url: str, gemini: FakeGemini, caplog: pytest.LogCaptureFixture, keys: str
) -> None:
    google = Google(after=False)

    def judged(request: Request) -> Response | None:
        if request.headers["x-goog-api-key"] == "tired":
            return Response(429, "Too Many Requests", Headers({"content-length": "0"}))
        return google.answer(request)

    async with (
        provider(google.converse, judged) as url,
        scripted(database_url, gemini, url, upstream_keys=keys) as served,
    ):
        with caplog.at_level(logging.WARNING):
            async with connected(served) as client:
                await client.send_json(SETUP)
                code, reason = await closed(client)
        assert (code, reason) == (1011, "UPSTREAM_UNREACHABLE: Gemini refused the session with 429; try again")
        assert "Gemini refuses upstream key 2" in caplog.text
        assert await served.used() == (0, 0)


SUSPENDED = "Permission denied: Consumer 'api_key:{key}' has been suspended."


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (SUSPENDED, "CONSUMER_SUSPENDED"),
        ("API key not valid. Please pass a valid API key.", "API_KEY_INVALID"),
        (LEAKED, "API_KEY_LEAKED"),
    ],
)
async def test_a_key_that_is_refused_amid_a_session_rests_and_the_operator_hears_of_it(
    database_url: str,
    gemini: FakeGemini,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    reason: str,
) -> None:
    by_weight_alone(monkeypatch)
    keys: list[str] = []

    async def script(upstream: ServerConnection) -> None:
        assert upstream.request is not None
        keys.append(key := upstream.request.headers["x-goog-api-key"])
        await set_up(upstream)
        if key.endswith("revoked"):
            await upstream.send(json.dumps(reported(50)))
            await upstream.close(1008, said.format(key=key))
        await upstream.wait_closed()

    async with provider(script) as url, scripted(database_url, gemini, url, upstream_keys=KEYS) as served:
        with failures() as seen, caplog.at_level(logging.WARNING):
            async with session(served) as client:
                assert await closed(client) == (
                    1011,
                    "UPSTREAM_UNREACHABLE: Gemini cannot be called at the moment; try again later",
                )
            async with session(served):
                pass
        assert [key.endswith("revoked") for key in keys] == [True, False]
        assert seen == ["key_refused"]
        assert f"Gemini refuses upstream key 1: {reason}" in caplog.text
        assert "AIza" not in caplog.text
        # What was reported before is charged, and nothing is held any more.
        await eventually(lambda: is_used(served, (50, 0)))


async def test_the_fake_refuses_a_key_as_google_does(database_url: str) -> None:
    with FakeGemini(api_key="the-key-that-is-well") as gemini:
        async with stage(database_url, gemini, upstream_keys="refused=1000,the-key-that-is-well=1") as served:
            await served.open("kim")
            async with session(served) as client:
                total = await turn(client)
            assert await served.used() == (total, 0)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (LEAKED, "API_KEY_LEAKED"),
        ("API key not valid. Please pass a valid API key.", "API_KEY_INVALID"),
        (SUSPENDED.format(key="AIza-the-key"), "CONSUMER_SUSPENDED"),
        ("Consumer 'api_key:AIza-the-key' has been suspended", "CONSUMER_SUSPENDED"),
        ("Request contains an invalid argument: API key not valid.", None),
        ("Invalid value: Consumer 'api_key:AIza-the-key' has been suspended.", None),
        ("Consumer 'api_key:' has been told that 'api_key:AIza-the-key' has been suspended.", None),
        ("", None),
    ],
)
def test_only_googles_own_words_refuse_a_key(said: str, reason: str | None) -> None:
    assert closing_refusal(said) == reason
