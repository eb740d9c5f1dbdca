"""What the settings say of Vertex AI: where it is, whose project, and which settings cannot work."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jangbu.config import Settings
from jangbu.errors import InvalidSettings, NotPermitted
from jangbu.gateway.access_tokens import AccessTokens
from jangbu.gateway.assembly import open_gateway
from jangbu.gateway.upstream import Upstream
from jangbu.gateway.upstream_keys import UpstreamKeys
from jangbu.gateway.vertex import Vertex
from jangbu.wiring import open_metering
from tests.gateway.stage import FLASH
from tests.gateway.vertex import PLACE, PROJECT


@pytest.mark.parametrize(
    ("location", "origin"),
    [
        (None, "https://us-central1-aiplatform.googleapis.com"),
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
    ],
)
async def test_a_location_is_served_at_its_own_address(location: str | None, origin: str) -> None:
    async with unserved("us-central1", "global", "eu") as vertex:
        assert vertex.origin(location) == origin


async def test_a_model_that_a_body_names_is_named_in_the_apps_project() -> None:
    async with unserved("us-central1", "global") as vertex:
        full = f"{PLACE}/publishers/google/models/{FLASH}"
        for name in (full, f"publishers/google/models/{FLASH}", f"models/{FLASH}", FLASH):
            assert vertex.model_name(name) == (full, "us-central1")
        assert vertex.model_name(full.replace("us-central1", "global"))[1] == "global"
        for other in (full.replace(PROJECT, "another"), full.replace("us-central1", "asia-east1")):
            with pytest.raises(NotPermitted):
                vertex.model_name(other)


@asynccontextmanager
async def unserved(*locations: str) -> AsyncIterator[Vertex]:
    async with Upstream("http://127.0.0.1:9", UpstreamKeys(()), idle_seconds=5) as upstream:
        yield Vertex(upstream, AccessTokens(), project=PROJECT, locations=locations, url=None)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"vertex_project": "a/b"}, "vertex_project"),
        ({"vertex_project": PROJECT, "vertex_locations": "us-central1,evil.example/"}, "vertex_locations"),
        ({"vertex_project": PROJECT, "vertex_locations": ""}, "vertex_locations"),
        ({"vertex_project": PROJECT, "vertex_url": "vertex"}, "vertex_url"),
        ({"vertex_project": PROJECT, "vertex_credentials": "key.json"}, "vertex_credentials"),
        ({"vertex_credentials": "key.json"}, "vertex_project"),
        ({"allowed_storage": "bucket/{user}"}, "allowed_storage"),
    ],
)
async def test_settings_that_cannot_work_are_refused_at_the_start(
    database_url: str, tmp_path: Path, settings: dict[str, Any], word: str
) -> None:
    if "vertex_credentials" in settings:
        file = tmp_path / "key.json"
        file.write_text('{"private_key": "a-secret"}')
        settings = {**settings, "vertex_credentials": file}
    chosen = Settings.load(database_url=database_url, **settings)
    async with open_metering(chosen) as ledger:
        with pytest.raises(InvalidSettings) as refused:
            async with open_gateway(chosen, ledger):
                pass
    assert word in str(refused.value)
    assert "a-secret" not in str(refused.value)


def test_a_key_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="vertex_credentials: there is no file"):
        Settings.load(vertex_credentials=tmp_path / "nowhere.json")
