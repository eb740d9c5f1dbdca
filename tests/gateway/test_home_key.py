"""Several upstream keys: what lives at Google is made, used, shown and deleted with the first of them alone."""

import json
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

from jangbu.gateway import upstream_keys
from jangbu.testing import FakeGemini
from tests.gateway.book import require_sound
from tests.gateway.live import SETUP, provider, scripted, session, set_up
from tests.gateway.stage import FLASH, Stage, asked, inline, stage
from tests.gateway.test_later import BATCH
from tests.gateway.test_resources import cached, uploaded
from tests.gateway.test_uploads import begun, named, sent

KEYS = "home=1,other=1000"
CALL = f"/v1beta/models/{FLASH}:generateContent"
INTERACTIONS = "/v1beta/interactions"


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    """Give a fake Gemini that lets every key in."""
    with FakeGemini() as gemini:
        yield gemini


@pytest.fixture
async def served(database_url: str, gemini: FakeGemini) -> AsyncIterator[Stage]:
    """Give a gateway whose other key is far more often drawn than the one of its home."""
    async with stage(database_url, gemini, upstream_keys=KEYS) as served:
        await served.open("kim")
        yield served
        await require_sound(served)


def by_weight_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all keys draw the same, so that the one of the most weight comes first."""
    monkeypatch.setattr(upstream_keys, "random", SimpleNamespace(random=lambda: 0.5))


def keys(served: Stage) -> set[str]:
    """Give the keys with which the provider was asked until now."""
    return {request.headers["x-goog-api-key"] for request in served.gemini.requests()}


async def test_what_lives_at_google_is_made_shown_and_deleted_at_home(served: Stage) -> None:
    file = await uploaded(served)
    cache = (await cached(served))["name"]
    _, batch, _ = await served.post(BATCH, inline(asked()))
    _, video, _ = await served.post(
        "/v1beta/models/veo-3.0-generate-001:predictLongRunning", {"instances": [{"prompt": "a cat"}]}
    )
    _, run, _ = await served.post(INTERACTIONS, {"model": FLASH, "input": "hi", "background": True})
    for name in (file, cache, batch["name"], video["name"], f"interactions/{run['id']}"):
        assert (await served.get(f"/v1beta/{name}"))[0] == 200
    for kind in ("files", "cachedContents", "batches"):
        assert (await served.get(f"/v1beta/{kind}"))[0] == 200
    for name in (file, cache, f"interactions/{run['id']}"):
        assert (await served.get(f"/v1beta/{name}", method="DELETE"))[0] == 200
    assert keys(served) == {"home"}


async def test_an_upload_goes_on_at_home(served: Stage) -> None:
    url = await begun(served)
    assert (await sent(served, url, b"0123456789"))[0] == 200
    assert keys(served) == {"home"}


async def test_a_call_that_names_what_lives_at_google_is_made_at_home(served: Stage) -> None:
    url = await begun(served)
    file = named((await sent(served, url, b"0123456789"))[1])
    cache = (await cached(served))["name"]
    uri = f"https://generativelanguage.googleapis.com/v1beta/{file}"
    with_file = {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": uri}}]}]}
    counted = f"/v1beta/models/{FLASH}:countTokens"
    for path, body in ((CALL, with_file), (CALL, {**asked(), "cachedContent": cache}), (counted, with_file)):
        assert (await served.post(path, body))[0] == 200
    assert keys(served) == {"home"}


async def test_a_call_goes_on_with_the_key_that_began_it(served: Stage) -> None:
    for _ in range(5):
        served.gemini.next("continuation")
        await served.post(CALL, asked())
        assert (await served.post(CALL, {**asked(), "continuationToken": "Y29udGludWU="}))[0] == 200
        began, went_on = served.gemini.requests()[-2:]
        assert began.headers["x-goog-api-key"] == went_on.headers["x-goog-api-key"]
    assert "other" in keys(served)


async def test_all_other_calls_go_by_weight(served: Stage) -> None:
    for _ in range(5):
        assert (await served.generate())[0] == 200
    assert "other" in keys(served)


async def test_a_tired_home_has_no_stand_in_and_other_calls_go_elsewhere(database_url: str, gemini: FakeGemini) -> None:
    async with stage(database_url, gemini, upstream_keys="home=1000,other=1") as served:
        await served.open("kim")
        gemini.next("429; retry_after=9")
        assert (await served.post(INTERACTIONS, {"model": FLASH, "input": "hi"}))[0] == 429
        assert keys(served) == {"home"}
        assert (await served.generate())[0] == 200
        assert gemini.requests()[-1].headers["x-goog-api-key"] == "other"
        assert (await served.post(INTERACTIONS, {"model": FLASH, "input": "hi"}))[0] == 200
        assert gemini.requests()[-1].headers["x-goog-api-key"] == "home"


@pytest.mark.parametrize(("resumption", "expected"), [({"sessionResumption": {}}, "home"), ({}, "other")])
async def test_a_session_that_can_be_resumed_is_opened_at_home(
    database_url: str,
    gemini: FakeGemini,
    monkeypatch: pytest.MonkeyPatch,
    resumption: dict[str, object],
    expected: str,
) -> None:
    by_weight_alone(monkeypatch)
    used: list[str] = []

    async def script(upstream: ServerConnection) -> None:
        await set_up(upstream)
        await upstream.wait_closed()

    def seen(request: Request) -> None:
        used.append(request.headers["x-goog-api-key"])

    setup = json.loads(json.dumps(SETUP))
    setup["setup"].update(resumption)
    async with (
        provider(script, seen) as url,
        scripted(database_url, gemini, url, upstream_keys="home=1,other=1000") as served,
        session(served, setup=setup),
    ):
        assert used == [expected]
