"""Long operations: a video is recorded once, when it is first shown, and is its maker's."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jangbu.testing import Behaviour, FakeGemini, Recorded
from tests.gateway.book import came, holds, records, require_sound
from tests.gateway.google_accounts import token_endpoint
from tests.gateway.stage import Stage, stage
from tests.gateway.test_resources import uploaded

VEO = "/v1beta/models/veo-3.0-generate-001:predictLongRunning"


@pytest.fixture(autouse=True)
async def clean_book(served: Stage) -> AsyncIterator[None]:
    """Whatever a test did, the book adds up afterwards."""
    yield
    await require_sound(served)


async def test_a_video_is_recorded_once_and_its_file_is_its_makers(served: Stage, another: Stage) -> None:
    await served.open("lee")
    status, answer, headers = await served.post(VEO, {"instances": [{"prompt": "a cat"}]})
    assert status == 200
    assert await records(served) == []
    name = answer["name"]
    shown = await asyncio.gather(*(each.get(f"/v1beta/{name}") for _ in range(4) for each in (served, another)))
    assert {status for status, _ in shown} == {200}
    [record] = await records(served)
    assert (record.id, record.tokens, record.service) == (headers["x-jangbu-call-id"], 0, "video_generation")
    assert await served.used() == (0, 0)
    [sample] = shown[0][1]["response"]["generateVideoResponse"]["generatedSamples"]
    path = "/v1beta/files/" + sample["video"]["uri"].partition("/files/")[2]
    assert (await served.get(path))[0] == 200
    assert (await served.get(path, user="lee"))[0] == 404
    again = {"instances": [{"prompt": "go on", "video": {"uri": sample["video"]["uri"]}}]}
    assert (await served.post(VEO, again, user="lee"))[0] == 404
    assert (await served.post(VEO, again))[0] == 200


async def test_an_answer_that_names_somebody_elses_file_gives_it_to_nobody(served: Stage) -> None:
    await served.open("lee")
    file = await uploaded(served, user="lee")
    _, answer, _ = await served.post(VEO, {"instances": [{"prompt": "a cat"}]})
    video = {"video": {"uri": f"https://generativelanguage.googleapis.com/v1beta/{file}"}}
    response = {"generateVideoResponse": {"generatedSamples": [video]}}
    shown = {"name": answer["name"], "done": True, "response": response}
    served.gemini.next(Behaviour(recorded=Recorded(json.dumps(shown).encode())))
    assert (await served.get(f"/v1beta/{answer['name']}"))[0] == 200
    assert len(await records(served)) == 1
    assert (await served.get(f"/v1beta/{file}"))[0] == 404
    assert (await served.get(f"/v1beta/{file}", user="lee"))[0] == 200


async def test_a_video_that_failed_costs_nothing(served: Stage) -> None:
    _, answer, _ = await served.post(VEO, {"instances": [{"prompt": "a cat"}]})
    shown = {"name": answer["name"], "done": True, "error": {"code": 3, "message": "the prompt is not allowed"}}
    served.gemini.next(Behaviour(recorded=Recorded(json.dumps(shown).encode())))
    assert (await served.get(f"/v1beta/{answer['name']}"))[1] == shown
    assert (await records(served), await holds(served)) == ([], ["released"])


@pytest.fixture
async def vertex(database_url: str, gemini: FakeGemini, tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a gateway that offers Vertex AI, with kim and lee."""
    with token_endpoint() as google, FakeGemini() as anyone:
        settings = {"vertex_project": "shop", "vertex_locations": "us-central1", "vertex_url": anyone.url}
        key_file = google.key_file(tmp_path)
        async with stage(database_url, anyone, vertex_credentials=key_file, **settings) as vertex:
            for user in ("kim", "lee"):
                await vertex.open(user)
            yield vertex


async def test_vertex_names_its_operation_in_the_body(vertex: Stage) -> None:
    model = "/v1/projects/shop/locations/us-central1/publishers/google/models/veo-3.0-generate-001"
    status, answer, _ = await vertex.post(f"{model}:predictLongRunning", {"instances": [{"prompt": "a cat"}]})
    assert status == 200
    fetch, name = f"{model}:fetchPredictOperation", answer["name"]
    before = len(vertex.gemini.requests())
    other = name[:-1] + ("a" if name[-1] != "a" else "b")
    for wanted, body, user in (
        (404, {"operationName": name}, "lee"),
        (404, {"operation_name": name}, "lee"),
        (404, {"operationName": other}, "kim"),
        (400, {"operationName": name, "operation_name": other}, "kim"),
        (400, {"operationName": [name]}, "kim"),
        (400, {"operationName": ""}, "kim"),
        (400, {}, "kim"),
    ):
        assert (await vertex.post(fetch, body, user=user))[0] == wanted, body
    assert came(vertex, since=before) == []
    for _ in range(2):
        status, answer, _ = await vertex.post(fetch, {"operationName": name})
        assert (status, answer["done"]) == (200, True)
    assert [record.surface for record in await records(vertex)] == ["predict_long_running"]
    assert await vertex.used() == (0, 0)
    await require_sound(vertex)
