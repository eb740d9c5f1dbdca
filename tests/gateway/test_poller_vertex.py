"""Operations of Vertex AI that nobody asks for: the gateways ask for them by themselves, where they were begun."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jangbu.gateway import poller as polling
from jangbu.gateway.access_tokens import AccessTokens
from jangbu.gateway.poller import Poller
from jangbu.gateway.upstream import Upstream
from jangbu.gateway.upstream_keys import read_keys
from jangbu.gateway.vertex import Vertex
from jangbu.testing import Behaviour, Recorded
from tests.gateway.book import came, holds, records, require_sound
from tests.gateway.google_accounts import TokenEndpoint
from tests.gateway.live import eventually
from tests.gateway.stage import UPSTREAM_KEY, Stage
from tests.gateway.test_poller import let_wait
from tests.gateway.vertex import PROJECT, sent, vertex_stage

VEO = "veo-3.0-generate-001"
FETCHED = "fetchPredictOperation"


async def filmed(vertex: Stage, location: str = "us-central1") -> tuple[str, str]:
    """Start a video; give the name of its operation and the id of the call."""
    path = f"/v1/projects/{PROJECT}/locations/{location}/publishers/google/models/{VEO}:predictLongRunning"
    status, answer, headers = await vertex.post(path, {"instances": [{"prompt": "a cat"}]})
    assert status == 200
    return str(answer["name"]), headers["x-jangbu-call-id"]


def shows(vertex: Stage, name: str, **shown: Any) -> None:
    """Have the provider show an operation so."""
    body = json.dumps({"name": name, **shown}).encode()
    vertex.gemini.when(Behaviour(recorded=Recorded(body)), path=FETCHED)


@pytest.fixture
async def poller(vertex: Stage, google: TokenEndpoint, tmp_path: Path) -> AsyncIterator[Poller]:
    """Give what asks, with a way to the Gemini API and to the app's project."""
    tokens = AccessTokens(google.key_file(tmp_path))
    async with Upstream(vertex.gemini.url, read_keys(UPSTREAM_KEY), idle_seconds=5) as upstream:
        locations = ("us-central1", "europe-west4")
        project = Vertex(upstream, tokens, project=PROJECT, locations=locations, url=vertex.gemini.url)
        yield Poller(vertex.ledger, upstream, project)
        await project.close()


@pytest.mark.parametrize("location", ["us-central1", "europe-west4"])
async def test_a_video_that_nobody_asks_for_is_settled_where_it_was_begun(
    vertex: Stage, poller: Poller, location: str
) -> None:
    name, call = await filmed(vertex, location)
    await let_wait(vertex)
    before = len(vertex.gemini.requests())
    for _ in range(2):
        await poller.poll()
    [record] = await records(vertex)
    assert (record.id, record.surface, record.service) == (call, "predict_long_running", "video_generation")
    assert await holds(vertex) == []
    path = f"/v1/projects/{PROJECT}/locations/{location}/publishers/google/models/{VEO}:{FETCHED}"
    assert came(vertex, since=before) == [f"POST {path}"], "what was settled is asked for no more"
    assert json.loads(vertex.gemini.requests()[-1].body) == {"operationName": name}
    assert sent(vertex)[-1] == (path, "Bearer token-2", None)
    await require_sound(vertex)


async def test_one_that_runs_on_or_cannot_be_read_keeps_its_hold(vertex: Stage, poller: Poller) -> None:
    name, _ = await filmed(vertex)
    await let_wait(vertex)
    shows(vertex, name)
    await poller.poll()
    vertex.gemini.forget_behaviours()
    vertex.gemini.when("503", path=FETCHED)
    await poller.poll()
    assert (await records(vertex), await holds(vertex)) == ([], ["open"])


async def test_one_that_failed_costs_nothing(vertex: Stage, poller: Poller) -> None:
    name, _ = await filmed(vertex)
    await let_wait(vertex)
    shows(vertex, name, done=True, error={"code": 3, "message": "the prompt is not allowed"})
    await poller.poll()
    assert (await records(vertex), await holds(vertex)) == ([], ["released"])


async def test_a_video_that_comes_along_in_the_answer_is_settled_however_large(vertex: Stage, poller: Poller) -> None:
    name, call = await filmed(vertex)
    await let_wait(vertex)
    shows(vertex, name, done=True, response={"videos": [{"bytesBase64Encoded": "A" * 600_000}]})
    await poller.poll()
    assert [record.id for record in await records(vertex)] == [call]
    assert await holds(vertex) == []


async def test_a_gateway_without_the_project_leaves_it_to_others(vertex: Stage, poller: Poller) -> None:
    await filmed(vertex)
    await let_wait(vertex)
    before = len(vertex.gemini.requests())
    async with Upstream(vertex.gemini.url, read_keys(UPSTREAM_KEY), idle_seconds=5) as upstream:
        await Poller(vertex.ledger, upstream).poll()
    assert (came(vertex, since=before), await holds(vertex)) == ([], ["open"])
    await poller.poll()
    assert len(await records(vertex)) == 1


async def test_a_gateway_of_vertex_ai_alone_asks_by_itself(
    database_url: str, vertex: Stage, google: TokenEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filmed(vertex)
    await let_wait(vertex)
    monkeypatch.setattr(polling, "SECONDS_BETWEEN", 0.1)
    given = {"vertex_credentials": google.key_file(tmp_path), "gemini_api_key": None}
    async with vertex_stage(database_url, vertex.gemini, **given):
        await eventually(lambda: is_recorded(vertex))


async def is_recorded(vertex: Stage) -> bool:
    """Tell whether there is a record."""
    return len(await records(vertex)) == 1
