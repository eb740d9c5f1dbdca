"""The stage on which the gateway's tests play."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from jangbu.testing import FakeGemini
from tests.gateway.google_accounts import TokenEndpoint, token_endpoint
from tests.gateway.http_provider import Run
from tests.gateway.stage import UPSTREAM_KEY, Stage, stage
from tests.gateway.vertex import vertex_stage


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    """Give a fake Gemini that lets the gateway's own key in and no other."""
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini:
        yield gemini


@pytest.fixture
async def served(database_url: str, gemini: FakeGemini) -> AsyncIterator[Stage]:
    """Give a gateway that serves, with an account of kim's."""
    async with stage(database_url, gemini) as served:
        await served.open("kim")
        yield served


@pytest.fixture
async def another(database_url: str, served: Stage, gemini: FakeGemini) -> AsyncIterator[Stage]:
    """Give a second gateway on the same ledger."""
    async with stage(database_url, gemini) as another:
        yield another


@pytest.fixture
def google() -> Iterator[TokenEndpoint]:
    """Give a Google that gives access tokens."""
    with token_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def anyone(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGemini]:
    """Give a fake Vertex AI that lets every token in, and forget what the environment says about Google."""
    for name in ("API_KEY", "APPLICATION_CREDENTIALS", "CLOUD_LOCATION", "CLOUD_PROJECT", "CLOUD_QUOTA_PROJECT"):
        monkeypatch.delenv(f"GOOGLE_{name}", raising=False)
    with FakeGemini() as gemini:
        yield gemini


@pytest.fixture
async def vertex(database_url: str, google: TokenEndpoint, anyone: FakeGemini, tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a gateway that offers Vertex AI by a service account, with an account of kim's."""
    async with vertex_stage(database_url, anyone, vertex_credentials=google.key_file(tmp_path)) as served:
        yield served


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run what a test says on Python's own loop and on the one that serves."""

    def run_on(saying: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(saying, 60))

    return run_on
