"""A fail-over to a standby: what is there of the records that were acknowledged, and what brings the others back."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from jangbu.config import Settings
from jangbu.domain.flow import MarkUnknown, Receipt, Release
from jangbu.errors import DatabaseUnreachable
from jangbu.metering.meter import Metering
from jangbu.storage import migrate
from tests.faults.server import KillableServer, killable_server
from tests.faults.waiting import become
from tests.metering.outage import answer, check_book, hold, is_drained, new_call, opened, recorded, settle, settle_held

USERS = tuple(f"user-{number}" for number in range(4))


@pytest.fixture
def primary() -> Iterator[KillableServer]:
    with killable_server() as server:
        asyncio.run(migrate.upgrade(server.dsn))
        yield server


@pytest.fixture
def standby(primary: KillableServer) -> Iterator[KillableServer]:
    with killable_server(primary) as server:
        yield server


@pytest.fixture
def settings(primary: KillableServer, tmp_path: Path) -> Settings:
    return Settings.load(
        database_url=primary.dsn,
        project=tmp_path.name,
        spool_dir=tmp_path / "spool",
        spool_after_seconds=1,
        hold_wait_seconds_max=60,
    )


def jangbu(settings: Settings, *words: str) -> Any:
    """Run the command, as whoever operates the ledger does."""
    assert settings.database_url is not None
    environment = {
        "JANGBU_DATABASE_URL": settings.database_url.get_secret_value(),
        "JANGBU_PROJECT": settings.project,
        "JANGBU_SPOOL_DIR": str(settings.spool_dir),
    }
    command = [sys.executable, "-m", "jangbu", *words, "--json"]
    ended = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


async def asked(dsn: str, query: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def has_followed(primary: KillableServer, standby: KillableServer) -> bool:
    """Tell whether the standby has all that the primary has."""
    place = await asked(primary.dsn, "SELECT pg_current_wal_lsn()::text")
    return bool(await asked(standby.dsn, f"SELECT pg_last_wal_replay_lsn() >= '{place}'::pg_lsn"))


async def test_what_a_standby_lacks_comes_back_from_the_spools_as_far_as_it_had_waited_there(
    primary: KillableServer, standby: KillableServer, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering:
        held_before = new_call("kim")
        await hold(metering, held_before)
        replicated = await settle_held(metering, answer(1))
        await become(lambda: has_followed(primary, standby))
        standby.crash()
        without_spool = [await settle_held(metering, answer(2)), await settle(metering, held_before, answer(3))]
        calls = [new_call("kim") for _ in range(20)]
        for call in calls:
            await hold(metering, call)
        primary.crash()
        spooled = await asyncio.gather(*(settle(metering, call, answer(10 + n)) for n, call in enumerate(calls)))
        assert [receipt.available for receipt in spooled] == [None] * len(calls)
        primary.start()
        await become(lambda: is_drained(metering))
        acknowledged = ids(replicated, *without_spool, *spooled)
        assert set(await recorded(metering)) == acknowledged

        await asyncio.to_thread(primary.kill)
        standby.start()
        await asyncio.to_thread(standby.take_over, primary)
        assert set(jangbu_records(settings)) == ids(replicated), "the standby had been cut off"
        drained = await asyncio.to_thread(jangbu, settings, "spool", "drain", "--again")
        assert (drained["recorded_again"], drained["waiting"]) == (len(calls), 0)
        assert set(await records(metering)) == acknowledged - ids(*without_spool)
        balance = await metering.accounts.balance("kim")
        assert balance.used == 450 * (1 + len(calls))
        assert balance.held == 1000, "of a call whose record is lost the hold is left, if that had been replicated"
        again = await asyncio.to_thread(jangbu, settings, "spool", "drain", "--again")
        assert again["recorded_again"] == len(calls)
        assert (await metering.accounts.balance("kim")).used == balance.used, "to send again changes nothing"
        await check_book(metering, settings.project)
    assert (await asyncio.to_thread(jangbu, settings, "verify", "--full"))["mismatches"] == []


async def records(metering: Metering) -> dict[UUID, int]:
    """Give what is recorded; a connection to the server that is dead may be met first."""
    found: dict[UUID, int] = {}

    async def are_read() -> bool:
        try:
            found.update(await recorded(metering))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return False
        return True

    await become(are_read)
    return found


def jangbu_records(settings: Settings) -> set[UUID]:
    """Give what the command shows of kim's calls."""
    return {UUID(each["id"]) for each in jangbu(settings, "usage", "calls", "kim")["calls"]}


