"""The stage on which the gateway's tests play."""

from collections.abc import AsyncIterator, Iterator

import pytest

from jangbu.testing import FakeGemini
from tests.gateway.stage import UPSTREAM_KEY, Stage, stage


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
