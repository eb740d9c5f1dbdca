"""The API on a fresh ledger."""

from collections.abc import AsyncIterator

import pytest

from tests.api.rest.stage import Stage, stage


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Stage]:
    async with stage(database_url) as served:
        yield served
