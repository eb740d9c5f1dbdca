"""A database that dies while calls are recorded: somebody is told although it is away, and told when it is back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from jangbu.config import Settings
from jangbu.providers.gemini import parse_object
from jangbu.storage import migrate
from jangbu.wiring import open_metering
from tests.alerts.receiver import SECRET, receiving, until
from tests.faults.server import KillableServer, killable_server


@pytest.fixture(scope="module")
def server() -> Iterator[KillableServer]:
    with killable_server() as server:
        asyncio.run(migrate.upgrade(server.dsn))
        yield server


async def test_somebody_is_told_while_the_database_is_dead_and_again_when_it_lives(
    server: KillableServer, tmp_path: Path
) -> None:
    async with receiving() as receiver:
        settings = Settings.load(
            database_url=server.dsn,
            spool_dir=tmp_path,
            project=tmp_path.name,
            spool_after_seconds=1,
            alert_webhook_url=receiver.url,
            alert_webhook_secret=SECRET,
            alert_private_targets=True,
        )
        async with open_metering(settings) as ledger:
            await ledger.accounts.create("kim")
            await ledger.record("kim", "text", parse_object(answer(1)))
            server.crash()
            await ledger.record("kim", "text", parse_object(answer(2)))
            await receiver.until(1)
            began = receiver.received[0].json
            assert (began["condition"], began["phase"]) == ("recording_spooled", "began")
            assert ledger.spooling is not None
            ledger.spooling.telling.every_seconds = 0
            await receiver.until(2)
            server.start()
            await receiver.until(3)
            lasts, ended = (each.json for each in receiver.received[1:])
            assert (lasts["phase"], set(lasts["facts"])) == ("lasts", {"seconds"})
            assert (ended["phase"], ended["severity"]) == ("ended", "info")

            async def all_noted() -> bool:
                found = await ledger.alerts.page(only_undelivered=False, limit=10)
                return [row.delivered_at is not None for row in found] == [True] * 3

            await until(all_noted)
        assert len(set(receiver.ids)) == len(receiver.ids) == 3


def answer(number: int) -> dict[str, object]:
    return {
        "usageMetadata": {"promptTokenCount": 150, "candidatesTokenCount": 300, "totalTokenCount": 450},
        "modelVersion": "gemini-2.5-flash",
        "responseId": f"answer-{number}",
    }
