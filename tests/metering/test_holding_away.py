"""Holds while the database is away: who asks for one hears soon, and none stays behind that nobody was told of."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from jangbu import telemetry
from jangbu.config import Settings
from jangbu.errors import DatabaseUnreachable, HoldInDoubt, JangbuError
from jangbu.metering.meter import Metering
from jangbu.metering.spool import spools_below
from tests.faults.proxy import LossyProxy, lossy_proxy
from tests.faults.server import KillableServer
from tests.faults.waiting import become
from tests.metering.outage import GRANT, answer, check_book, hold, new_call, opened, settle, settle_held

WATCHDOG_SECONDS = 60


@pytest.fixture
def hasty(settings: Settings) -> Settings:
    """Give settings by which a hold is waited for for a second, and everything else for ten minutes."""
    return settings.model_copy(update={"hold_wait_seconds_max": 1, "record_seconds_max": 600})


@asynccontextmanager
async def opened_behind(settings: Settings, dsn: str) -> AsyncIterator[tuple[Metering, LossyProxy]]:
    """Open a ledger behind a proxy, and make one call, so that its statements are known to the server."""
    with tempfile.TemporaryDirectory(prefix="jb") as folder:
        async with lossy_proxy(dsn, Path(folder)) as (address, proxy):
            behind = settings.model_copy(update={"database_url": Settings.load(database_url=address).database_url})
            async with opened(behind, "kim") as metering:
                await settle_held(metering, answer(0))
                yield metering, proxy


async def states(dsn: str, project: str) -> list[tuple[str, int]]:
    """Give the state and the tokens of each hold, oldest first, past everything that stands between."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT h.state::text, h.amount FROM jangbu.holds AS h JOIN jangbu.accounts AS a USING (account_id)"
        " WHERE a.project = $1 ORDER BY h.id",
        project,
    )
    await connection.close()
    return [tuple(row) for row in rows]


async def nothing_is_held(metering: Metering) -> bool:
    try:
        return (await metering.accounts.balance("kim")).held == 0
    except DatabaseUnreachable:
        return False


async def test_who_wants_a_hold_of_a_database_that_is_away_hears_soon_and_later_at_once(
    killable: KillableServer, hasty: Settings
) -> None:
    attempts: list[str] = []
    async with opened(hasty, "kim") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        killable.crash()
        with pytest.raises(DatabaseUnreachable):
            await hold(metering, new_call("kim"))
        end = telemetry.subscribe(lambda event, _: attempts.append(event), "holds.retried")
        for _ in range(100):
            with pytest.raises(DatabaseUnreachable, match="has not answered for"):
                await hold(metering, new_call("kim"))
        end()
        assert attempts == []
        killable.start()
        await become(lambda: is_taken(metering))


async def is_taken(metering: Metering) -> bool:
    try:
        await hold(metering, new_call("kim"))
    except DatabaseUnreachable:
        return False
    return True


async def test_a_restart_that_is_over_in_time_is_waited_for(killable: KillableServer, settings: Settings) -> None:
    patient = settings.model_copy(update={"hold_wait_seconds_max": 60})
    async with opened(patient, "kim") as metering:
        killable.crash()
        holding = [asyncio.create_task(hold(metering, new_call("kim"))) for _ in range(20)]
        await asyncio.sleep(0.5)
        killable.start()
        await asyncio.gather(*holding)
        assert (await metering.accounts.balance("kim")).held == 20_000


async def test_who_waits_in_a_queue_waits_no_longer_than_who_came_first(
    killable: KillableServer, settings: Settings
) -> None:
    chosen = settings.model_copy(update={"hold_wait_seconds_max": 3, "record_seconds_max": 600})
    async with opened(chosen, "kim") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        killable.crash()
        results = await asyncio.gather(*(hold(metering, new_call("kim")) for _ in range(1000)), return_exceptions=True)
        assert {isinstance(each, DatabaseUnreachable) for each in results} == {True}
        assert sum("has not answered for" in str(each) for each in results) > 800, "the later batches ask no more"
        killable.start()
        await become(lambda: nothing_is_held(metering))


async def test_a_new_service_is_waited_for_no_longer_than_a_hold(killable: KillableServer, hasty: Settings) -> None:
    async with opened(hasty, "kim") as metering, asyncio.timeout(WATCHDOG_SECONDS):
        with killable.silent(), pytest.raises(DatabaseUnreachable):
            await metering.briefly(lambda: metering.services.admit("a service that nobody used"))
        with pytest.raises(DatabaseUnreachable, match="has not answered for"):
            await metering.briefly(lambda: metering.services.admit("another one"))
        await become(lambda: is_taken(metering))


