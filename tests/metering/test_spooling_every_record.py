"""Every record in the spool, too: durable in both before its caller is told, and sent by nobody a second time."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock
from jangbu.config import Settings
from jangbu.domain.flow import MarkUnknown, Release
from jangbu.errors import InvalidSettings, NotFound
from jangbu.metering.meter import Metering
from jangbu.metering.spool import Spooled, SpooledEnd, SpooledUsage, decode_record, look, records_in, spools_below
from jangbu.metering.spool.disk import RealDisk, RealFile
from jangbu.metering.spooling import Spooling
from tests.faults.server import KillableServer
from tests.faults.waiting import become
from tests.metering.outage import answer, check_book, hold, is_drained, new_call, opened, recorded, settle, settle_held


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"spool_every_record": True})


def spooled(settings: Settings) -> list[Spooled]:
    """Give what lies in the spools, of living processes and of dead ones."""
    return [
        decode_record(record.payload)
        for directory in spools_below(settings.spool_dir or Path())
        for record in records_in(directory)
    ]


def ids(found: Sequence[Spooled]) -> set[UUID]:
    return {each.row.id for each in found if isinstance(each, SpooledUsage)}


@asynccontextmanager
async def balances_locked(killable: KillableServer) -> AsyncIterator[None]:
    """Keep every flush waiting for its balance."""
    connection = await asyncpg.connect(killable.dsn)
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM jangbu.balances FOR UPDATE")
            yield
    finally:
        await connection.close()


class HeldDisk(RealDisk):
    """A disk on which a sync takes as long as the test says."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.goes_on.set()
        disk = self

        class Held(RealFile):
            def sync(self) -> None:
                assert disk.goes_on.wait(60)
                super().sync()

        self.file = Held


def put_on(metering: Metering, disk: RealDisk) -> None:
    assert metering.spooling is not None
    metering.spooling._opening._disk = disk


async def test_what_the_database_takes_at_once_is_in_the_spool_when_its_caller_is_told(settings: Settings) -> None:
    told: list[str] = []
    async with opened(settings, "kim") as metering:
        with closing(_Ended(telemetry.subscribe(lambda event, _: told.append(event), "spool.kept", "spool.began"))):
            receipt = await settle_held(metering, answer(1))
            handed = await metering.record("kim", "text_generation", answer(2))
            assert ids(spooled(settings)) == {receipt.id, handed.id}
        assert receipt.available is not None, "the database had it, too"
        assert await is_drained(metering)
        assert metering.spooling is not None
        assert (metering.spooling.drained, told) == (0, []), "nothing waits, so nothing is told to wait"
    (left,) = spools_below(settings.spool_dir or Path())
    assert (look(left, SystemClock()).waiting, look(left, SystemClock()).kept) == (0, 2)


class _Ended:
    def __init__(self, end: object) -> None:
        self._end = end

    def close(self) -> None:
        assert callable(self._end)
        self._end()


async def test_nobody_is_told_until_the_disk_has_it(settings: Settings) -> None:
    async with opened(settings, "kim") as metering:
        disk = HeldDisk()
        put_on(metering, disk)
        call = new_call("kim")
        await hold(metering, call)
        disk.goes_on.clear()
        settling = asyncio.create_task(settle(metering, call, answer(1)))

        async def is_recorded() -> bool:
            return call.id in await recorded(metering)

        await become(is_recorded)
        await asyncio.sleep(0.1)
        assert not settling.done()
        disk.goes_on.set()
        assert (await settling).available is not None


