"""Room in the spool: taken before a call is made, and given back whatever becomes of it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jangbu.clock import SystemClock
from jangbu.config import Settings
from jangbu.errors import NotFound, SpoolFull
from jangbu.metering.spool import Spool, Spooled, look, spools_below
from jangbu.metering.spool.disk import Lock, RealDisk
from jangbu.metering.spooling import Spooling
from jangbu.wiring import ledger_spool
from tests.faults.server import KillableServer
from tests.faults.waiting import become
from tests.metering.outage import FLASH, answer, hold, new_call, opened, settle, settle_held


async def test_without_room_for_its_record_no_call_is_made(settings: Settings) -> None:
    narrow = settings.model_copy(update={"spool_bytes_max": 2**20})
    async with opened(narrow, "kim") as metering:
        calls = [new_call("kim") for _ in range(200)]
        results = await asyncio.gather(*(hold(metering, call) for call in calls), return_exceptions=True)
        held = [call for call, result in zip(calls, results, strict=True) if result is None]
        assert {type(result) for result in results} == {type(None), SpoolFull}
        assert len(held) == 2**20 // 16_416, "a MiB holds that many frames of 16 KiB"
        assert (await metering.accounts.balance("kim")).held == 1000 * len(held)
        await settle(metering, held[0], answer(1))
        await hold(metering, new_call("kim"))


async def test_a_hold_that_is_not_taken_keeps_no_room(settings: Settings) -> None:
    narrow = settings.model_copy(update={"spool_bytes_max": 2**20})
    async with opened(narrow, "kim") as metering:
        for _ in range(100):
            with pytest.raises(NotFound):
                await hold(metering, new_call("nobody"))
        await hold(metering, new_call("kim"))


async def test_room_that_is_asked_for_by_a_caller_who_leaves_is_given_back(settings: Settings) -> None:
    narrow = settings.model_copy(update={"spool_bytes_max": 2**20})
    async with opened(narrow, "kim") as metering:
        for _ in range(10):
            leaving = [asyncio.create_task(hold(metering, new_call("kim"))) for _ in range(20)]
            await asyncio.sleep(0)
            for task in leaving:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
        calls = [new_call("kim") for _ in range(2**20 // 16_416)]
        await asyncio.gather(*(hold(metering, call) for call in calls))


class SlowDisk(RealDisk):
    """A disk on which it takes as long as the test says until a directory is owned and read."""

    def __init__(self) -> None:
        self.has_locked = threading.Event()
        self.goes_on = threading.Event()

    def lock(self, path: Path) -> Lock | None:
        lock = super().lock(path)
        self.has_locked.set()
        assert self.goes_on.wait(60)
        return lock


@pytest.mark.parametrize(
    "begin",
    [lambda spooling: spooling.adopt(), lambda spooling: spooling.rooms.take(uuid4())],
    ids=["an adoption", "a call that takes room"],
)
async def test_a_directory_that_is_opened_for_who_leaves_meanwhile_is_given_back(
    tmp_path: Path, begin: Callable[[Spooling], Coroutine[Any, Any, object]]
) -> None:
    async def never_asked(_records: Sequence[Spooled]) -> Sequence[str | None]:
        raise AssertionError

    left = Spool.open(tmp_path / "a-process-that-died", segment_bytes=65_536, clock=SystemClock())
    left.append([b"waits"])
    left.close()
    disk = SlowDisk()
    spooling = Spooling(
        tmp_path,
        never_asked,
        clock=SystemClock(),
        bytes_max=2**20,
        keep_seconds=900,
        after_seconds=1,
        disk=disk,
    )
    leaving = asyncio.create_task(begin(spooling))
    await asyncio.to_thread(disk.has_locked.wait, 60)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert leaving.cancelled()
    assert any(look(each, SystemClock()).is_owned for each in spools_below(tmp_path))
    disk.goes_on.set()

    async def is_left() -> bool:
        seen = [look(each, SystemClock()) for each in spools_below(tmp_path)]
        return [(each.waiting, each.is_owned) for each in seen] == [(1, False)]

    await become(is_left)
    await spooling.close()


async def test_a_full_spool_leaves_a_record_to_the_database_for_as_long_as_is_set(
    killable: KillableServer, settings: Settings
) -> None:
    narrow = settings.model_copy(update={"spool_bytes_max": 2**20})
    async with opened(narrow, "kim") as metering:
        held = [new_call("kim") for _ in range(2**20 // 16_416)]
        await asyncio.gather(*(hold(metering, call) for call in held))
        killable.crash()
        records = [
            asyncio.create_task(metering.record("kim", "text_generation", answer(number, model=model)))
            for number, model in enumerate((FLASH, "a-model-that-nobody-used"))
        ]
        await asyncio.sleep(0.2)
        killable.start()
        receipts = await asyncio.gather(*records)
        assert [receipt.available is None for receipt in receipts] == [False, False]
        assert (await metering.accounts.balance("kim")).used == 900


async def test_no_spool_is_made_for_who_only_reads(settings: Settings) -> None:
    async with opened(settings, "kim") as metering:
        await metering.accounts.balance("kim")
        assert not ledger_spool(settings).exists()
        await settle_held(metering, answer(1))
        assert ledger_spool(settings).exists()
    assert not ledger_spool(settings).exists(), "what holds nothing leaves nothing"
