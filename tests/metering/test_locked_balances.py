"""A balance that another transaction keeps locked keeps nobody else waiting, and loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from jangbu import telemetry
from jangbu.config import Settings
from jangbu.domain.flow import MarkUnknown, Receipt, Release
from jangbu.domain.ledger import Asset, account_id
from jangbu.errors import BalanceLocked, HoldInDoubt
from jangbu.metering import spool_drain
from jangbu.metering.locked_balances import LockedBalances
from jangbu.metering.meter import Metering
from jangbu.storage.database import Database
from tests.faults.proxy import LossyProxy, lossy_proxy
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
)

WATCHDOG_SECONDS = 60


@asynccontextmanager
async def locked_by_hand(settings: Settings, user: str, asset: Asset = Asset.TOKENS) -> AsyncIterator[None]:
    """Keep a balance locked as somebody does who began a transaction at a console."""
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        async with connection.transaction():
            found = await connection.fetch(
                "SELECT FROM jangbu.balances WHERE account_id = $1 AND asset = $2 FOR UPDATE",
                account_id(settings.project, user),
                int(asset),
            )
            assert len(found) == 1
            yield
    finally:
        await connection.close()


@pytest.fixture
def patient(settings: Settings) -> Settings:
    """Give settings by which nothing is given up because the machine is slow."""
    return settings.model_copy(update={"hold_wait_seconds_max": 50, "spool_after_seconds": 50})


async def holds_of(metering: Metering, user: str) -> list[tuple[str, int]]:
    rows = await fetch(
        metering.database,
        "SELECT state::text, amount FROM jangbu.holds WHERE account_id = $1 ORDER BY state::text",
        metering.accounts.id_of(user),
    )
    return [(row["state"], row["amount"]) for row in rows]


async def test_holds_of_others_are_taken_and_its_own_when_it_is_free(patient: Settings) -> None:
    async with opened(patient, "kim", "lee", "choi") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        async with locked_by_hand(patient, "kim"):
            waiting = [asyncio.create_task(hold(metering, new_call("kim"))) for _ in range(5)]
            for _ in range(3):
                await asyncio.gather(*(hold(metering, new_call(user)) for user in ("lee", "choi") * 20))
            assert not any(task.done() for task in waiting)
            assert not metering.absence.is_noted
        await asyncio.gather(*waiting)
        for user, holds in (("kim", 5), ("lee", 60), ("choi", 60)):
            assert (await metering.accounts.balance(user)).held == 1000 * holds
        await check_book(metering, patient.project)


async def test_a_hold_of_a_balance_that_stays_locked_is_refused_soon_and_later_ones_at_once(settings: Settings) -> None:
    chosen = settings.model_copy(update={"hold_wait_seconds_max": 2, "record_seconds_max": 600})
    async with opened(chosen, "kim", "lee") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        async with locked_by_hand(chosen, "kim"):
            with pytest.raises(BalanceLocked, match="locked by another transaction"):
                await hold(metering, new_call("kim"))
            for _ in range(200):
                with pytest.raises(BalanceLocked):
                    await hold(metering, new_call("kim"))
            await hold(metering, new_call("lee"))
        await become(lambda: is_taken(metering))
        assert await holds_of(metering, "kim") == [("open", 1000)]


async def is_taken(metering: Metering) -> bool:
    try:
        await hold(metering, new_call("kim"))
    except BalanceLocked:
        return False
    return True


@pytest.mark.parametrize("every_record", [False, True], ids=["a spool", "every record in the spool"])
@pytest.mark.parametrize("asset", [Asset.TOKENS, Asset.MONEY])
async def test_a_record_waits_in_the_spool_and_those_of_others_do_not(
    settings: Settings, asset: Asset, every_record: bool
) -> None:
    told: list[tuple[int, int]] = []
    chosen = settings.model_copy(update={"spool_every_record": every_record, "spool_after_seconds": 20})
    async with opened(chosen, "kim", "lee") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        await metering.accounts.grant("kim", GRANT, key="second", asset=asset)
        calls = [new_call("kim") for _ in range(3)]
        for each in calls:
            await hold(metering, each)
        async with locked_by_hand(chosen, "kim", asset):
            receipts = await asyncio.gather(
                *(settle(metering, call, answer(number)) for number, call in enumerate(calls)),
                *(settle_of(metering, "lee", number) for number in range(10, 20)),
            )
            assert [each.available is None for each in receipts] == [True] * 3 + [False] * 10
            assert len(await recorded(metering)) == 10
            assert metering.spooling is not None
            assert not metering.spooling.is_away
            end = telemetry.subscribe(
                lambda _, facts: told.append((facts["rows"], facts["spooled"])), "recorder.flushed"
            )
            await settle_of(metering, "lee", 20)
            end()
            assert told == [(1, 0)]
        await become(lambda: is_drained(metering))
        assert len(await recorded(metering)) == 14
        assert await holds_of(metering, "kim") == []
        assert (await metering.accounts.balance("kim")).used == 3 * 450
        await check_book(metering, chosen.project)


async def settle_of(metering: Metering, user: str, number: int) -> Receipt:
    call = new_call(user)
    await hold(metering, call)
    return await settle(metering, call, answer(number))


async def test_without_a_spool_a_record_is_tried_until_its_balance_is_free(settings: Settings) -> None:
    chosen = settings.model_copy(update={"spool_bytes_max": 0, "record_seconds_max": 50})
    async with opened(chosen, "kim", "lee") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        await settle_of(metering, "lee", 0)
        calls = [new_call(user) for user in ("lee", "kim", "lee")]
        for each in calls:
            await hold(metering, each)
        async with locked_by_hand(chosen, "kim"):
            # The first is flushed by itself, and the others together.
            settling = [
                asyncio.create_task(settle(metering, each, answer(number))) for number, each in enumerate(calls, 1)
            ]
            await become(lambda: has_recorded(metering, 3))
            assert not settling[1].done()
        assert [(await each).charged_tokens for each in settling] == [450] * 3
        assert (await metering.accounts.balance("kim")).used == 450
        await check_book(metering, chosen.project)


async def has_recorded(metering: Metering, number: int) -> bool:
    return len(await recorded(metering)) == number


@pytest.mark.parametrize("spool_bytes", [2**20, 0], ids=["with a spool", "without one"])
async def test_holds_end_when_it_is_free_and_those_of_others_at_once(settings: Settings, spool_bytes: int) -> None:
    chosen = settings.model_copy(update={"spool_bytes_max": spool_bytes, "record_seconds_max": 50})
    async with opened(chosen, "kim", "lee") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        released, unknown, others = new_call("kim"), new_call("kim"), [new_call("lee") for _ in range(5)]
        for call in (released, unknown, *others):
            await hold(metering, call)
        async with locked_by_hand(chosen, "kim"):
            ending = asyncio.create_task(metering.execute(Release(released, "an error")))
            await asyncio.gather(*(metering.execute(Release(call, "an error")) for call in others))
            assert (await metering.accounts.balance("lee")).held == 0
            await metering.execute(MarkUnknown(unknown, "the connection broke"))
            await become(lambda: has_holds(metering, [("open", 1000), ("unknown", 1000)]))
            if spool_bytes:
                await ending
                assert metering.spooling is not None
                assert not metering.spooling.is_away
        await ending
        await become(lambda: has_holds(metering, [("released", 1000), ("unknown", 1000)]))
        await check_book(metering, chosen.project)


async def has_holds(metering: Metering, holds: Sequence[tuple[str, int]]) -> bool:
    return await holds_of(metering, "kim") == holds


async def test_what_waits_in_the_spool_for_it_keeps_nothing_from_draining_that_came_later(settings: Settings) -> None:
    told: list[str] = []
    chosen = settings.model_copy(update={"spool_bytes_max": 2**23})
    async with opened(chosen, "kim", "lee") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        spooling = metering.spooling
        assert spooling is not None
        end = telemetry.subscribe(lambda event, _: told.append(event), "spool.began", "spool.ended")
        spooling.telling.every_seconds = 0
        lee = new_call("lee")
        await hold(metering, lee)
        async with locked_by_hand(chosen, "kim"):
            for first in (0, 300):
                await asyncio.gather(
                    *(metering.record("kim", "chat", answer(number)) for number in range(first, first + 300))
                )
            spooling.note_away()
            await settle(metering, lee, answer(1000))
            await become(lambda: has_recorded(metering, 1))
            assert (await spooling.backlog()).waiting == 600
            await become(lambda: is_told(told, "spool.began"))
        await become(lambda: is_drained(metering))
        assert len(await recorded(metering)) == 601
        assert (await metering.accounts.balance("kim")).used == 600 * 450
        await become(lambda: is_told(told, "spool.began", "spool.ended"))
        end()
        await check_book(metering, chosen.project)


async def is_told(told: list[str], *events: str) -> bool:
    return told == list(events)


async def test_a_record_that_waits_for_it_for_a_moment_raises_no_alarm(settings: Settings) -> None:
    told: list[str] = []
    end = telemetry.subscribe(lambda event, _: told.append(event), "spool.kept", "spool.began")
    async with opened(settings, "kim") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        async with locked_by_hand(settings, "kim"):
            await metering.record("kim", "chat", answer(1))
        await become(lambda: is_drained(metering))
    end()
    assert told == ["spool.kept"]


async def test_a_call_whose_caller_leaves_while_its_balance_is_locked_holds_nothing(settings: Settings) -> None:
    chosen = settings.model_copy(update={"hold_wait_seconds_max": 50})
    async with opened(chosen, "kim", "lee") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        async with locked_by_hand(chosen, "kim"):
            asking = asyncio.create_task(hold(metering, new_call("kim")))
            await asyncio.sleep(1)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await hold(metering, new_call("lee"))
        await become(lambda: is_all_given_back(metering))
        assert (await metering.accounts.balance("kim")).held == 0
        await check_book(metering, chosen.project)


async def is_all_given_back(metering: Metering) -> bool:
    return [state for state, _ in await holds_of(metering, "kim")] == ["released"]


async def test_where_others_lock_it_in_turns_it_has_its_turn(patient: Settings) -> None:
    async with opened(patient, "kim") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        locked = metering.holds.locked
        async with locked_by_hand(patient, "kim"):
            holding = asyncio.create_task(hold(metering, new_call("kim")))
            await become(lambda: is_noted(locked, metering.accounts.id_of("kim")))
            turns = [asyncio.create_task(in_turns(patient, "kim")) for _ in range(2)]
            await asyncio.sleep(0.5)
        await holding
        for each in turns:
            each.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
        assert metering.accounts.id_of("kim") not in locked


async def is_noted(locked: LockedBalances, account: UUID) -> bool:
    return account in locked


async def in_turns(settings: Settings, user: str) -> None:
    while True:
        async with locked_by_hand(settings, user):
            await asyncio.sleep(0.1)


async def test_a_machine_that_vanishes_meanwhile_does_not_keep_it_locked(settings: Settings, tmp_path: Path) -> None:
    assert settings.database_url is not None
    folder = tmp_path / "proxy"
    folder.mkdir()
    async with lossy_proxy(settings.database_url.get_secret_value(), folder) as (address, proxy):
        behind = {"database_url": Settings.load(database_url=address).database_url, "hold_wait_seconds_max": 3}
        async with opened(settings.model_copy(update=behind), "kim") as metering, asyncio.timeout(WATCHDOG_SECONDS):
            async with locked_by_hand(settings, "kim"):
                holding = asyncio.create_task(hold(metering, new_call("kim")))
                await become(lambda: is_noted(metering.holds.locked, metering.accounts.id_of("kim")))
                proxy.machines += 1
            await asyncio.gather(holding, return_exceptions=True)
            await become(lambda: is_taken(metering))


async def test_a_hold_that_was_taken_unheard_and_is_locked_then_is_given_back(
    settings: Settings, tmp_path: Path
) -> None:
    """Its acknowledgement is lost, and the next attempt finds the balance locked."""
    assert settings.database_url is not None
    folder = tmp_path / "proxy"
    folder.mkdir()
    async with lossy_proxy(settings.database_url.get_secret_value(), folder) as (address, proxy):
        behind = {"database_url": Settings.load(database_url=address).database_url, "hold_wait_seconds_max": 4}
        async with opened(settings.model_copy(update=behind), "kim") as metering, asyncio.timeout(WATCHDOG_SECONDS):
            await settle_of(metering, "kim", 0)
            call = new_call("kim")
            proxy.swallow_answers_after, proxy.refuses_from_then_on = call.id.bytes, True
            holding = asyncio.create_task(hold(metering, call))
            await become(lambda: is_swallowed(proxy))
            async with locked_by_hand(settings, "kim"):
                proxy.refuses = False
                with pytest.raises(HoldInDoubt):
                    await holding
            await become(lambda: has_holds(metering, [("released", 1000)]))


async def is_swallowed(proxy: LossyProxy) -> bool:
    return proxy.swallowed == 1


async def test_what_is_sent_again_waits_until_it_is_free_and_else_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings.model_copy(update={"spool_every_record": True, "spool_after_seconds": 20})
    async with opened(chosen, "kim", "lee") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        assert metering.spooling is not None
        for number, user in enumerate(("kim", "lee")):
            await settle_of(metering, user, number)
        async with locked_by_hand(chosen, "kim"):
            sending = asyncio.create_task(metering.spooling.record_again())
            await become(lambda: is_noted(metering.holds.locked, metering.accounts.id_of("kim")))
            assert not sending.done()
        assert await sending == 2
        monkeypatch.setattr(spool_drain, "_LOCKED_SECONDS", 0)
        async with locked_by_hand(chosen, "kim"):
            with pytest.raises(BalanceLocked):
                await metering.spooling.record_again()


async def test_a_role_whose_statements_end_sooner_gives_a_lock_up_too(settings: Settings) -> None:
    assert settings.database_url is not None
    dsn = settings.database_url.get_secret_value() + "&options=-c%20statement_timeout%3D700"
    chosen = settings.model_copy(update={"database_url": Settings.load(database_url=dsn).database_url})
    async with opened(chosen, "kim", "lee") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        async with locked_by_hand(settings, "kim"):
            waiting = asyncio.create_task(hold(metering, new_call("kim")))
            await become(lambda: is_noted(metering.holds.locked, metering.accounts.id_of("kim")))
            await hold(metering, new_call("lee"))
        await waiting


async def test_another_lock_than_a_balances_is_waited_for(database: Database) -> None:
    async def write(items: Sequence[UUID]) -> Sequence[UUID]:
        raise asyncpg.LockNotAvailableError(f"canceling statement due to lock timeout, of {len(items)}")

    locked = LockedBalances(database)
    with pytest.raises(asyncpg.LockNotAvailableError):
        await locked.passed_over([account_id("p", "kim")], lambda item: item, write)
    await locked.close()


async def test_each_waits_for_its_own_balance_only(settings: Settings) -> None:
    chosen = settings.model_copy(update={"hold_wait_seconds_max": 50})
    async with opened(chosen, "kim", "lee", "choi") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        async with locked_by_hand(chosen, "kim"):
            async with locked_by_hand(chosen, "lee"):
                kims, lees = (asyncio.create_task(hold(metering, new_call(user))) for user in ("kim", "lee"))
                await hold(metering, new_call("choi"))
                assert [kims.done(), lees.done()] == [False, False]
            await lees
            assert not kims.done()
            await settle_of(metering, "choi", 1)
        await kims