async def test_nobody_is_told_until_the_database_has_it_or_the_time_for_that_is_over(
    killable: KillableServer, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering:
        call = new_call("kim")
        await hold(metering, call)
        assert metering.spooling is not None
        async with balances_locked(killable):
            settling = asyncio.create_task(settle(metering, call, answer(1)))
            await become(lambda: _is(ids(spooled(settings)) == {call.id}))
            await asyncio.sleep(0.2)
            assert not settling.done()
            assert await metering.spooling.drain() == 0, "what is under way is sent by nobody else"
            assert (await settling).available is None
        await become(lambda: is_drained(metering))
        assert len(spooled(settings)) == 1, "what was written once serves for both"
        assert await recorded(metering) == {call.id: 450}
        await check_book(metering, settings.project)


async def _is(value: bool) -> bool:
    return value


async def test_crashes_under_load_lose_and_double_nothing_and_all_is_in_the_spool(
    killable: KillableServer, settings: Settings
) -> None:
    receipts: dict[UUID, int] = {}
    is_over = False

    async def work(metering: Metering, number: int) -> None:
        count = 0
        while not is_over:
            call = new_call(f"user-{number % 4}")
            await hold(metering, call)
            count += 1
            receipts[call.id] = (
                await settle(metering, call, answer(number * 100_000 + count, 300 + count))
            ).charged_tokens

    async with opened(settings, *(f"user-{number}" for number in range(4))) as metering:
        workers = [asyncio.create_task(work(metering, number)) for number in range(16)]
        for crash in (killable.crash, killable.kill):
            before = len(receipts)
            await become(lambda: _is(len(receipts) > before + 100))  # noqa: B023
            await asyncio.to_thread(crash)
            await asyncio.to_thread(killable.start)
        is_over = True
        await asyncio.gather(*workers)
        await become(lambda: is_drained(metering))
        assert await recorded(metering) == receipts
        assert ids(spooled(settings)) == set(receipts)
        await check_book(metering, settings.project)


async def test_what_was_refused_is_not_kept(settings: Settings) -> None:
    async with opened(settings, "kim") as metering:
        with pytest.raises(NotFound):
            await metering.record("nobody", "text_generation", answer(1))
        receipt = await metering.record("kim", "text_generation", answer(2))
        await metering.accounts.create("nobody")
        assert metering.spooling is not None
        await metering.spooling.adopt()
        assert await metering.spooling.record_again() == 1
        assert set(await recorded(metering)) == {receipt.id}


async def test_ends_of_holds_are_kept_too(settings: Settings) -> None:
    async with opened(settings, "kim") as metering:
        released, unknown = new_call("kim"), new_call("kim")
        await hold(metering, released)
        await hold(metering, unknown)
        await metering.execute(Release(released, "the provider answered 429"))
        await metering.execute(MarkUnknown(unknown, "the connection broke"))
        found = [each for each in spooled(settings) if isinstance(each, SpooledEnd)]
        assert {(each.hold, each.is_unknown) for each in found} == {(released.id, False), (unknown.id, True)}
        assert (await metering.accounts.balance("kim")).held == 1000
        assert metering.spooling is not None
        assert await metering.spooling.record_again() == 2
        assert (await metering.accounts.balance("kim")).held == 1000, "to end what has ended changes nothing"


async def test_a_record_whose_disk_breaks_is_in_the_database_and_somebody_hears_of_it(settings: Settings) -> None:
    class Broken(RealFile):
        def sync(self) -> None:
            raise OSError(5, "I/O error")

    class BrokenDisk(RealDisk):
        file = Broken

    told: list[str] = []
    end = telemetry.subscribe(lambda _, facts: told.append(facts["message"]), "spool.not_copied")
    async with opened(settings, "kim") as metering:
        put_on(metering, BrokenDisk())
        receipt = await metering.record("kim", "text_generation", answer(1))
        assert receipt.available is not None
        assert await recorded(metering) == {receipt.id: 450}
    end()
    assert [message.partition(":")[0] for message in told] == ["records are in the database alone"]


async def test_a_record_for_which_the_spool_has_no_room_while_the_database_is_away_is_told_of_when_that_is_back(
    killable: KillableServer, settings: Settings
) -> None:
    told: list[int] = []
    narrow = settings.model_copy(update={"spool_bytes_max": 65_536})
    async with opened(narrow, "kim") as metering:
        await metering.record("kim", "text_generation", answer(0))
        assert metering.spooling is not None
        for _ in range(3):
            await hold(metering, new_call("kim"))
        end = telemetry.subscribe(lambda _, facts: told.append(facts["records"]), "spool.not_copied")
        killable.crash()
        metering.spooling.note_away()
        recording = asyncio.create_task(metering.record("kim", "text_generation", answer(1)))
        await asyncio.sleep(0.2)
        killable.start()
        receipt = await recording
        end()
        assert (receipt.available is not None, told) == (True, [1])


async def test_what_a_caller_who_is_gone_had_copied_waits(tmp_path: Path) -> None:
    written: list[Spooled] = []

    async def write(given: Sequence[Spooled]) -> Sequence[str | None]:
        written.extend(given)
        return [None] * len(given)

    disk = HeldDisk()
    spooling = Spooling(
        tmp_path / "spool",
        write,
        clock=SystemClock(),
        bytes_max=2**20,
        keep_seconds=900,
        after_seconds=1,
        every_record=True,
        disk=disk,
    )
    await spooling.rooms.take(uuid4())
    disk.goes_on.clear()
    leaving = asyncio.create_task(spooling.copy([(uuid4(), b"unreadable")]))
    await asyncio.sleep(0.05)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    disk.goes_on.set()

    async def waits() -> bool:
        return (await spooling.backlog()).waiting == 1

    await become(waits)
    await spooling.close()


def test_it_needs_a_spool() -> None:
    with pytest.raises(InvalidSettings, match="needs a spool"):
        Settings.load(spool_bytes_max=0, spool_every_record=True)


WORKER = """
import asyncio, sys
from pathlib import Path
from jangbu.config import Settings
from tests.metering.outage import answer, hold, new_call, opened, settle
from tests.metering.test_spooling_every_record import HeldDisk, put_on
settings = Settings.load(
    database_url=sys.argv[1], spool_dir=Path(sys.argv[2]), project=sys.argv[3],
    spool_every_record=True, spool_after_seconds=60,
)
async def main():
    async with opened(settings, "kim") as metering:
        disk = HeldDisk()
        put_on(metering, disk)
        calls = [new_call("kim") for _ in range(20)]
        for call in calls:
            await hold(metering, call)
        print("held", flush=True)
        if sys.stdin.readline() == "no sync\\n":
            disk.goes_on.clear()
        await asyncio.gather(*(settle(metering, call, answer(i)) for i, call in enumerate(calls)))
        print("told", flush=True)
asyncio.run(main())
"""


@asynccontextmanager
async def working(killable: KillableServer, settings: Settings) -> AsyncIterator["subprocess.Popen[str]"]:
    """Have a process hold for twenty calls and settle them when it is told to; it is killed before anybody is told."""
    words = [killable.dsn, str(settings.spool_dir), settings.project]
    worker = subprocess.Popen(  # noqa: ASYNC220 - it is waited for line by line
        [sys.executable, "-c", WORKER, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    with worker, worker.stdin, worker.stdout:
        assert await asyncio.to_thread(worker.stdout.readline) == "held\n"
        yield worker
        worker.kill()
        worker.wait()
        assert worker.stdout.read() == ""


def say(worker: "subprocess.Popen[str]", order: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(f"{order}\n")
    worker.stdin.flush()


async def test_a_process_that_is_killed_between_the_spool_and_the_commit_leaves_what_is_recorded_once(
    killable: KillableServer, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering:
        async with working(killable, settings) as worker, balances_locked(killable):
            say(worker, "go on")
            await become(lambda: _is(bool(spooled(settings))))
            assert await recorded(metering) == {}
            worker.kill()
        await is_recorded_once(metering, settings)
        assert ids(spooled(settings)), "it was in the spool alone"


async def test_a_process_that_is_killed_between_the_commit_and_the_spool_leaves_what_is_recorded_once(
    killable: KillableServer, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering:
        async with working(killable, settings) as worker:
            say(worker, "no sync")

            async def are_recorded() -> bool:
                return len(await recorded(metering)) > 0

            await become(are_recorded)
        await is_recorded_once(metering, settings)


async def is_recorded_once(metering: Metering, settings: Settings) -> None:
    """Have what was left adopted; whatever is in the book then is there once, and what is not is still held for."""
    assert metering.spooling is not None
    await metering.spooling.adopt()
    await become(lambda: _are_adopted(settings))
    found, balance = await recorded(metering), await metering.accounts.balance("kim")
    assert ids(spooled(settings)) <= set(found)
    assert (balance.used, balance.held) == (450 * len(found), 1000 * (20 - len(found)))
    await check_book(metering, settings.project)


async def _are_adopted(settings: Settings) -> bool:
    return all(look(each, SystemClock()).waiting == 0 for each in spools_below(settings.spool_dir or Path()))
