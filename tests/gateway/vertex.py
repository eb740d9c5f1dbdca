"""A gateway that offers Vertex AI, and what is asked of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from jangbu.storage import reports, usage
from jangbu.storage.usage import UsageRecord
from jangbu.testing import FakeGemini
from tests.gateway.stage import FLASH, Stage, stage

PROJECT = "shop-project"
LOCATIONS = "us-central1, europe-west4"
PLACE = f"projects/{PROJECT}/locations/us-central1"
CALL = f"/v1/{PLACE}/publishers/google/models/{FLASH}:generateContent"


@asynccontextmanager
async def vertex_stage(database_url: str, gemini: FakeGemini, **settings: Any) -> AsyncIterator[Stage]:
    """Serve a gateway that offers Vertex AI, with an account of kim's."""
    given = {"vertex_project": PROJECT, "vertex_locations": LOCATIONS, "vertex_url": gemini.url, **settings}
    async with stage(database_url, gemini, **given) as served:
        await served.open("kim")
        yield served


async def records(served: Stage) -> list[UsageRecord]:
    """Give kim's records, the oldest first."""
    account = served.ledger.accounts.id_of("kim")
    calls = await reports.calls(served.ledger.database, account, None, 100)
    found = [await usage.find(served.ledger.database, account, call.id) for call in reversed(calls)]
    return [record for record in found if record is not None]


def sent(served: Stage) -> list[tuple[str, str | None, str | None]]:
    """Give what came to Vertex AI: path, bearer and API key."""
    return [
        (request.path, request.headers.get("authorization"), request.headers.get("x-goog-api-key"))
        for request in served.gemini.requests()
    ]
