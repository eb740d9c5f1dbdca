"""Room in the spool: taken before a call is made, and given back whatever becomes of it."""

import asyncio
import errno
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jangbu.clock import SystemClock
from jangbu.config import Settings
from jangbu.domain.flow import Answered, Bounds
from jangbu.errors import NotFound, SpoolFull, SpoolUnusable
from jangbu.gateway.calls import MeteredCall
from jangbu.locations import ledger_spool
from jangbu.metering.meter import Metering
from jangbu.metering.spool import Spool, Spooled, look, records_in, spools_below
from jangbu.metering.spool.disk import Lock, RealDisk
from jangbu.metering.spooling import Spooling
from tests.faults.server import KillableServer
from tests.faults.waiting import become
from tests.metering.outage import (
    FLASH,
    answer,
    check_book,
    hold,
    is_drained,
    new_call,
    opened,
    recorded,
    settle,
    settle_held,
)
from tests.metering.spool.memory_disk import MemoryDisk
from tests.metering.test_spooling_every_record import balances_locked


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


async def never_asked(_records: Sequence[Spooled]) -> Sequence[str | None]:
    raise AssertionError


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


async def test_a_room_holds_one_record_and_gives_it_again_to_who_writes_it_again(tmp_path: Path) -> None:
    spooling = Spooling(
        tmp_path, never_asked, clock=SystemClock(), bytes_max=2 * 16_416, keep_seconds=900, after_seconds=1
    )
    first, second = uuid4(), uuid4()
    for call in (first, second):
        await spooling.rooms.take(call)
    with pytest.raises(SpoolFull):
        await spooling.rooms.take(uuid4())
    wide = bytes(16_000)
    for _ in range(3):
        assert await spooling.keep([(first, wide), (first, wide)]) == [None, None]
    [refused] = await spooling.keep([(first, b"and something else")])
    assert isinstance(refused, SpoolFull), "what is left is the second call's"
    assert await spooling.keep([(second, wide)]) == [None]
    [own] = spools_below(tmp_path)
    assert [record.payload for record in records_in(own)] == [wide, wide]
    await spooling.close()


async def test_a_record_that_the_disk_refuses_leaves_a_call_its_room(tmp_path: Path) -> None:
    disk = MemoryDisk()
    spooling = Spooling(
        tmp_path, never_asked, clock=SystemClock(), bytes_max=65_536, keep_seconds=900, after_seconds=1, disk=disk
    )
    call = uuid4()
    await spooling.rooms.take(call)
    disk.fail["write"] = disk.fail["create"] = [errno.EIO] * 3
    [failure] = await spooling.keep([(call, b"a record")])
    assert isinstance(failure, SpoolUnusable)
    disk.fail.clear()
    others = [uuid4() for _ in range(2)]
    for other in others:
        await spooling.rooms.take(other)
    with pytest.raises(SpoolFull):
        await spooling.rooms.take(uuid4())
    assert await spooling.keep([(call, b"a record")]) == [None]


async def test_a_call_whose_caller_is_ended_uses_no_room_of_another(
    killable: KillableServer, settings: Settings
) -> None:
    """The gateway writes the end of such a call again; answers that come after it have their places all the same."""
    narrow = settings.model_copy(update={"spool_bytes_max": 65_536, "spool_every_record": True})
    async with opened(narrow, "kim") as metering:
        ended, *others = [MeteredCall(metering, new_call("kim")) for _ in range(3)]
        for each in (ended, *others):
            await each.begin(never_counted)
        async with balances_locked(killable):
            ending = asyncio.create_task(ended.finish(Answered(answer(0))))
            await become(lambda: has_records(settings, 1))
            ending.cancel()
            await asyncio.sleep(0.1)
        with pytest.raises(asyncio.CancelledError):
            await ending
        killable.crash()
        receipts = await asyncio.gather(*(each.finish(Answered(answer(n))) for n, each in enumerate(others, 1)))
        assert [receipt and receipt.charged_tokens for receipt in receipts] == [450, 450]
        assert await has_records(settings, 3)
        killable.start()
        await become(lambda: is_drained(metering))
        assert set(await recorded(metering)) == {each.call.id for each in (ended, *others)}
        await check_book(metering, settings.project)


async def test_a_hold_whose_caller_is_ended_is_given_back_though_others_take_its_room(
    killable: KillableServer, settings: Settings
) -> None:
    narrow = settings.model_copy(update={"spool_bytes_max": 65_536})
    async with opened(narrow, "kim") as metering:
        async with balances_locked(killable):
            ended = MeteredCall(metering, replace(new_call("kim"), bounds=Bounds(500, 500, output_chosen=True)))
            beginning = asyncio.create_task(ended.begin(never_counted))
            await asyncio.sleep(0.1)
            beginning.cancel()
            with pytest.raises(asyncio.CancelledError):
                await beginning
            others = [asyncio.create_task(hold(metering, new_call("kim"))) for _ in range(3)]
            await asyncio.sleep(0.1)
        await asyncio.gather(*others)
        await become(lambda: is_held(metering, 3_000))


async def never_counted() -> int | None:
    raise AssertionError


async def has_records(settings: Settings, number: int) -> bool:
    return sum(len(list(records_in(each))) for each in spools_below(ledger_spool(settings))) == number


async def is_held(metering: Metering, tokens: int) -> bool:
    return (await metering.accounts.balance("kim")).held == tokens


async def test_no_spool_is_made_for_who_only_reads(settings: Settings) -> None:
    async with opened(settings, "kim") as metering:
        await metering.accounts.balance("kim")
        assert not ledger_spool(settings).exists()
        await settle_held(metering, answer(1))
        assert ledger_spool(settings).exists()
    assert not ledger_spool(settings).exists(), "what holds nothing leaves nothing"
