"""Whoever has the whole of an answer may call again at once, through any gateway, with a key for one call at once."""

from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from tests.gateway.live import session, turn
from tests.gateway.stage import FLASH, Stage, asked, inline

CALL = f"/v1beta/models/{FLASH}:generateContent"
STREAM = f"/v1beta/models/{FLASH}:streamGenerateContent"
EMBED = "/v1beta/models/gemini-embedding-001:embedContent"
CHAT = "/v1beta/openai/chat/completions"
INTERACTIONS = "/v1beta/interactions"
BATCH = f"/v1beta/models/{FLASH}:batchGenerateContent"
IN_A_ROW = 20


@pytest.fixture
async def narrow(served: Stage) -> str:
    """Give a key that makes one call at once."""
    _, secret = await served.ledger.keys.create_for_app("narrow", concurrent_calls=1)
    return secret


async def reason_of(stage: Stage, key: str, path: str, body: Any, user: str) -> str:
    """Call once and read all that comes; give Jangbu's own reason where it refused, and what came otherwise."""
    with suppress(aiohttp.ClientPayloadError):
        status, answer, _ = await stage.post(path, body, key=key, user=user)
        details = answer.get("error", {}).get("details") if isinstance(answer, dict) else None
        return str(details[0]["reason"]) if details and "reason" in details[0] else str(status)
    return "broken off"


async def in_a_row(
    stages: tuple[Stage, Stage], key: str, path: str, body: Any, *, behaviour: str = "", user: str = "kim"
) -> set[str]:
    """Call again and again as soon as an answer is there; give what all the calls came to."""
    found = set()
    for number in range(IN_A_ROW):
        if behaviour:
            stages[0].gemini.next(behaviour)
        found.add(await reason_of(stages[number % 2], key, path, body, user))
    return found


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(CALL, asked(), id="unary"),
        pytest.param(f"{STREAM}?alt=sse", asked(), id="events"),
        pytest.param(STREAM, asked(), id="array"),
        pytest.param(EMBED, {"content": {"parts": [{"text": "hi"}]}}, id="embedding"),
        pytest.param(CHAT, {"model": FLASH, "messages": [{"role": "user", "content": "hi"}]}, id="chat"),
        pytest.param(
            CHAT, {"model": FLASH, "messages": [{"role": "user", "content": "hi"}], "stream": True}, id="chat stream"
        ),
        pytest.param(INTERACTIONS, {"model": FLASH, "input": "hi"}, id="interaction"),
        pytest.param(INTERACTIONS, {"model": FLASH, "input": "hi", "stream": True}, id="interaction stream"),
        pytest.param(BATCH, inline(asked()), id="batch"),
        pytest.param(f"/v1beta/models/{FLASH}:countTokens", asked(), id="free"),
    ],
)
async def test_an_answer_is_followed_by_the_next_call(
    served: Stage, another: Stage, narrow: str, path: str, body: Any
) -> None:
    assert await in_a_row((served, another), narrow, path, body) == {"200"}


async def test_an_answer_too_large_to_wait_as_a_whole_is_followed_by_the_next_call(
    served: Stage, another: Stage, narrow: str
) -> None:
    path = "/v1beta/models/gemini-2.5-flash-image:generateContent"
    assert await in_a_row((served, another), narrow, path, asked(), behaviour="image_bytes=600000") == {"200"}


@pytest.mark.parametrize("path", [CALL, f"{STREAM}?alt=sse"])
@pytest.mark.parametrize(
    ("behaviour", "found"),
    [
        pytest.param("503", {"503"}, id="503"),
        pytest.param("400", {"400"}, id="400"),
        pytest.param("cut", {"UPSTREAM_UNREACHABLE", "broken off"}, id="cut"),
        pytest.param("garbage", {"200", "UPSTREAM_UNREACHABLE", "broken off"}, id="garbage"),
        pytest.param("blocked", {"200"}, id="blocked"),
        pytest.param("usage=missing", {"200"}, id="no usage"),
    ],
)
async def test_a_call_that_ended_badly_is_followed_by_the_next(
    served: Stage, another: Stage, narrow: str, path: str, behaviour: str, found: set[str]
) -> None:
    assert await in_a_row((served, another), narrow, path, asked(), behaviour=behaviour) <= found


async def test_a_providers_limit_is_followed_by_the_next_call(served: Stage, another: Stage, narrow: str) -> None:
    behaviour = "429; retry_after=0"
    assert "LIMIT_REACHED" not in await in_a_row((served, another), narrow, CALL, asked(), behaviour=behaviour)
    assert len(served.gemini.answers()) > 0


@pytest.mark.parametrize(
    ("body", "user", "found"),
    [
        pytest.param(b"{", "kim", "INVALID_INPUT", id="no JSON"),
        pytest.param(asked(), "nobody", "NOT_FOUND", id="nobody"),
        pytest.param(asked("a rather long question"), "poor", "INSUFFICIENT_BALANCE", id="poor"),
        pytest.param({"contents": [{"parts": [{"fileData": {"fileUri": "files/x"}}]}]}, "kim", "NOT_FOUND", id="file"),
    ],
)
async def test_a_refusal_is_followed_by_the_next_call(
    served: Stage, another: Stage, narrow: str, body: Any, user: str, found: str
) -> None:
    await served.open("poor", tokens=1)
    assert await in_a_row((served, another), narrow, CALL, body, user=user) == {found}
    assert (await another.post(CALL, asked(), key=narrow))[0] == 200


async def test_a_turn_that_was_reported_is_followed_by_a_call(served: Stage, another: Stage, narrow: str) -> None:
    async with session(served, key=narrow) as client:
        for _ in range(IN_A_ROW):
            await turn(client)
            assert (await another.post(CALL, asked(), key=narrow))[0] == 200
