"""A database that does not answer in time: callers are told so by one error, and what may be repeated is repeated."""

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Held, Receipt, Settle, TakeHold
from jangbu.domain.ledger import Asset, account_id
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.errors import BalanceLocked, DatabaseUnreachable, SpoolFull
from jangbu.metering.accounts import Accounts
from jangbu.metering.holds import Holds
from jangbu.metering.resources import Resources
from jangbu.metering.spooling import Spooling
from jangbu.storage import accounts
from jangbu.storage.database import Database
from jangbu.storage.failures import is_transient, is_unreachable, translated
from jangbu.wiring import open_metering
from tests.conftest import execute
from tests.faults.proxy import lossy_proxy

KIM = account_id("p", "kim")


@pytest.fixture
async def narrow(database_url: str) -> AsyncIterator[Database]:
    """A pool of one connection: who holds it keeps everybody else waiting."""
    connected = await Database.connect(database_url, size=1)
    yield connected
    await connected.close()


async def test_who_waits_in_vain_is_told_that_the_database_does_not_answer(narrow: Database) -> None:
    holds = Holds(narrow, project="p", lanes=1, hold_seconds=60, retry_seconds=1)
    resources = Resources(narrow, project="p", retry_seconds=1)
    async with narrow.connection():
        with pytest.raises(DatabaseUnreachable):
            await holds.mark_unknown(KIM, uuid4(), "the connection broke")
        with pytest.raises(DatabaseUnreachable):
            await holds.extend(KIM, uuid4())
        with pytest.raises(DatabaseUnreachable):
            await resources.settled(KIM, "batches/1")
    await holds.close()


async def test_grants_burn_down_also_where_the_connection_breaks_meanwhile(
    database_url: str, database: Database
) -> None:
    await accounts.create(database, KIM, "p", "kim")
    with tempfile.TemporaryDirectory(prefix="jb") as folder:
        async with lossy_proxy(database_url, Path(folder)) as (address, proxy):
            behind = await Database.connect(address)
            book = Accounts(behind, SystemClock(), project="p", retry_seconds=20)
            proxy.swallow_answers_after = KIM.bytes
            assert await book.grants("kim") == ()
            await behind.close()
    assert proxy.swallowed == 1


@pytest.mark.parametrize(
    "conflict", [asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.QueryCanceledError]
)
def test_a_statement_that_lost_against_others_may_be_tried_again(conflict: type[asyncpg.PostgresError]) -> None:
    with pytest.raises(DatabaseUnreachable, match="let others go first") as told, translated():
        raise conflict("deadlock detected")
    assert is_transient(told.value)
    assert not is_unreachable(told.value)


def test_a_balance_that_others_keep_locked_is_no_database_that_is_away() -> None:
    assert is_transient(BalanceLocked("locked"))
    assert not is_unreachable(BalanceLocked("locked"))


async def test_a_database_that_takes_no_connections_for_a_while_is_away(database_url: str, server: str) -> None:
    name = urlsplit(database_url).path[1:]
    await execute(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    with pytest.raises(DatabaseUnreachable, match="not currently accepting connections") as told:
        await Database.connect(database_url)
    assert is_transient(told.value)
    assert is_unreachable(told.value)
    await execute(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await (await Database.connect(database_url)).close()


def test_a_standby_that_is_not_promoted_yet_is_a_database_that_is_away() -> None:
    with pytest.raises(DatabaseUnreachable) as told, translated():
        raise asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction")
    assert is_transient(told.value)
    assert is_unreachable(told.value)


@pytest.mark.parametrize("lack", [asyncpg.DiskFullError, asyncpg.OutOfMemoryError, asyncpg.TooManyConnectionsError])
def test_a_server_that_has_run_out_of_something_is_a_database_that_is_away(lack: type[asyncpg.PostgresError]) -> None:
    with pytest.raises(DatabaseUnreachable, match="no room") as told, translated():
        raise lack("no room")
    assert is_transient(told.value)
    assert is_unreachable(told.value)


async def test_a_record_whose_names_are_not_learnt_in_time_leaves_no_error_that_nobody_reads(
    database_url: str, tmp_path: Path
) -> None:
    unread: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unread.append(context))
    chosen = Settings.load(database_url=database_url, pool_size=2, spool_dir=tmp_path, spool_after_seconds=1)
    async with open_metering(chosen) as metering:
        await metering.accounts.create("kim")
        usage = Usage(Surface.GENERATE_CONTENT, Counts(prompt=5, total=5), Source.REPORTED, "a-model")
        async with metering.database.connection(), metering.database.connection():
            receipt = await metering.record("kim", "chat", usage)
            assert receipt.available is None
    gc.collect()
    assert unread == []


async def test_who_is_cancelled_while_it_settles_keeps_its_room_in_the_spool(database_url: str, tmp_path: Path) -> None:
    chosen = Settings.load(
        database_url=database_url, pool_size=2, spool_dir=tmp_path, spool_after_seconds=1, spool_bytes_max=65_536
    )
    usage = Usage(Surface.GENERATE_CONTENT, Counts(prompt=5, total=5), Source.REPORTED, "a-model")
    call = Call(new_id(SystemClock()), "kim", "chat", "a-model", Bounds(5, 5, output_chosen=True))
    async with open_metering(chosen) as metering:
        assert metering.spooling is not None
        await metering.accounts.create("kim")
        await metering.accounts.grant("kim", 100, key="order-1")
        assert await metering.execute(TakeHold(call, 5, 10, 10)) == Held(10)
        while not await is_full(metering.spooling):
            pass
        async with metering.database.connection(), metering.database.connection():
            settling = asyncio.create_task(metering.execute(Settle(call, usage)))
            await asyncio.sleep(0)
            settling.cancel()
            await asyncio.gather(settling, return_exceptions=True)
            assert await is_full(metering.spooling)
            receipt = await metering.execute(Settle(call, usage))
        assert isinstance(receipt, Receipt)
        assert receipt.available is None


async def test_a_record_that_was_there_first_and_cannot_be_read_in_time_is_left_to_the_spool(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    chosen = Settings.load(database_url=database_url, spool_dir=tmp_path, spool_after_seconds=1)
    usage = Usage(Surface.GENERATE_CONTENT, Counts(prompt=5, total=5), Source.REPORTED, "a-model")
    call = Call(new_id(SystemClock()), "kim", "chat", "a-model", Bounds(5, 5, output_chosen=True))
    async with open_metering(chosen) as metering:
        await metering.accounts.create("kim")
        await metering.execute(Settle(call, usage))
        async with database.connection() as connection, connection.transaction():
            await connection.execute("LOCK TABLE jangbu.models IN ACCESS EXCLUSIVE MODE")
            receipt = await metering.execute(Settle(call, usage))
        assert isinstance(receipt, Receipt)
        assert (receipt.id, receipt.charged_tokens, receipt.available) == (call.id, 5, None)
    assert (await accounts.balances(database, account_id("default", "kim")))[Asset.TOKENS].used == 5


async def is_full(spooling: Spooling) -> bool:
    """Take room for one more call; tell whether there was none."""
    try:
        await spooling.rooms.take(uuid4())
    except SpoolFull:
        return True
    return False