def ids(*receipts: Receipt) -> set[UUID]:
    return {receipt.id for receipt in receipts}


async def test_with_synchronous_replication_every_acknowledged_record_is_there_after_a_fail_over(
    primary: KillableServer, standby: KillableServer, settings: Settings
) -> None:
    """What the primary could not have the standby confirm is not acknowledged by it, and goes to the spool."""
    primary.crash()
    primary.start(synchronous_standby_names="walreceiver")
    receipts: dict[UUID, Receipt] = {}
    is_over = False

    async def work(metering: Metering, number: int) -> None:
        count = 0
        while not is_over:
            call = new_call(USERS[number % len(USERS)])
            try:
                await hold(metering, call)
            except DatabaseUnreachable:
                continue
            count += 1
            receipts[call.id] = await settle(metering, call, answer(number * 100_000 + count, 300 + count))

    async with opened(settings, *USERS) as metering:
        workers = [asyncio.create_task(work(metering, number)) for number in range(16)]
        await become(lambda: _is(len(receipts) > 300))
        await asyncio.to_thread(primary.kill)
        await asyncio.to_thread(standby.take_over, primary)
        before = len(receipts)
        await become(lambda: _is(len(receipts) > before + 100))
        is_over = True
        await asyncio.gather(*workers)
        await become(lambda: is_drained(metering))
        assert await recorded(metering) == {each.id: each.charged_tokens for each in receipts.values()}
        await check_book(metering, settings.project)


async def _is(value: bool) -> bool:
    return value


async def test_with_every_record_in_the_spool_a_standby_that_lagged_is_given_all_that_was_acknowledged(
    primary: KillableServer, standby: KillableServer, settings: Settings
) -> None:
    """Also what the primary took at once, the ends of holds, and records whose holds the standby does not know."""
    settings = settings.model_copy(update={"spool_every_record": True})
    async with opened(settings, *USERS, "kim") as metering:
        held_before, released, unknown = new_call("kim"), new_call("kim"), new_call("kim")
        for call in (held_before, released, unknown):
            await hold(metering, call)
        receipts = [await settle_held(metering, answer(1))]
        await become(lambda: has_followed(primary, standby))
        standby.crash()

        receipts.append(await settle(metering, held_before, answer(2)))
        await metering.execute(Release(released, "the provider answered 429"))
        await metering.execute(MarkUnknown(unknown, "the connection broke"))
        receipts.append(await metering.record("kim", "text_generation", answer(3, model="a-model-of-the-lag")))
        receipts += await asyncio.gather(*(work(metering, number) for number in range(40)))
        assert all(receipt.available is not None for receipt in receipts), "the primary took all at once"
        before = {user: await metering.accounts.balance(user) for user in (*USERS, "kim")}
        acknowledged = {each.id: each.charged_tokens for each in receipts}
        assert await recorded(metering) == acknowledged

        await asyncio.to_thread(primary.kill)
        standby.start()
        await asyncio.to_thread(standby.take_over, primary)
        assert set(await records(metering)) == ids(receipts[0]), "the standby had been cut off"
    drained = await asyncio.to_thread(jangbu, settings, "spool", "drain", "--again")
    assert (drained["recorded_again"], drained["waiting"]) == (len(receipts) + 2, 0)
    again = await asyncio.to_thread(jangbu, settings, "spool", "drain", "--again")
    assert again["recorded_again"] == len(receipts) + 2
    async with opened(settings) as metering:
        assert await recorded(metering) == acknowledged
        after = {user: await metering.accounts.balance(user) for user in (*USERS, "kim")}
        assert [(each.granted, each.used, each.held) for each in after.values()] == [
            (each.granted, each.used, each.held) for each in before.values()
        ]
        assert after["kim"].held == 1000, "of the call of unknown outcome"
        await check_book(metering, settings.project)
    assert (await asyncio.to_thread(jangbu, settings, "verify", "--full"))["mismatches"] == []


async def work(metering: Metering, number: int) -> Receipt:
    """Make one call: its hold and its record come when the standby is cut off."""
    call = new_call(USERS[number % len(USERS)])
    await hold(metering, call)
    return await settle(metering, call, answer(100 + number, 300 + number))
