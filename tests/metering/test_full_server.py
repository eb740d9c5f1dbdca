"""A PostgreSQL whose disk is full reads as ever: calls are refused soon and then at once, until there is room again."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from jangbu import telemetry
from jangbu.api.app import open_app
from jangbu.cli.checkup import State, examine
from jangbu.config import Settings
from jangbu.errors import DatabaseUnreachable
from jangbu.metering.meter import Metering
from tests.api.test_pages import Pages
from tests.faults.disk import SmallDisk, ledger_on, small_disk
from tests.faults.server import KillableServer, killable_server
from tests.faults.waiting import become
from tests.metering.outage import GRANT, answer, check_book, hold, is_drained, new_call, opened, settle

HOLD_SECONDS = 1
LOOKED_AT_SECONDS = 4
AT_ONCE_SECONDS = 0.5


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    with small_disk() as disk:
        yield disk


@pytest.fixture
def own_server() -> Iterator[KillableServer]:
    with killable_server() as server:
        yield server


@pytest.fixture
async def settings(disk: SmallDisk, own_server: KillableServer, tmp_path: Path) -> Settings:
    """Give the settings of a ledger on the disk, whose spool lies elsewhere."""
    return Settings.load(
        database_url=await ledger_on(disk, own_server),
        spool_dir=tmp_path / "spool",
        spool_after_seconds=1,
        hold_wait_seconds_max=HOLD_SECONDS,
        vertex_project="shop-project",
    )


async def is_held_for(metering: Metering) -> bool:
    try:
        await hold(metering, new_call("kim"))
    except DatabaseUnreachable:
        return False
    return True


async def test_calls_are_refused_at_once_and_go_on_by_themselves_when_there_is_room(
    disk: SmallDisk, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering, open_app(settings, metering) as app:
        pages, calls = Pages(app), [new_call("kim") for _ in range(200)]
        for call in calls:
            await hold(metering, call)
        assert (await pages.get("/readyz"))[0] == 200
        disk.fill()
        while await is_held_for(metering):
            pass
        # Who came while it was found out has waited; whoever comes from here on does not.
        deadline, took, retried = time.monotonic() + LOOKED_AT_SECONDS, list[float](), list[str]()
        await asyncio.sleep(HOLD_SECONDS)
        end = telemetry.subscribe(lambda event, _: retried.append(event), "holds.retried")
        while time.monotonic() < deadline:
            began = time.monotonic()
            assert not await is_held_for(metering)
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.01)
        end()
        assert retried == [], "nobody waited for room"
        assert median(took) < AT_ONCE_SECONDS
        await become(lambda: is_told(pages))
        assert [check.state for check in await examine(settings) if "disk is full" in check.found] == [State.FAIL]
        await asyncio.gather(*(settle(metering, call, answer(n)) for n, call in enumerate(calls)))
        disk.make_room()
        await become(lambda: is_ready(pages))
        await become(lambda: is_held_for(metering))
        await become(lambda: is_drained(metering))
        balance = await metering.accounts.balance("kim")
        assert (balance.used, balance.granted) == (450 * len(calls), GRANT)
        await check_book(metering, settings.project)


async def is_told(pages: Pages) -> bool:
    """Tell whether readiness says that the disk is full; for a moment it believes what it found before."""
    status, body = await pages.get("/readyz")
    return (status, json.loads(body).get("code")) == (503, "database_unreachable") and "disk is full" in body


async def is_ready(pages: Pages) -> bool:
    return (await pages.get("/readyz"))[0] == 200
