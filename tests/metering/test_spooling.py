"""The recorder while the database is away: callers go on, and the book has every record once when it is back."""

import asyncio
import logging
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock
from jangbu.config import Settings
from jangbu.domain.flow import MarkUnknown, Receipt, Release
from jangbu.locations import ledger_spool
from jangbu.metering.meter import Metering
from jangbu.metering.spool import Spool, look, spools_below
from tests.faults.proxy import lossy_proxy
from tests.faults.server import KillableServer
from tests.faults.waiting import become
from tests.metering.outage import (
    GRANT,
    answer,
    check_book,
    fetch,
    hold,
    is_drained,
    new_call,
    opened,
    recorded,
    settle,
    settle_held,
)


async def test_a_call_whose_database_died_is_settled_into_the_spool_and_drained_when_it_is_back(
    killable: KillableServer, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering:
        first, second = new_call("kim"), new_call("kim")
        await hold(metering, first)
        await hold(metering, second)
        assert (await settle(metering, first, answer(1))).available == GRANT - 1000 - 450
        killable.crash()
        receipt = await settle(metering, second, answer(2))
        assert (receipt.id, receipt.charged_tokens, receipt.available) == (second.id, 450, None)
        assert receipt.cost_nano is not None
        killable.start()
        await become(lambda: is_drained(metering))
        balance = await metering.accounts.balance("kim")
        assert (balance.used, balance.held) == (900, 0)
        await check_book(metering, settings.project)


async def test_it_is_told_of_a_flush_how_much_of_it_went_to_the_spool(
    killable: KillableServer, settings: Settings
) -> None:
    told: list[tuple[int, int, int]] = []
    end = telemetry.subscribe(
        lambda _, facts: told.append((facts["rows"], facts["failed"], facts["spooled"])), "recorder.flushed"
    )
    async with opened(settings, "kim") as metering:
        await settle_held(metering, answer(0))
        call = new_call("kim")
        await hold(metering, call)
        killable.crash()
        await settle(metering, call, answer(1))
        killable.start()
    end()
    assert told == [(1, 0, 0), (1, 0, 1)]


async def test_a_database_that_is_away_is_told_by_jangbu_alone_and_without_tracebacks(
    killable: KillableServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(settings, "kim") as metering:
        killable.crash()
        assert (await metering.record("kim", "chat", answer(1))).available is None
        await asyncio.sleep(1)
        killable.start()
        await become(lambda: is_drained(metering))
    assert any("spool.began" in each.message for each in caplog.records)
    assert {each.name for each in caplog.records if each.levelno >= logging.WARNING} <= {"jangbu", "jangbu.alerts"}
    assert [each for each in caplog.records if each.exc_info] == []


async def test_what_is_handed_over_under_a_key_waits_with_it_and_is_recorded_once(
    killable: KillableServer, settings: Settings
) -> None:
    put_aside: list[str] = []
    end = telemetry.subscribe(lambda _, facts: put_aside.append(facts["reason"]), "spool.set_aside")
    usage, other = replace(answer(1), response_id=None), replace(answer(2, tokens=460), response_id=None)
    async with opened(settings, "kim") as metering:
        before = await metering.record("kim", "chat", usage, call_key="call-0")
        killable.crash()
        assert (await metering.record("kim", "chat", usage, call_key="call-0")).available is None
        for _ in range(2):
            receipt = await metering.record("kim", "chat", usage, call_key="call-1")
            assert (receipt.charged_tokens, receipt.available, receipt.replayed) == (450, None, False)
        # Nobody knows yet that these keys stand for other answers.
        for key in ("call-0", "call-1"):
            await metering.record("kim", "chat", other, call_key=key)
        killable.start()
        await become(lambda: is_drained(metering))
        assert (await metering.record("kim", "chat", usage, call_key="call-1")).replayed
        assert (await metering.record("kim", "chat", usage, call_key="call-0")).id == before.id
        assert (await metering.accounts.balance("kim")).used == 900
        await check_book(metering, settings.project)
    end()
    assert [reason.partition(" was recorded at ")[0] for reason in put_aside] == ["'call-0'", "'call-1'"]


async def test_crashes_under_load_lose_and_double_nothing(killable: KillableServer, settings: Settings) -> None:
    users = tuple(f"user-{number}" for number in range(8))
    receipts: dict[UUID, Receipt] = {}
    crashes = 0

    async def work(metering: Metering, number: int) -> None:
        count = 0
        while crashes < 3 or count < 20:
            call = new_call(users[number % len(users)])
            await hold(metering, call)
            count += 1
            receipts[call.id] = await settle(metering, call, answer(number * 100_000 + count, 300 + count))

    async with opened(settings, *users) as metering:
        workers = [asyncio.create_task(work(metering, number)) for number in range(16)]
        for crash in (killable.crash, killable.kill, killable.crash):
            before = len(receipts)
            await become(lambda: _is(len(receipts) > before + 50))  # noqa: B023
            await asyncio.to_thread(crash)
            await asyncio.to_thread(killable.start)
            crashes += 1
        await asyncio.gather(*workers)
        await become(lambda: is_drained(metering))
        assert await recorded(metering) == {each.id: each.charged_tokens for each in receipts.values()}
        assert any(receipt.available is None for receipt in receipts.values())
        await check_book(metering, settings.project)


async def _is(value: bool) -> bool:
    return value


async def test_a_database_that_does_not_answer_is_waited_for_no_longer_than_is_set(
    killable: KillableServer, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering:
        calls = [new_call("kim") for _ in range(5)]
        for call in calls:
            await hold(metering, call)
        with killable.silent():
            receipts = await asyncio.gather(*(settle(metering, call, answer(i)) for i, call in enumerate(calls)))
            assert [receipt.available for receipt in receipts] == [None] * 5
            late = await metering.record("kim", "text_generation", answer(99))
            assert late.available is None
        await become(lambda: is_drained(metering))
        balance = await metering.accounts.balance("kim")
        assert (balance.used, balance.held) == (6 * 450, 0)
        await check_book(metering, settings.project)


async def test_names_that_nobody_used_before_wait_with_their_record(
    killable: KillableServer, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering:
        killable.crash()
        receipt = await metering.record("kim", "a new service", answer(1, model="a-new-model"))
        assert receipt.available is None
        killable.start()
        await become(lambda: is_drained(metering))
        found = await fetch(
            metering.database,
            "SELECT s.name, m.name FROM jangbu.usage AS u JOIN jangbu.services AS s USING (service_id)"
            " JOIN jangbu.models AS m USING (model_id) WHERE u.id = $1",
            receipt.id,
        )
        assert [tuple(row) for row in found] == [("a new service", "a-new-model")]


async def test_an_acknowledgement_that_was_lost_is_recorded_once_also_through_the_spool(
    killable: KillableServer, settings: Settings, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="jb") as folder:
        async with lossy_proxy(killable.dsn, Path(folder)) as (address, proxy):
            behind = settings.model_copy(update={"database_url": Settings.load(database_url=address).database_url})
            async with opened(behind, "kim") as metering:
                await settle_held(metering, answer(0))
                for number in range(1, 11):
                    call = new_call("kim")
                    await hold(metering, call)
                    proxy.swallow_answers_after = call.id.bytes
                    proxy.refuses_from_then_on = number % 2 == 0
                    receipt = await settle(metering, call, answer(number))
                    assert (receipt.available is None) is proxy.refuses_from_then_on
                    proxy.refuses_from_then_on = proxy.refuses = False
                    await become(lambda: is_drained(metering))
                assert proxy.swallowed == 10
                assert len(await recorded(metering)) == 11
                await check_book(metering, settings.project)


async def test_the_same_answer_brought_twice_while_the_database_is_away_is_charged_once(
    killable: KillableServer, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering:
        await settle_held(metering, answer(0))
        killable.crash()
        for _ in range(2):
            assert (await metering.record("kim", "text_generation", answer(1))).available is None
        killable.start()
        await become(lambda: is_drained(metering))
        assert (await metering.accounts.balance("kim")).used == 900
        await check_book(metering, settings.project)


async def test_two_calls_whose_answers_bear_one_id_with_other_counts_are_both_charged(
    killable: KillableServer, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering:
        calls = [new_call("kim") for _ in range(3)]
        for call in calls:
            await hold(metering, call)
        await settle(metering, calls[0], answer(1, 400))
        killable.crash()
        await settle(metering, calls[1], answer(1, 500))
        await settle(metering, calls[2], answer(1, 600))
        killable.start()
        await become(lambda: is_drained(metering))
        balance = await metering.accounts.balance("kim")
        assert (balance.used, balance.held) == (1500, 0)
        await check_book(metering, settings.project)


async def test_a_call_that_costs_nothing_gives_its_hold_back_when_the_database_is_back(
    killable: KillableServer, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering:
        rejected, lost = [new_call("kim") for _ in range(3)], new_call("kim")
        for call in (*rejected, lost):
            await hold(metering, call)
        killable.crash()
        await asyncio.gather(*(metering.execute(Release(call, "the provider answered 500")) for call in rejected))
        await metering.execute(MarkUnknown(lost, "it broke off"))
        killable.start()
        await become(lambda: is_drained(metering))
        assert (await metering.accounts.balance("kim")).held == 1000
        account = metering.accounts.id_of("kim")
        states = {each.id: each.state for each in await metering.holds.page(account, None, 10)}
        assert states == {lost.id: "unknown", **{call.id: "released" for call in rejected}}
        await check_book(metering, settings.project)


async def test_a_record_that_can_never_be_recorded_blocks_no_other_and_is_told(
    killable: KillableServer, settings: Settings
) -> None:
    told: list[str] = []
    end = telemetry.subscribe(lambda _, facts: told.append(facts["reason"]), "spool.set_aside")
    async with opened(settings, "kim") as metering:
        await settle_held(metering, answer(0))
        killable.crash()
        await metering.record("nobody opened this", "text_generation", answer(1))
        await metering.record("kim", "text_generation", answer(2))
        killable.start()
        await become(lambda: is_drained(metering))
        assert (await metering.accounts.balance("kim")).used == 900
        assert metering.spooling is not None
        assert (await metering.spooling.backlog()).quarantined == 1
    end()
    assert told == ["user 'nobody opened this' has no account"]
    (left,) = (settings.spool_dir or Path()).glob("*/*/quarantine/*")
    assert b"nobody opened this" in left.read_bytes()


async def test_it_is_told_when_records_begin_to_wait_as_long_as_they_do_and_when_it_ends(
    killable: KillableServer, settings: Settings
) -> None:
    told: list[str] = []
    end = telemetry.subscribe(lambda event, _: told.append(event), "spool.began", "spool.lasts", "spool.ended")
    async with opened(settings, "kim") as metering:
        assert metering.spooling is not None
        metering.spooling.telling.every_seconds = 0
        await settle_held(metering, answer(0))
        killable.crash()
        await metering.record("kim", "text_generation", answer(1))
        await metering.record("kim", "text_generation", answer(2))
        await become(lambda: _is(told.count("spool.lasts") > 1))
        killable.start()
        await become(lambda: _is("spool.ended" in told))
    end()
    assert [told[0], told[-1]] == ["spool.began", "spool.ended"]
    assert told.count("spool.began") == told.count("spool.ended") == 1


WORKER = """
import asyncio, sys
from pathlib import Path
from jangbu.config import Settings
from tests.metering.outage import answer, hold, new_call, opened, settle
settings = Settings.load(database_url=sys.argv[1], spool_dir=Path(sys.argv[2]), project=sys.argv[3])
async def main():
    async with opened(settings, "kim") as metering:
        calls = [new_call("kim") for _ in range(20)]
        for call in calls:
            await hold(metering, call)
        print("held", flush=True)
        sys.stdin.readline()
        receipts = await asyncio.gather(*(settle(metering, call, answer(i)) for i, call in enumerate(calls)))
        print(sum(receipt.available is None for receipt in receipts), flush=True)
        sys.stdin.readline()
asyncio.run(main())
"""


async def test_what_a_killed_process_left_is_adopted_and_drained_by_the_next(
    killable: KillableServer, settings: Settings
) -> None:
    words = [killable.dsn, str(settings.spool_dir), settings.project]
    worker = subprocess.Popen(  # noqa: ASYNC220 - it is waited for line by line
        [sys.executable, "-c", WORKER, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    with worker, worker.stdin, worker.stdout:
        assert worker.stdout.readline() == "held\n"
        killable.crash()
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "20\n"
        worker.kill()
        worker.wait()
    killable.start()
    (left,) = spools_below(settings.spool_dir or Path())
    assert look(left, SystemClock()).waiting == 20
    async with opened(settings) as metering:
        balance = await metering.accounts.balance("kim")
        assert (balance.used, balance.held) == (20 * 450, 0), "it is in the book before anybody reads it"
        await check_book(metering, settings.project)
    kept = look(left, SystemClock())
    assert (kept.waiting, kept.kept, kept.is_owned) == (0, 20, False)


async def test_a_spool_whose_owner_lives_is_left_to_it(settings: Settings) -> None:
    directory = ledger_spool(settings) / "somebody-else"
    living = Spool.open(directory, segment_bytes=65_536, clock=SystemClock())
    living.append([b"not ours"])
    async with opened(settings, "kim") as metering:
        assert metering.spooling is not None
        assert await metering.spooling.adopt() == 0
    assert len(living.pending(10)) == 1
    living.close()