async def test_holds_that_a_silent_server_took_after_all_are_given_back_when_it_speaks_again(
    killable: KillableServer, hasty: Settings
) -> None:
    async with opened(hasty, "kim") as metering:
        await settle_held(metering, answer(0))
        with killable.silent():
            async with asyncio.timeout(WATCHDOG_SECONDS):
                refused = await asyncio.gather(
                    *(hold(metering, new_call("kim")) for _ in range(5)), return_exceptions=True
                )
        assert [type(each) for each in refused] == [HoldInDoubt] * 5
        await become(lambda: nothing_is_held(metering))
        await become(lambda: all_released(killable.dsn, hasty.project, 5))
        await check_book(metering, hasty.project)


async def all_released(dsn: str, project: str, number: int) -> bool:
    return [state for state, _ in await states(dsn, project)] == ["released"] * number


@pytest.mark.parametrize("spool_bytes", [2**20, 0], ids=["with a spool", "without one"])
async def test_a_hold_whose_acknowledgement_is_lost_for_good_is_given_back_as_soon_as_that_is_possible(
    killable: KillableServer, hasty: Settings, spool_bytes: int
) -> None:
    chosen = hasty.model_copy(update={"spool_bytes_max": spool_bytes})
    async with opened_behind(chosen, killable.dsn) as (metering, proxy):
        call = new_call("kim")
        proxy.swallow_answers_after, proxy.refuses_from_then_on = call.id.bytes, True
        with pytest.raises(HoldInDoubt):
            await hold(metering, call)
        assert await states(killable.dsn, chosen.project) == [("open", 1000)]
        proxy.refuses_from_then_on = proxy.refuses = False
        await become(lambda: nothing_is_held(metering))
        assert await states(killable.dsn, chosen.project) == [("released", 1000)]
        await check_book(metering, chosen.project)


async def test_a_hold_in_doubt_is_given_back_by_whoever_opens_the_ledger_next(
    killable: KillableServer, hasty: Settings
) -> None:
    async with opened_behind(hasty, killable.dsn) as (metering, proxy):
        call = new_call("kim")
        proxy.swallow_answers_after, proxy.refuses_from_then_on = call.id.bytes, True
        with pytest.raises(HoldInDoubt):
            await hold(metering, call)
    # The spool is one of the address that the proxy had, so it is named as a former one.
    (left,) = spools_below(hasty.spool_dir or Path())
    async with opened(hasty) as metering:
        assert metering.spooling is not None
        assert (await metering.accounts.balance("kim")).held == 1000
        await metering.spooling.adopt([left])
        assert (await metering.accounts.balance("kim")).held == 0
        await check_book(metering, hasty.project)


async def test_a_hold_that_is_taken_after_it_was_given_back_takes_nothing(
    killable: KillableServer, hasty: Settings
) -> None:
    chosen = hasty.model_copy(update={"pool_size": 2})
    async with opened_behind(chosen, killable.dsn) as (metering, proxy):
        call = new_call("kim")
        backends = await client_backends(killable.dsn)
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            proxy.refuses = True  # Nor can the driver have the statement cancelled.
            with pytest.raises(HoldInDoubt):
                await hold(metering, call)
            proxy.refuses = False
            await become(lambda: all_released(killable.dsn, chosen.project, 1))
            assert await states(killable.dsn, chosen.project) == [("released", 0)], "a mark stands where no hold is"
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
        await become(lambda: all_gone(killable.dsn, backends))
        assert await states(killable.dsn, chosen.project) == [("released", 0)]
        assert await metering.accounts.balance("kim") == (await metering.accounts.find("kim")).balance
        assert (await metering.accounts.balance("kim")).available == GRANT - 450
        with pytest.raises(JangbuError, match="is released already"):
            await hold(metering, call)
        await check_book(metering, chosen.project)


async def client_backends(dsn: str) -> list[int]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    await connection.close()
    return [row["pid"] for row in rows]


async def all_gone(dsn: str, backends: list[int]) -> bool:
    return not set(await client_backends(dsn)) & set(backends)


async def test_a_hold_whose_connection_breaks_while_it_waits_for_its_balance_is_given_back(
    killable: KillableServer, hasty: Settings
) -> None:
    async with opened_behind(hasty, killable.dsn) as (metering, proxy):
        call = new_call("kim")
        other = await asyncpg.connect(killable.dsn)
        async with other.transaction():
            await other.execute("SELECT FROM jangbu.balances FOR UPDATE")
            holding = asyncio.create_task(hold(metering, call))
            await become(lambda: are_waiting(killable.dsn, 1))
            proxy.refuses = True
            with pytest.raises(HoldInDoubt):
                await holding
            proxy.refuses = False
        await other.close()
        await become(lambda: all_released(killable.dsn, hasty.project, 1))
        assert (await metering.accounts.balance("kim")).available == GRANT - 450
        await settle(metering, new_call("kim"), answer(1))
        await check_book(metering, hasty.project)


async def are_waiting(dsn: str, number: int) -> bool:
    """Tell whether so many statements wait for a lock."""
    connection = await asyncpg.connect(dsn)
    waiting = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    await connection.close()
    return bool(waiting >= number)
